# Haraka, from npm. A worker per processor, many outbound connections, a log of
# warnings only, as its documentation advises for load.
INPUT=127.0.0.1:$PORT
SPOOL=$RUN/queue
HARAKA=$WORK/haraka/node_modules/Haraka

mta_settings() {
	echo "nodes = cpus, outbound concurrency_max = ${CONNECTIONS:-100} for each node, log of warnings only, plugins $(echo "${TLS_IN:+tls }relay${DKIM_KEY:+ dkim}") only"
}

mta_version() { sed -n 's/.*"version": "\(.*\)".*/\1/p' $HARAKA/package.json | head -1; }

mta_config() {
	mkdir -p "$RUN/config" "$RUN/plugins" "$SPOOL"
	cd "$RUN" || return
	echo relay.src.test > config/me
	{
		[ -z "$TLS_IN" ] || echo tls
		echo relay
		[ -z "$DKIM_KEY" ] || echo dkim
		[ "$ROUTE" != smarthost ] || echo to_sink
	} > config/plugins
	printf '[relay]\nacl=true\n' > config/relay.ini
	echo 127.0.0.0/8 > config/relay_acl_allow
	printf 'listen=%s\nnodes=cpus\n' "$INPUT" > config/smtp.ini
	printf 'level=warn\n' > config/log.ini
	printf '%s\n' "concurrency_max=${CONNECTIONS:-100}" "enable_tls=$([ -n "$TLS_OUT" ] && echo true || echo false)" \
		local_mx_ok=true always_split=true ipv6_enabled=false "temp_fail_intervals=${RETRY}s*20" "$EXTRA" > config/outbound.ini
	cp $HARAKA/config/connection.ini config/
	[ -z "$TLS_IN" ] || { cp "$TLS_CERT" config/tls_cert.pem; cp "$TLS_KEY" config/tls_key.pem; }
	[ -z "$DKIM_KEY" ] || {
		mkdir -p config/dkim/src.test
		cp "$DKIM_KEY" config/dkim/src.test/private
		echo s1 > config/dkim/src.test/selector
		printf '[sign]\nenabled=true\nselector=s1\ndomain=src.test\n[verify]\nenabled=false\n' > config/dkim.ini
	}
	cat > plugins/to_sink.js <<-C
	exports.hook_get_mx = (next, hmail, domain) => next(OK, { exchange: '$SINK_HOST', port: $SINK_PORT, priority: 0 });
	C
}
mta_start() { NODE_ENV=production setsid node $HARAKA/bin/haraka -c "$RUN" > "$RUN/out.log" 2>&1 < /dev/null & }
mta_stop() { :; }
mta_kick() { :; }
