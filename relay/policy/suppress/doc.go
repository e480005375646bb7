// Package suppress is the adviser that says to whom no mail is to be sent.
//
// Who sends to many addresses must leave out those that do not exist, whose
// owners have complained, and whose owners have had enough: mail hosts judge a
// sender by how often it tries them all the same. The list has an entry for each
// such address, or for a whole domain, with the reason, where it comes from, and
// until when it holds. An entry counts for all mail (scope global), for that of
// one tenant, or for one campaign of a tenant.
//
// List.Find is the question. It is asked when a recipient is named (RCPT), and
// again before each attempt (List.Guarding), since an entry may be younger than
// the mail, and since the tenant of a message may only be known by its header.
// Mail that is not to be sent fails with 550 5.7.1; the other recipients of the
// message are left alone. Mail with the null sender is not asked about, nor is
// mail that others send to us and to ours: this is a list for who sends.
//
// Entries are made by operators (Add), by what came of our own mail
// (List.Listen), and by what comes back later: returned mail, complaints, wishes
// to be left alone (List.Suppress). Only failures that say something about the
// address count (mail.Severity: Hard and Admin).
//
// Some of those are not true. A provider whose directory of users is down says
// "no such user" to everything, and would cost a sender half its list. Package
// storm notices when failures of one provider jump; from then on they are held
// back, those of the minutes before included (feed.go). What is held has no
// effect; it becomes an entry when an operator releases it, or when the address
// fails again after the storm.
//
// The entries lie in a Store; package table is the one on the local disk.
// DESIGN.md says why it is as it is.
package suppress
