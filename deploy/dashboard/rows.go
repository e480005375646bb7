package main

// road is the message's way: what to look at first.
func road() []group {
	return []group{glance(), in(), disk(), queue(), out()}
}

func glance() group {
	return group{title: "Does mail flow?", charts: []chart{
		{
			title: "Accepted", unit: "cps", w: 4, h: 4, stat: true,
			about: "Messages a second that got a 250. Zero at a time when there is always mail: the row In shows whether clients connect, and what they are told.",
			of:    []series{{rate(metric("intake_messages_total")), ""}},
		},
		{
			title: "Delivered", unit: "cps", w: 4, h: 4, stat: true,
			about: "Recipients a second whose next hop took the message. Zero while mail is accepted: see the alert TenmaDeliveryStopped in the guide.",
			of:    []series{{rate(metric("queue_recipients_total", `fate="sent"`)), ""}},
		},
		{
			title: "Put off", unit: "percentunit", w: 4, h: 4, stat: true, warn: .2, bad: .5,
			about: "Share of attempts that next hops put off (4yz, no connection). Some is normal: greylisting. Much: \"tenma queue summary\" shows which lane and its last reply.",
			of:    []series{{share(rate(metric("queue_recipients_total", `fate="deferred"`)), rate(metric("queue_recipients_total"))), ""}},
		},
		{
			title: "In the spool", unit: "short", w: 4, h: 4, stat: true,
			about: "Messages that were accepted and are not finished. It should go up and down with the day; one that only rises ends in a full disk.",
			of:    []series{{sum(metric("spool_entries")), ""}},
		},
		{
			title: "Oldest message", unit: "s", w: 4, h: 4, stat: true, warn: 4 * 3600, bad: 24 * 3600,
			about: "Age of the oldest message, one on hold included. Hours mean some receiver is down, which is normal in bulk; \"tenma queue list\" shows the oldest first, with the reason.",
			of:    []series{{worst(metric("spool_oldest_seconds")), ""}},
		},
		{
			title: "Storage", unit: "short", w: 4, h: 4, stat: true, warn: 1, bad: 2,
			words: map[string]mapResult{"0": {"safe", "green"}, "1": {"not synced", "yellow"}, "2": {"FAILED", "red"}, "3": {"FAILED", "red"}},
			about: "FAILED: the disk returned an error; no mail is taken or sent until the process is restarted on a disk that works. Not synced: spool.sync = false, a 250 is no promise.",
			of:    []series{{worst("2 * " + metric("spool_sick") + " + " + metric("spool_unsynced")), ""}},
		},
		{
			title: "What becomes of mail", unit: "cps", w: 16, h: 8,
			about: "A second: messages accepted, and fates of recipients. Deferred is tried again; failed and expired are returned to the sender. Failures that jump without more mail: a list of bad addresses, or a provider that blocks; \"grep Bounce\" in the mail log says why.",
			of: []series{
				{rate(metric("intake_messages_total")), "accepted"},
				{rateBy("fate", metric("queue_recipients_total")), "{{fate}}"},
			},
		},
		{
			title: "Alerts that fire", unit: "short", w: 8, h: 8,
			about: "Needs the rules of deploy/prometheus. The guide \"watching\" has a paragraph on each: what it means, what to do.",
			of:    []series{{`sum by (alertname, severity) (ALERTS{alertname=~"Tenma.*",alertstate="firing"})`, "{{alertname}} ({{severity}})"}},
		},
	}}
}

