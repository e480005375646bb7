# Exim 4: Debian's exim4-daemon-light, unpacked in the work folder. No limits of
# connections, an attempt at once for every message, split spool, pipelining
# out. NEEDS root.
INPUT=127.0.0.1:$PORT
SPOOL=$RUN/spool
EXIM=$WORK/exim4-daemon-light/usr/sbin/exim4

mta_settings() {
	echo "no limits of connections, delivery at once for every message, split_spool_directory, pipelining, connection_max_messages = 500, remote_max_parallel = ${CONNECTIONS:-4}, queue_run_max = 20, no reverse lookups"
}

mta_version() { $EXIM -bV | sed -n 's/^Exim version \([^ ]*\).*/\1/p'; }

mta_config() {
	mkdir -p "$SPOOL" "$RUN/log" && chown -R Debian-exim:Debian-exim "$SPOOL" "$RUN/log"
	{
		cat <<-C
		primary_hostname = relay.src.test
		exim_path = $EXIM
		spool_directory = $SPOOL
		log_file_path = $RUN/log/%slog
		local_interfaces = 127.0.0.1
		daemon_smtp_ports = $PORT
		hostlist relay_from = 127.0.0.0/8
		acl_smtp_rcpt = acl_rcpt
		acl_smtp_data = acl_data
		acl_smtp_dkim = accept
		host_lookup =
		disable_ipv6 = true
		never_users =
		keep_environment =
		smtp_accept_max = 400
		smtp_accept_max_per_host = 400
		smtp_accept_queue_per_connection = 0
		smtp_connect_backlog = 256
		split_spool_directory = true
		queue_run_max = 20
		remote_max_parallel = ${CONNECTIONS:-4}
		smtp_accept_max_per_connection = 1000
		timeout_frozen_after = 7d
		C
		if [ -n "$TLS_IN" ]; then
			printf '%s\n' 'tls_advertise_hosts = *' "tls_certificate = $TLS_CERT" "tls_privatekey = $TLS_KEY"
		else
			echo 'tls_advertise_hosts ='
		fi
		echo "$EXTRA"
		printf '%s\n' 'begin acl' 'acl_rcpt:' '  accept hosts = +relay_from' '  deny' 'acl_data:' '  accept' 'begin routers'
		if [ "$ROUTE" = smarthost ]; then
			printf '%s\n' 'smart:' '  driver = manualroute' '  transport = out' '  self = send' "  route_list = * $SINK_HOST::$SINK_PORT byname"
		else
			printf '%s\n' 'mx:' '  driver = dnslookup' '  transport = out' '  self = send' '  no_more'
		fi
		printf '%s\n' 'begin transports' 'out:' '  driver = smtp' '  hosts_try_chunking =' '  connection_max_messages = 500'
		[ -z "$DKIM_KEY" ] || printf '%s\n' '  dkim_domain = src.test' '  dkim_selector = s1' "  dkim_private_key = $DKIM_KEY"
		printf '%s\n' 'begin retry' "* * F,1h,${RETRY}s"
	} > "$RUN/exim.conf"
	chmod 644 "$RUN/exim.conf"
}
exim_mounts() { mount --bind "$RUN/exim.conf" /etc/exim4/exim4.conf; }
mta_start() { exim_mounts; $EXIM -bd -q${RETRY}s; }
mta_stop() { :; }
mta_kick() { exim_mounts; $EXIM -qff & }
