package front

// Session is what the front asks of the session that the library works with. Its
// methods are called in the goroutine of the library, one at a time.
type Session interface {
	// Handle answers a command of Config.Own. Untagged responses go to w; the
	// result is the tagged one without tag and line end: "OK FETCH completed",
	// "NO [TRYCREATE] no such mailbox", "BAD ...". When a write fails the
	// connection is over and the result does not matter.
	Handle(w *Writer, cmd *Command) (status string)
	// Rewrite may change Name and Args of a command before the library sees it.
	// If it gives a status, as Handle's, that is the answer, and the library does
	// not see the command.
	Rewrite(cmd *Command) (status string)
	// Response may change a line that the library answers cmd with: untagged or
	// tagged, without line end, one that has no literal in it. cmd is nil for the
	// greeting. The line must not be kept. Nil drops it, unless it is tagged.
	Response(cmd *Command, line []byte) []byte
	// Capabilities edits the list that is shown to the client. AUTH=,
	// LOGINDISABLED and STARTTLS are set right by the front afterwards.
	Capabilities(caps []string, loggedIn bool) []string
	// AppendLimit is how many octets a message of APPEND may have (RFC 7889).
	AppendLimit() int64
}