func in() group {
	return group{title: "In: clients hand mail to us", charts: []chart{
		{
			title: "Messages in, by listener", unit: "cps",
			about: "Messages answered 250 after their last octet, by listener.",
			of:    []series{{rateBy("listener", metric("ingress_messages_total")), "{{listener}}"}},
		},
		{
			title: "Time to the 250", unit: "s",
			about: "Wait of a message for stable storage. It is the disk's time: when it rises see Sync time; clients that wait long hold their connections.",
			of:    latency("intake_commit_seconds"),
		},
		{
			title: "Octets in", unit: "Bps",
			about: "Bodies of accepted messages.",
			of:    []series{{rateBy("listener", metric("ingress_message_bytes_total")), "{{listener}}"}},
		},
		{
			title: "Sessions", unit: "short",
			about: "Open SMTP sessions. At the listener's max_connections others are refused: raise it, or find the client that opens hundreds.",
			of:    []series{{sumBy("listener", metric("ingress_sessions")), "{{listener}}"}},
		},
		{
			title: "Connections", unit: "cps",
			about: "New connections, and those refused by reason. address: one client has too many; rate: too many a minute; total: the listener is full; drain: we are stopping.",
			of: []series{
				{rate(metric("ingress_connections_total")), "all"},
				{rateBy("reason", metric("ingress_connections_refused_total")), "refused: {{reason}}"},
			},
		},
		{
			title: "Messages refused", unit: "cps",
			about: "After or during the content. full: the disk is near its reserve; memory: bodies come faster than they can be stored; storage: the spool does not work; sender: someone sends as somebody else. The program log has each.",
			of: []series{
				{rateBy("reason", metric("intake_refused_total")), "{{reason}}"},
				{rateBy("status", metric("ingress_messages_refused_total")), "reply {{status}}"},
			},
		},
		{
			title: "Commands refused", unit: "cps",
			about: "4yz and 5yz replies before the content. 5.7.1 at RCPT: a client that may not relay here; 5.1.1: unknown mailboxes, often a list to guess names with.",
			of:    []series{{"topk(12, " + rateBy("command, status", metric("ingress_commands_refused_total")) + ")", "{{command}} {{status}}"}},
		},
		{
			title: "Over an account's limit", unit: "cps",
			about: "MAIL and RCPT refused since an account sent too much within an hour: often a stolen password. The log names the account; \"tenma user passwd\" locks the thief out.",
			of:    []series{{rateBy("kind", metric("ingress_rate_limited_total")), "{{kind}}"}},
		},
		{
			title: "TLS with clients", unit: "cps",
			about: "Handshakes on our listeners. Failures only: an expired certificate (see Certificate below) or clients too old for tls.minimum.",
			of:    []series{{rateBy("result", metric("ingress_tls_sessions_total")), "{{result}}"}},
		},
	}}
}

func disk() group {
	return group{title: "To disk: the spool", charts: []chart{
		{
			title: "Sync time", unit: "s",
			about: "One group commit: build, write, sync. Some ms on a good SSD. Tens of ms: another program writes on the same disk, or the disk is failing (see the kernel's log).",
			of:    latency("spool_group_seconds"),
		},
		{
			title: "Commits that share a sync", unit: "short",
			about: "Mean size of a group. It grows with the load by itself; that is how durable mail stays fast.",
			of:    []series{{mean("spool_group_requests"), "requests a sync"}},
		},
		{
			title: "Commits and settlements", unit: "cps",
			about: "Messages stored (staged: large ones, outside the group), handed to the queue, outcomes stored, and the syncs for all. Handed far above commits: the backlog is read back after a restart.",
			of: []series{
				{rate(metric("spool_commits_total")), "commits"},
				{rate(metric("intake_staged_total")), "staged"},
				{rate(metric("spool_fed_total")), "handed to the queue"},
				{rate(metric("spool_settlements_total")), "settlements"},
				{rate(metric("spool_groups_total")), "syncs"},
			},
		},
		{
			title: "Room on the disk", unit: "bytes",
			about: "When free meets reserve, clients hear 452 until there is room again; deliveries go on. Make room, move the spool to a larger disk, or delete mail that nobody wants: \"tenma queue delete --help\".",
			of: []series{
				{"min by (instance) (" + metric("spool_free_bytes") + ")", "free {{instance}}"},
				{"max by (instance) (" + metric("spool_reserve_bytes") + ")", "reserve {{instance}}"},
				{"sum by (instance) (" + metric("spool_disk_bytes") + ")", "spool {{instance}}"},
			},
		},
		{
			title: "Bodies", unit: "bytes",
			about: "Bodies of all entries, and those still in memory (at most spool.memory).",
			of: []series{
				{sum(metric("spool_body_bytes")), "all"},
				{sum(metric("spool_cached_bytes")), "in memory"},
				{sum(metric("intake_held_bytes")), "arriving"},
			},
		},
		{
			title: "Refused and unreadable", unit: "cps",
			about: "Commits refused: full, sick. Duplicate is an idempotency key that came twice, which is its purpose. Unreadable entries: the program log names them; look at the disk.",
			of: []series{
				{rateBy("reason", metric("spool_refused_total")), "{{reason}}"},
				{rate(metric("spool_unreadable_total")), "unreadable"},
			},
		},
		{
			title: "Where bodies are read", unit: "cps",
			about: "Disk: messages that waited, or came faster than they went. While all mail goes out at once it should be next to nothing; if not, raise spool.memory.",
			of:    []series{{rateBy("from", metric("spool_body_reads_total")), "{{from}}"}},
		},
	}}
}

