// Package maillog is the stage that records mail events: one JSON object a
// line, in the order in which they happened.
//
// New opens the log, Run writes in the background, Log.Record takes an event
// from any stage, Log.Flush returns when everything recorded before is on
// stable storage. The spool calls Flush before a removal becomes durable: that
// keeps promise 5 of package relay.
//
// # Files
//
// The open segment is DIR/mail.jsonl, plain text under a name that stays, so
// that tail -F and log shippers follow it. When it is large or old enough it
// becomes mail-TIME.jsonl, TIME being the moment of closing in UTC, and a
// little later mail-TIME.jsonl.zst (zstd). Retention deletes whole segments by
// that TIME.
//
// A record is on disk once or, after trouble, more than once: a crash may
// repeat an attempt, and after a failed sync the records in doubt are written
// again into a new segment. event_id tells such copies.
//
// After a crash the last line of the open segment may be torn. Such a segment
// is closed at the next start, and sealing leaves out what is no whole line.
//
// # Fields of a record
//
// Names and meaning are KumoMTA's, so that its consumers work. A field that
// has nothing to say is left out, except where the table says "always".
//
//	type                   always; Reception, Delivery, TransientFailure, Bounce, Expiration, AdminBounce,
//	                       OOB, Feedback, Rejection, Delayed, AdminRebind
//	id                     the message; none for a Rejection
//	event_id               always; the same for every copy of one fact: message-recipient-attempt-type
//	time                   always; when it happened, RFC 3339 with milliseconds, UTC
//	timestamp              always; the same in Unix seconds
//	created                when the message was accepted, Unix seconds
//	sender                 always; reverse path without brackets, "" for the null sender
//	recipient              always; forward path; an array where an event speaks of several recipients
//	queue                  always; CAMPAIGN:TENANT@DOMAIN as far as there are such
//	site                   always; the lane, SOURCE->SITE
//	size                   always; octets of the message
//	response               always; what decided: {code, enhanced_code {class, subject, detail}, content, command}
//	peer_address           {name, addr}: the client of a Reception or Rejection, else the remote server
//	num_attempts           always; attempts that counted so far, this one included
//	bounce_classification  always; what is wrong (mail.Class), "Uncategorized" where nothing is
//	egress_source          the source used
//	source_address         {address}: our address on the connection
//	delivery_protocol      ESMTP or Local; only where a next hop was tried
//	reception_protocol     always; as in a Received field (ESMTPSA, HTTP ...), or Internal for our own DSNs
//	nodeid                 always; Config.NodeID
//	session_id             the SMTP session in which the message came
//	tls_cipher, tls_protocol_version, tls_peer_subject_name    of the connection to the remote server
//	feedback_report        of a Feedback: {feedback_type, user_agent, arrival_date, incidents, ...}, see package wire/arf
//	meta                   always; {tenant, campaign, authn_id}
//	headers                always; {From, Subject, Message-ID} as the message has them, at most 256 octets each
//
// tenma's own additions:
//
//	time_in_queue          seconds since the message was accepted
//	phases                 {dns, connect, tls, transaction}: seconds that parts of the attempt took
//	return_path            what goes out in the place of sender, where that is signed
//	batch_id               the id that the client was told, where its message was split
//	about_id               of an OOB or Feedback: the message of ours that it is about
//	tls_policy             the demand that was applied: opportunistic, required, ...
//	tls_verified           true if the remote server's certificate was good for it
//	priority               bulk or urgent; left out for ordinary mail
//	bounce_severity        hard, soft, block, admin or undetermined: what a failure says about the recipient
//	bounce_action          retry, bounce, slow down or reroute: what a sender does best
//	bounce_rule            the rule that the reply was known by
//	detail                 our own words about what went wrong
package maillog
