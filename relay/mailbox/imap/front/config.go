package front

import (
	"log/slog"
	"time"
)

// Config is what a Conn is told. Zero fields take the defaults named here; one
// Config may serve any number of Conns.
type Config struct {
	Hostname string
	// Own names the commands that Session.Handle answers, in upper case: "FETCH",
	// "UID FETCH", "ID". The value says whether a client may give it before it has
	// logged in; if not, it hears BAD then.
	Own map[string]bool
	// CommandSize bounds the octets of a command and, apart from that, of its
	// literals together, the message of APPEND not counted; 0: 64 KiB.
	CommandSize int
	// LoginTime is how long a client may take from its connection to its login; 0:
	// 60 s.
	LoginTime time.Duration
	// MaxIdle is how long it may be silent after that, also in IDLE; 0: 35 minutes.
	// RFC 9051 section 5.4 asks for 30 at least.
	MaxIdle time.Duration
	Log     *slog.Logger // nil: slog.Default
}
