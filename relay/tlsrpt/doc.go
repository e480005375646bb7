// Package tlsrpt is the stage that tells domains, once a day, what became of the
// TLS of our sessions with their hosts (RFC 8460).
//
// A domain that publishes what its hosts must show, by DANE or MTA-STS, cannot see
// what senders see: a certificate that ran out, a host without STARTTLS, an attack.
// So it may ask for reports, in a TXT record at _smtp._tls, and names a mailbox or a
// URL for them. What it gets is one file of JSON a day, from 00:00 to 24:00 UTC: how
// many sessions went well under which policy, and in which ways others failed.
//
// Count takes what became of a session and adds it up (book.go, account.go); it
// costs next to nothing where the domain wants no reports, which is found out some
// minutes after its first session of the day (ask.go). At midnight the day is
// closed, and each report goes out at a moment of its own within the next four hours
// (tell.go): as mail of ours through the spool (mailto.go), or by HTTPS (https.go).
// What has been counted, and what is still to be told, survives a restart but for
// the last minutes (kept.go).
//
// Everything that a stranger can make grow is bounded: domains, policies of one,
// ways to fail. What is beyond a bound is still counted, under an entry without
// particulars.
package tlsrpt
