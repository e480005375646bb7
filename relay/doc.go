// Package relay joins the stages of the mail relay and is the only package
// that sees them all.
//
// # The road of a message
//
//  1. ingress (SMTP) checks who may send what to whom and hands envelope and
//     body to intake.
//  2. intake is the only door: loop check, whose mail it is and who may send as
//     whom, verdicts and mail filters, Received field. It writes one spool entry,
//     or one for each recipient where their copies differ (a return path, a link
//     to unsubscribe), and returns when all is on stable storage. Only then does
//     the client hear 250. A full or sick spool is a 452, never a lie.
//  3. spool hands the entry to queue through Feed: when it is new, after a
//     restart, and when a deferred one falls due. One code path.
//  4. queue splits recipients by domain, asks route for the lane, files one
//     small item per message and lane, and hands an Attempt to delivery.
//  5. delivery reuses or dials a connection, meets the TLS demand, pipelines,
//     streams the body, and returns one Outcome per recipient.
//  6. queue settles: sent; deferred; failed or expired, with a DSN that bounce
//     composed. Each fact is one mail.Event. The recipients' new state, the DSN
//     as a new entry, and the removal of a finished entry are one atomic
//     settlement.
//  7. The DSN enters the queue like any other entry, with the null sender; it
//     never causes another.
//
// Mail for a domain that lives here takes the same road, but for the last step:
// instead of delivery, mailbox puts it into the store, from which imap and pop3
// show it to people. What an account forwards or answers enters the spool
// through the outbox, and takes the road from step 3 on.
//
// Mail about our mail ends here too: reports that come back to signed return
// paths, complaints. It takes the same road to bounce/returned, which reads it.
//
// Before delivery, and before mailbox, stands the suppression list: recipients who
// are on it fail there (policy/suppress).
//
// # The promises
//
// Each stands on the type that keeps it, and has a test here that was seen to
// fail with the promise broken (promises_test.go).
//
//  1. 250 only after the commit is durable (ingress.Server; TestPromise1Durable).
//  2. The stored body never changes after commit; added headers are a prefix
//     (spool.Engine; TestPromise2BodyUnchanged).
//  3. A lost settlement may repeat a delivery, never lose one. A settlement is
//     synced within 50 ms even when idle (spool.Engine;
//     TestPromise3NeverLost).
//  4. A DSN commits with the settlement that causes it, under an id derived
//     from the original: a crash repeats neither (bounce.Composer;
//     TestPromise4OneDSN). A failure whose DSN waits for others' is settled as
//     owing it (fate.Owed; TestOwedDSNSurvives).
//  5. A final event reaches the mail log before its entry's removal is durable
//     (maillog.Log; TestPromise5LogFirst).
//  6. After the final dot the reply is awaited, shutdown or not
//     (delivery.Client; TestPromise6DotAwaited).
//  7. The null sender never gets a DSN (bounce.Composer;
//     TestPromise7NoDSNToNull).
//  8. One shard owns a lane; one ledger owns a message (queue.Queue;
//     TestPromise8OneOwner).
//  9. A key signs, and a sender passes, only for a tenant or account that was
//     granted the domain; clients that are trusted by their network are asked
//     where they name a tenant. The header field that names one counts only where
//     that is trusted, and is in no message (intake.Server, dkim.Signer;
//     TestPromise9SenderGranted, TestPromise9TenantGranted).
package relay
