# OpenSMTPD: Debian's, unpacked in the work folder; its fixed paths are mounted.
# The limits of outgoing connections and of messages in flight are turned up, and
# the backlog of its listener, which is compiled in as 5: Linux would lose clients
# that come together. It has no setting for how soon it tries again. NEEDS root.
INPUT=127.0.0.1:$PORT
SPOOL=$RUN/spool
OSD=$WORK/opensmtpd

mta_settings() {
	echo "${CONNECTIONS:-100} connections to a destination without delays between them, max-inflight 50000, task-hiwat 2000, backlog of the listener 1024${DKIM_KEY:+; filter-dkimsign}"
}

mta_version() { $OSD/usr/sbin/smtpd -h 2>&1 | sed -n 's/version: OpenSMTPD //p'; }

mta_config() {
	case $KIND in backlog | restart | kill)
		echo "its schedule after a failure (27 minutes, then an hour) cannot be set, and smtpctl schedule all leaves routes closed that have failed" >&2
		exit 3
		;;
	esac
	mkdir -p "$SPOOL" && chmod 711 "$SPOOL"
	local listen="listen on 127.0.0.1 port $PORT hostname relay.src.test"
	local n=${CONNECTIONS:-100}
	{
		[ -z "$TLS_IN" ] || { printf 'pki relay.src.test cert "%s"\npki relay.src.test key "%s"\n' "$TLS_CERT" "$TLS_KEY"; listen="$listen tls pki relay.src.test"; }
		cat <<-C
		queue ttl 1d
		mta limit max-conn-per-host $n
		mta limit max-conn-per-route $n
		mta limit max-conn-per-source 1000
		mta limit max-conn-per-connector $n
		mta limit max-conn-per-relay $((2 * n))
		mta limit max-conn-per-domain $n
		mta limit conn-delay-host 0
		mta limit conn-delay-route 0
		mta limit conn-delay-source 0
		mta limit conn-delay-connector 0
		mta limit conn-delay-relay 0
		mta limit conn-delay-domain 0
		mta limit reconn-delay-route 0
		mta limit session-mail-max 1000
		mta limit task-hiwat 2000
		mta limit task-lowat 1000
		mta limit task-release 1000
		mta limit inet4
		scheduler limit max-inflight 50000
		smtp limit max-mails 1000
		C
		echo "$EXTRA"
		[ -z "$DKIM_KEY" ] || { echo "filter dkim proc-exec \"filter-dkimsign -d src.test -s s1 -k $DKIM_KEY\" user opensmtpd group opensmtpd"; listen="$listen filter dkim"; }
		echo "$listen"
		echo "action out relay $([ "$ROUTE" = smarthost ] && echo "host smtp://$SINK_HOST:$SINK_PORT")"
		echo 'match from any for any action out'
	} > "$RUN/smtpd.conf"
	chmod 644 "$RUN/smtpd.conf"
	[ -z "$TLS_IN" ] || chmod 600 "$TLS_KEY"
}
osd_mounts() {
	mount --bind "$SPOOL" /var/spool/smtpd
	mount --bind "$WORK/opensmtpd-libexec" /usr/libexec/opensmtpd
}
# The listener is borrowed from the process that has it (pidfd_open and
# pidfd_getfd, Linux 5.6), and listened to once more with a backlog like the others'.
osd_backlog() {
	perl -e '
		my $port = sprintf(":%04X", shift);
		for (1 .. 500) {
			open(my $t, "<", "/proc/net/tcp");
			my ($inode) = map { (split)[9] } grep { (split)[1] =~ /$port$/ && (split)[3] eq "0A" } <$t>;
			for my $at ($inode ? glob("/proc/[0-9]*/fd/*") : ()) {
				(readlink($at) // "") eq "socket:[$inode]" or next;
				my ($pid, $fd) = $at =~ m{(\d+)/fd/(\d+)};
				my $p = syscall(434, $pid + 0, 0);
				my $f = syscall(438, $p, $fd + 0, 0);
				open(my $l, "+<&=", $f) or next;
				listen($l, 1024) and exit 0;
			}
			select(undef, undef, undef, 0.02);
		}
		die "no listener\n"' "$PORT"
}
# Its resolver gives no IPv4 address where no interface but loopback has one: a
# bridge without ports leads nowhere.
osd_interface() {
	[ -z "$(ip -4 -o addr show scope global)" ] || return 0
	ip link add apart0 type bridge && ip addr add 192.0.2.1/32 dev apart0 && ip link set apart0 up
}
mta_start() { osd_interface; osd_mounts; $OSD/usr/sbin/smtpd -f "$RUN/smtpd.conf" && osd_backlog; }
mta_stop() { :; }
mta_kick() { osd_mounts; $OSD/usr/sbin/smtpctl schedule all; }
