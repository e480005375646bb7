# Postfix as Debian has it. An administrator's knobs are turned up: concurrency,
# process limit, connection cache, no in_flow_delay, no chroot (as upstream has
# it), log through postlogd. DKIM by OpenDKIM. NEEDS root.
INPUT=127.0.0.1:$PORT
SPOOL=$RUN/spool

mta_settings() {
	echo "Debian's main.cf with default_process_limit = 250, destination concurrency ${CONNECTIONS:-20}, in_flow_delay = 0, qmgr_message_active_limit = 50000, connection cache, no chroot, no reverse lookups$([ -z "$DKIM_KEY" ] || echo '; OpenDKIM as a milter')"
}

mta_version() { postconf -d mail_version | sed 's/.* //'; }

mta_config() {
	mkdir -p "$RUN/etc" "$RUN/data" "$SPOOL" && touch "$RUN/maillog"
	chown postfix "$RUN/data" "$RUN/maillog"
	sed -E "s/^smtp( +inet.*)\$/$INPUT\\1/; s/^#(tlsproxy )/\1/; s/^(([^ #]+ +){2}([^ ]+ +){2})y/\\1n/" /usr/share/postfix/master.cf.dist > "$RUN/etc/master.cf"
	{
		cat <<-C
		compatibility_level = 3.6
		queue_directory = $SPOOL
		data_directory = $RUN/data
		maillog_file = $RUN/maillog
		maillog_file_prefixes = $RUN
		inet_interfaces = 127.0.0.1
		inet_protocols = ipv4
		myhostname = relay.src.test
		mydestination =
		mynetworks = 127.0.0.0/8
		alias_maps =
		smtpd_peername_lookup = no
		default_process_limit = 250
		in_flow_delay = 0
		default_destination_concurrency_limit = ${CONNECTIONS:-20}
		initial_destination_concurrency = ${CONNECTIONS:-20}
		qmgr_message_active_limit = 50000
		qmgr_message_recipient_limit = 50000
		minimal_backoff_time = ${RETRY}s
		maximal_backoff_time = $((2 * RETRY))s
		queue_run_delay = ${RETRY}s
		C
		[ "$ROUTE" != smarthost ] || printf '%s\n' "relayhost = [$SINK_HOST]:$SINK_PORT" "smtp_connection_cache_destinations = [$SINK_HOST]:$SINK_PORT"
		[ -z "$DKIM_KEY" ] || printf '%s\n' "smtpd_milters = unix:$RUN/data/dkim.sock" 'milter_default_action = tempfail'
		[ -z "$TLS_IN" ] || printf '%s\n' 'smtpd_tls_security_level = may' "smtpd_tls_cert_file = $TLS_CERT" "smtpd_tls_key_file = $TLS_KEY"
		[ -z "$TLS_OUT" ] || printf '%s\n' 'smtp_tls_security_level = may' 'smtp_tls_connection_reuse = yes' 'smtp_tls_session_cache_database = btree:$data_directory/tls'
		echo "$EXTRA"
	} > "$RUN/etc/main.cf"
	[ -z "$DKIM_KEY" ] || cat > "$RUN/opendkim.conf" <<-C
	Domain src.test
	Selector s1
	KeyFile $DKIM_KEY
	Socket local:$RUN/data/dkim.sock
	Mode s
	UserID postfix
	UMask 000
	Background yes
	PidFile $RUN/data/dkim.pid
	InternalHosts 127.0.0.0/8
	RequireSafeKeys no
	C
}
mta_start() {
	[ -z "$DKIM_KEY" ] || opendkim -x "$RUN/opendkim.conf"
	postfix -c "$RUN/etc" start 2> /dev/null
}
mta_stop() { postfix -c "$RUN/etc" abort 2> /dev/null; }
mta_kick() { postqueue -c "$RUN/etc" -f; }
