package front

import (
	"net"

	"tenma/relay/door"
)

// Conn is one connection as the library sees it. The library's goroutines use it,
// and Session's methods in them.
type Conn struct{ *door.Conn }

// New puts a front on a connection.
func New(dc *door.Conn, cfg *Config) *Conn { return &Conn{Conn: dc} }

// Attach makes s the session of the connection. To be called in the library's
// NewSession.
func (c *Conn) Attach(s Session) {}

// LoggedIn reports that a LOGIN or AUTHENTICATE has succeeded.
func (c *Conn) LoggedIn() bool { return false }

// Writer writes to the client as Handle's does. It is for untagged responses that
// the session sends while the library waits for one of its methods, say SELECT's
// HIGHESTMODSEQ: they come before what the library then writes.
func (c *Conn) Writer() *Writer { return nil }

// Bye says BYE with text, which may begin with a response code, and ends the
// connection when what goes on has returned.
func (c *Conn) Bye(text string) {}

// Writer sends responses of the session's to the client as they are, past the
// editing of the library's. Errors are final and of the type of net.ErrClosed.
type Writer struct{ c *Conn }

// Write collects p and sends what was collected when it is much. It keeps nothing
// of p.
func (w *Writer) Write(p []byte) (int, error) { return len(p), nil }

// WriteString is Write for a string.
func (w *Writer) WriteString(s string) (int, error) { return len(s), nil }

// Listener is the net.Listener that the library serves.
type Listener struct{}

// NewListener makes one; addr is only told.
func NewListener(addr net.Addr) *Listener { return &Listener{} }

// Serve hands c to the library and returns when the library is done with it. It is
// what a handler of door.Serve calls. After Close it returns at once.
func (l *Listener) Serve(c *Conn) {}

// Accept is for the library.
func (l *Listener) Accept() (net.Conn, error) { return nil, net.ErrClosed }

// Close makes the library's Serve return.
func (l *Listener) Close() error { return nil }

// Addr is the address it was made with.
func (l *Listener) Addr() net.Addr { return nil }
