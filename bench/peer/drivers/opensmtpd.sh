# OpenSMTPD: Debian's, unpacked in the work folder; its fixed paths are mounted.
# The limits of outgoing connections and of messages in flight are turned up. It
# has no setting for how soon it tries again. NEEDS root.
INPUT=127.0.0.1:$PORT
SPOOL=$RUN/spool
OSD=$WORK/opensmtpd

mta_version() { $OSD/usr/sbin/smtpd -h 2>&1 | sed -n 's/version: OpenSMTPD //p'; }

mta_config() {
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
mta_start() { osd_mounts; $OSD/usr/sbin/smtpd -f "$RUN/smtpd.conf"; }
mta_stop() { :; }
mta_kick() { osd_mounts; $OSD/usr/sbin/smtpctl schedule all; }