func queue() group {
	return group{title: "The queue", charts: []chart{
		{
			title: "Depth by state", unit: "short", stack: true,
			about: "Ready: wait for a connection; running: attempts under way; deferred: wait for their time, in memory; parked: the same, on disk only. Ready that grows: receivers are slower than the senders, or the lanes' connection limits bind. Deferred that grows: see Put off.",
			of: []series{
				{sum(metric("queue_running")), "running"},
				{sum(metric("queue_ready")), "ready"},
				{sum(metric("queue_deferred")), "deferred"},
				{sum(metric("spool_parked")), "parked"},
			},
		},
		{
			title: "Oldest message", unit: "s",
			about: "Age of the oldest message, by instance. It drops when that message is delivered or expires (delivery.expire).",
			of:    []series{{"max by (instance) (" + metric("spool_oldest_seconds") + ")", "{{instance}}"}},
		},
		{
			title: "Time in the queue, delivered mail", unit: "s",
			about: "From the 250 to the next hop's 250, by class. Urgent must stay low whatever bulk does. It counts what was delivered: for what is stuck see Oldest message.",
			of: []series{
				{quantile(.5, "queue_sent_seconds", "class"), "{{class}} p50"},
				{quantile(.99, "queue_sent_seconds", "class"), "{{class}} p99"},
			},
		},
		{
			title: "Fates", unit: "cps",
			about: "Outcomes of attempts, one per recipient.",
			of:    []series{{rateBy("fate", metric("queue_recipients_total")), "{{fate}}"}},
		},
		{
			title: "Tries that cost no attempt", unit: "cps",
			about: "Mostly connections that ended before the message had its turn. Many: a receiver drops connections; \"tenma queue summary\" shows the lane.",
			of:    []series{{rate(metric("queue_untried_total")), "untried"}},
		},
		{
			title: "Lanes and look-ups", unit: "short",
			about: "Lanes (destinations) in memory, and domains looked up a second. A jump of lanes is mail to many new domains, which costs memory.",
			of: []series{
				{sum(metric("queue_lanes")), "lanes"},
				{rate(metric("queue_lookups_total")), "look-ups a second"},
			},
		},
		{
			title: "Destinations that cannot be reached", unit: "short",
			about: "Lanes at rest: their mail waits while one message at a time is tried. \"tenma queue summary --resting\" says which, since when and why. One: that host. Many at once: our own way out, or DNS.",
			of:    []series{{sumBy("instance", metric("queue_resting_lanes")), "{{instance}}"}},
		},
		{
			title: "Signatures", unit: "cps",
			about: "Messages that went through DKIM. RSA costs CPU; when the CPU is the limit, Ed25519 beside a short RSA key, or fewer signatures a message.",
			of:    []series{{rate(metric("queue_signatures_total")), "signed"}},
		},
		{
			title: "Returned mail", unit: "cps",
			about: "DSNs composed. Failed that jumps means senders hear of many failures at once; see Fates.",
			of:    []series{{rateBy("action", metric("bounce_dsns_total")), "{{action}}"}},
		},
		{
			title: "Not written to", unit: "cps",
			about: "Recipients on the suppression list, by where that was noticed, and entries that the relay made by itself, by reason. Many entries at once: a bad list.",
			of: []series{
				{rateBy("from", metric("suppress_hits_total")), "noticed at {{from}}"},
				{rateBy("reason", metric("suppress_made_total")), "new: {{reason}}"},
				{rate(metric("suppress_errors_total")), "lookups that failed"},
				{rate(metric("suppress_lost_total")), "failures not noted"},
			},
		},
		{
			title: "Suppression list", unit: "short",
			about: "Entries by reason; those that a storm of false failures made and that are held, and storms now: see the alert TenmaSuppressStorm in the guide.",
			of: []series{
				{sumBy("reason", metric("suppress_entries")), "{{reason}}"},
				{sum(metric("suppress_held_entries")), "held"},
				{sum(metric("suppress_storms")), "storms"},
			},
		},
		{
			title: "Not recorded", unit: "short",
			about: "Shards that hold deliveries since their outcome could not be stored, settlements that failed, entries that could not be read. Anything but zero: the disk; see Storage.",
			of: []series{
				{sum(metric("queue_paused_shards")), "paused shards"},
				{rate(metric("queue_settlements_total", `result="error"`)), "failed settlements a second"},
				{rate(metric("queue_damaged_total")), "damaged entries a second"},
			},
		},
	}}
}

