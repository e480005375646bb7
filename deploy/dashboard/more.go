package main

// beside is what the road leans on. These rows are closed at first.
func beside() []group {
	return []group{dns(), mailboxes(), logins(), mailLog(), machine()}
}

func dns() group {
	return group{title: "DNS", closed: true, charts: []chart{
		{
			title: "Look-ups", unit: "cps", stack: true,
			about: "Hit: from memory; miss: a server was asked; joined: waited for another's question; stale: no server answers and an old address is used. Stale means DNS is down: see Servers down.",
			of:    []series{{rateBy("result", metric("dns_lookups_total")), "{{result}}"}},
		},
		{
			title: "Answered from memory", unit: "percentunit",
			about: "Low is normal for mail to domains that are seen once; a sudden drop is a cache too small (Dropped for lack of memory).",
			of: []series{
				{share(rate(metric("dns_lookups_total", `result=~"hit|joined"`)), rate(metric("dns_lookups_total"))), "share"},
			},
		},
		{
			title: "Time of a query", unit: "s",
			about: "From a query to its reply. Hundreds of ms: a resolver on this machine (unbound) is worth it.",
			of:    latency("dns_query_seconds"),
		},
		{
			title: "Queries", unit: "cps",
			about: "To servers, by result. Silence: nobody answers; failure: SERVFAIL, REFUSED; truncated ones are asked again by TCP.",
			of:    []series{{rateBy("network, result", metric("dns_queries_total")), "{{network}} {{result}}"}},
		},
		{
			title: "Servers down, forged replies", unit: "short",
			about: "Servers thought dead: ask them yourself (dig @SERVER). Replies that do not match their question, in numbers: somebody tries to forge answers.",
			of: []series{
				{sum(metric("dns_servers_down")), "servers down"},
				{rate(metric("dns_mismatched_replies_total")), "mismatched a second"},
			},
		},
		{
			title: "Cache", unit: "short",
			about: "Answers in memory, and those dropped for lack of it, a second.",
			of: []series{
				{sum(metric("dns_cache_entries")), "answers"},
				{rate(metric("dns_evictions_total")), "dropped for lack of memory"},
				{rate(metric("dns_prefetches_total")), "asked again early"},
			},
		},
		{
			title: "Memory of the cache", unit: "bytes",
			about: "An estimate.",
			of:    []series{{sum(metric("dns_cache_bytes")), "answers"}},
		},
	}}
}

func mailboxes() group {
	return group{title: "Mailboxes: IMAP and POP3", closed: true, charts: []chart{
		{
			title: "Deliveries to mailboxes", unit: "cps",
			about: "full: quota (\"tenma mailbox list\" shows who); unknown: no such mailbox any more; failed: the disk, tried again; loop: forwarded in a circle.",
			of: []series{
				{rateBy("result", metric("mailbox_deliveries_total")), "{{result}}"},
				{rate(metric("mailbox_warnings_total")), "quota warnings"},
			},
		},
		{
			title: "Open sessions", unit: "short",
			about: "IMAP clients stay connected; a fall to zero is the network or a certificate that clients refuse.",
			of: []series{
				{sumBy("listener", metric("imap_sessions")), "imap {{listener}}"},
				{sumBy("listener", metric("pop3_sessions")), "pop3 {{listener}}"},
			},
		},
		{
			title: "Logins", unit: "cps",
			about: "error: a login that could not be judged, since LDAP, the command, or the mail store did not answer.",
			of: []series{
				{rateBy("result", metric("imap_logins_total")), "imap {{result}}"},
				{rateBy("result", metric("pop3_logins_total")), "pop3 {{result}}"},
			},
		},
		{
			title: "IMAP commands", unit: "cps",
			about: "no and bad in numbers: a client in a loop; its name stands in the log of logins.",
			of:    []series{{rateBy("result", metric("imap_commands_total")), "{{result}}"}},
		},
		{
			title: "POP3", unit: "cps",
			about: "New connections, those refused, messages fetched and removed.",
			of: []series{
				{rate(metric("pop3_connections_total")), "connections"},
				{rateBy("reason", metric("pop3_connections_refused_total")), "refused: {{reason}}"},
				{rate(metric("pop3_messages_retrieved_total")), "fetched"},
				{rate(metric("pop3_messages_deleted_total")), "removed"},
				{rateBy("result", metric("pop3_commands_total", `result="err"`)), "commands: {{result}}"},
				{rateBy("result", metric("pop3_tls_sessions_total", `result="failed"`)), "TLS {{result}}"},
			},
		},
		{
			title: "Octets to clients", unit: "Bps",
			about: "What IMAP and POP3 send.",
			of: []series{
				{rate(metric("imap_response_bytes_total")), "imap"},
				{rate(metric("pop3_message_bytes_total")), "pop3"},
			},
		},
		{
			title: "Sent on", unit: "cps",
			about: "Forwarded mail, automatic replies, messages put in by clients (Sent, drafts, imports).",
			of: []series{
				{rate(metric("mailbox_forwarded_total")), "forwarded"},
				{rate(metric("mailbox_replies_total")), "automatic replies"},
				{rate(metric("imap_appends_total")), "APPEND"},
			},
		},
	}}
}

