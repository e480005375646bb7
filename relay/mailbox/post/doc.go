// Package post brings messages to the people who live here. For each recipient
// of an attempt it finds out where its mail goes: into mailboxes, to addresses
// that an account or an alias forwards to, back to a sender that was rewritten
// for a forward. All mailboxes of an attempt get it in one step; what is
// forwarded and answered goes out through the Outbox under a key of its own. So a
// delivery that is repeated, after a crash or because one of several mailboxes was
// full, doubles nothing.
//
//	post.go     Deliver: many attempts at a time, since each waits for a sync
//	plan.go     where a recipient's mail goes
//	forward.go  what goes on, and by which sender (package rules)
//	answer.go   automatic replies
//	warn.go     mailboxes that fill up
//	rewrite.go  the key of rewritten senders
package post