func out() group {
	return group{title: "Out: to the next hop", charts: []chart{
		{
			title: "Outcomes", unit: "cps",
			about: "What next hops said, one per recipient. Untried costs no attempt.",
			of:    []series{{rateBy("fate", metric("delivery_recipients_total")), "{{fate}}"}},
		},
		{
			title: "Transaction time", unit: "s",
			about: "From MAIL to the final reply: the receivers' speed. Seconds at p50 mean receivers that scan while we wait, or a far network.",
			of:    latency("delivery_transaction_seconds"),
		},
		{
			title: "Connections", unit: "short",
			about: "Sockets open, and those idle in the pool. Flat at a limit while Ready grows: the limit binds, see the lanes' settings.",
			of: []series{
				{sum(metric("delivery_connections")), "open"},
				{sum(metric("delivery_idle_connections")), "idle"},
			},
		},
		{
			title: "Sessions opened", unit: "cps",
			about: "Failed that rises for all: our own network, firewall or DNS (port 25 closed by the provider?). For some lanes: those receivers.",
			of: []series{
				{rateBy("result", metric("delivery_sessions_total")), "{{result}}"},
				{rate(metric("delivery_reused_total")), "reused"},
				{rate(metric("delivery_stale_total")), "dead when reused"},
			},
		},
		{
			title: "Pipelining over messages", unit: "cps",
			about: "Transactions, those begun behind another's final dot, and those whose replies were lost that way (they are tried again at no cost).",
			of: []series{
				{rate(metric("delivery_transactions_total")), "transactions"},
				{rate(metric("delivery_rides_total")), "behind a final dot"},
				{rate(metric("delivery_rides_lost_total")), "lost"},
			},
		},
		{
			title: "TLS with next hops", unit: "cps",
			about: "Handshakes; plaintext counts sessions without TLS after a broken handshake, where nothing demands it. Failed for all: the clock, or the roots of this machine.",
			of: []series{
				{rateBy("result", metric("delivery_tls_handshakes_total")), "{{result}}"},
				{rate(metric("delivery_tls_plaintext_total")), "plaintext"},
			},
		},
		{
			title: "Octets out and in", unit: "Bps",
			about: "SMTP octets with next hops, TLS not counted.",
			of:    []series{{rateBy("direction", metric("delivery_bytes_total")), "{{direction}}"}},
		},
	}}
}