func logins() group {
	return group{title: "Logins and certificate", closed: true, charts: []chart{
		{
			title: "Failed logins, by reason", unit: "cps",
			about: "Many with \"unknown user\" or \"wrong password\": somebody guesses. Clients are held off by themselves; deploy/fail2ban keeps them out of the firewall too. The same reason from one office: a changed password; the log has a hint for each.",
			of:    []series{{rateBy("protocol, reason", metric("auth_failures_total")), "{{protocol}} {{reason}}"}},
		},
		{
			title: "Clients held off", unit: "cps",
			about: "Failed logins that earned their client a wait, from seconds to a day.",
			of:    []series{{rate(metric("auth_holds_total")), "held off"}},
		},
		{
			title: "SMTP logins", unit: "cps",
			about: "good, failed, and error: could not be judged.",
			of:    []series{{rateBy("mechanism, result", metric("ingress_auth_total")), "{{mechanism}} {{result}}"}},
		},
		{
			title: "Certificate valid for", unit: "s", w: 4, h: 4, stat: true, warn: 14 * 86400, bad: 3 * 86400,
			about: "Of the listeners. A renewed file is taken without a reload; if the file is new and this is not, the log says why it cannot be used.",
			of:    []series{{"min(" + metric("tls_certificate_expiry_seconds") + ") - time()", ""}},
		},
	}}
}

func mailLog() group {
	return group{title: "Mail log", closed: true, charts: []chart{
		{
			title: "Records", unit: "cps",
			about: "By kind, as in the field type.",
			of:    []series{{rateBy("kind", metric("maillog_records_total")), "{{kind}}"}},
		},
		{
			title: "Time of a write", unit: "s",
			about: "Write and sync of the mail log. Settlements wait for it, so a slow disk here slows deliveries; put it on the spool's disk or a better one.",
			of:    latency("maillog_flush_seconds"),
		},
		{
			title: "Trouble", unit: "cps",
			about: "Failed writes (tried again), segments that could not be sealed, records lost. Anything but zero: room and rights of the log directory.",
			of: []series{
				{rate(metric("maillog_write_errors_total")), "failed writes"},
				{rate(metric("maillog_seal_errors_total")), "failed seals"},
				{rate(metric("maillog_dropped_total")), "records lost"},
			},
		},
		{
			title: "Written", unit: "Bps",
			about: "Octets written, before compression.",
			of:    []series{{rate(metric("maillog_written_bytes_total")), "written"}},
		},
		{
			title: "Waits to be written", unit: "bytes",
			about: "It should be next to nothing; what grows is a disk that does not keep up.",
			of:    []series{{sum(metric("maillog_buffer_bytes")), "buffer"}},
		},
		{
			title: "Segments sealed", unit: "cps",
			about: "Compressed segments.",
			of:    []series{{rate(metric("maillog_sealed_segments_total")), "sealed"}},
		},
	}}
}

func machine() group {
	return group{title: "The process", closed: true, charts: []chart{
		{
			title: "CPU", unit: "short",
			about: "Cores in use. At the machine's number of cores mail waits for the CPU: /debug/pprof/profile shows for what.",
			of:    []series{{"sum by (instance) (rate(" + process("cpu_seconds_total") + "[$__rate_interval]))", "{{instance}}"}},
		},
		{
			title: "Memory", unit: "bytes",
			about: "Resident memory, the Go heap, and the limit that the garbage collector keeps to (three quarters of the cgroup's). At the limit CPU goes into collection: give it more, or lower spool.memory.",
			of: []series{
				{sumBy("instance", process("resident_memory_bytes")), "resident {{instance}}"},
				{sumBy("instance", golang("memstats_heap_inuse_bytes")), "heap {{instance}}"},
				{"min by (instance) (" + golang("gc_gomemlimit_bytes") + " < 1e15)", "limit {{instance}}"},
			},
		},
		{
			title: "Goroutines", unit: "short",
			about: "Two or so for each session and each attempt. A number that only rises is a fault in tenma: save /debug/pprof/goroutine and report it.",
			of:    []series{{sumBy("instance", golang("goroutines")), "{{instance}}"}},
		},
		{
			title: "File descriptors", unit: "short",
			about: "Open and allowed. Near the limit connections fail: LimitNOFILE in the unit.",
			of: []series{
				{sumBy("instance", process("open_fds")), "open {{instance}}"},
				{sumBy("instance", process("max_fds")), "allowed {{instance}}"},
			},
		},
		{
			title: "Pauses of the garbage collector", unit: "s",
			about: "The longest lately. More than some ms: too few cores.",
			of:    []series{{"max by (instance) (" + metricOfGC() + ")", "{{instance}}"}},
		},
		{
			title: "Running for", unit: "s", w: 4, h: 4, stat: true,
			about: "Since the last start. Short and nobody restarted it: journalctl -u tenma.",
			of:    []series{{"time() - max(" + process("start_time_seconds") + ")", ""}},
		},
		{
			title: "Version", unit: "short", w: 4, h: 4, stat: true, name: true,
			about: "What runs where.",
			of:    []series{{sumBy("version, goversion", metric("build_info")), "{{version}} {{goversion}}"}},
		},
	}}
}

func metricOfGC() string { return `go_gc_duration_seconds{` + selected + `,quantile="1"}` }
