// Package front owns the sockets of the SMTP listeners: it stands below
// go-smtp, which reads and writes it as if it were the connection, and above
// the kernel.
//
// An SMTP server has two jobs that want different treatment. Commands are few
// and have a grammar; go-smtp knows it. Bodies are long and have almost none;
// reading them octet by octet through layers of buffers is where the time of a
// server goes, and where the classic holes are: a body that was cut off and
// taken for whole, an end of data that two servers see in different places
// (SMTP smuggling), a plaintext command that survives STARTTLS.
//
// So the front shows go-smtp exactly one command line for each Read, collects
// the replies until the client must wait for them, and keeps bodies for itself.
// In Session.Data the session asks the Conn for the Body and has it written
// where it belongs, in canonical form; then the front shows go-smtp an empty
// body, a lone dot. BDAT (RFC 3030) never reaches go-smtp: the front shows it
// a DATA, keeps the 354, and feeds the chunks to the same Body.
//
// Start with Listener (who gets in, drain), then Conn (Read and Write as
// go-smtp sees them), command.go (what each line is good for), reply.go (what
// is noted and changed in the answers), Body and lines.go (the content).
//
// # What goes wrong is final
//
// After a read error, a time-out or a 421 a Conn shows go-smtp nothing but end
// of file and swallows what it still says. No half of a conversation is ever
// taken for the beginning of another.
//
// # Octets that are refused in a body
//
// A carriage return without a line feed always, a line feed without a carriage
// return unless the client is vouched for; then it becomes CRLF (RFC 5321
// section 2.3.8 forbids both). Only CRLF "." CRLF ends DATA. NUL and the other
// control characters are let through: section 4.1.1.4 allows all 128 codes,
// and readers must accept them (RFC 5322 section 4).
package front
