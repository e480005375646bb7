# tenma. $TENMA is its binary. Default settings, but for addresses, route, DKIM
# and how soon it tries again; the variant nosync answers before the disk has it.
INPUT=127.0.0.1:$PORT
SPOOL=$RUN/data

METRICS=http://127.0.0.1:$HTTP_PORT/metrics
mta_settings() {
	echo "250 $([ "$VARIANT" = nosync ] && echo 'before the disk has it (spool.sync = false)' || echo 'after a sync');" \
		"mail log, metrics, DSNs, limits: all defaults but delivery.private_destinations, delivery.retry = ${RETRY}s${CONNECTIONS:+, delivery.lane_connections = $CONNECTIONS}"
}

mta_version() { $TENMA version 2>/dev/null | head -1; }

mta_config() {
	mkdir -p "$SPOOL"
	{
		cat <<-C
		hostname = "relay.src.test"
		data_dir = "$SPOOL"
		delivery.port = $MX_PORT
		delivery.retry = ["${RETRY}s", "$((2 * RETRY))s"]
		delivery.private_destinations = true
		C
		[ "$VARIANT" != nosync ] || echo 'spool.sync = false'
		[ -z "$CONNECTIONS" ] || echo "delivery.lane_connections = $CONNECTIONS"
		[ -z "$DNS" ] || echo "dns.servers = [\"$DNS\"]"
		[ -z "$TLS_IN" ] || printf 'tls.certificate = "%s"\ntls.key = "%s"\n' "$TLS_CERT" "$TLS_KEY"
		echo "$EXTRA"
		cat <<-C
		[[listen]]
		protocol = "smtp"
		address = "$INPUT"
		tls = "$([ -n "$TLS_IN" ] && echo starttls || echo off)"
		auth = "off"
		relay_from = ["127.0.0.0/8"]
		[[listen]]
		protocol = "http"
		address = "127.0.0.1:$HTTP_PORT"
		C
		[ "$ROUTE" != smarthost ] || printf '[[route]]\ndomain = "*"\nto = "smtp://%s"\n' "$SINK_HOST:$SINK_PORT"
		[ -z "$DKIM_KEY" ] || printf '[[dkim]]\ndomain = "src.test"\nselector = "s1"\nkey = "%s"\n' "$DKIM_KEY"
	} > "$RUN/tenma.toml"
}
mta_start() { setsid $TENMA serve -c "$RUN/tenma.toml" > "$RUN/out.log" 2>&1 < /dev/null & }
mta_stop() { :; }
# What "tenma queue retry --all" asks for; that program's memory would count as the server's.
mta_kick() {
	local i
	for i in $(seq 100); do
		if exec 3<> "/dev/tcp/127.0.0.1/$HTTP_PORT"; then
			printf 'POST /api/v1/queue/retry HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"all":true}' "$(cat "$SPOOL/admin-token")" >&3
			read -r _ status _ <&3 && [ "$status" = 200 ] && return
		fi 2> /dev/null
		sleep 0.05
	done
	return 1
}
