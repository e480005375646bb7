// Package dsn holds the words of delivery status notifications. It is pure: no
// I/O, no clock.
//
// Asking for a DSN happens in the SMTP dialogue (RFC 3461): Notify says when a
// sender wants one, Ret how much of the message comes back, ENVID and ORCPT
// are text that the report repeats. ENVID and ORCPT travel as xtext, which
// AppendXtext and ParseXtext know; the UTF-8 forms of ORCPT are RFC 6533's.
//
// The answer is a report: Report and Recipient are the fields of a
// message/delivery-status part (RFC 3464). Report.Append writes one that is
// safe to send whatever text it is given, Parse reads what other mail systems
// write, with all the liberties that they take.
//
//	RFC 3461 section 4    xtext, NOTIFY, ORCPT, RET, ENVID       both ways
//	RFC 3464 section 2.2  fields about the message              both ways
//	RFC 3464 section 2.3  fields about a recipient              both ways
//	RFC 6533 section 3    address type utf-8 in its three forms  both ways
//	RFC 3464 section 2.4  extension fields                       read over
package dsn
