package front

import (
	"log/slog"
	"time"
)

// Config is what a Conn is told. Zero fields take the defaults named here; one
// Config may serve any number of Conns, and does not change.
type Config struct {
	Hostname string // in what the front says
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

// What Config leaves to defaults.
const (
	defaultCommandSize = 64 << 10
	defaultLoginTime   = 60 * time.Second
	defaultMaxIdle     = 35 * time.Minute
)

func (c *Config) commandSize() int { return or(c.CommandSize, defaultCommandSize) }

func (c *Config) loginTime() time.Duration { return or(c.LoginTime, defaultLoginTime) }

func (c *Config) maxIdle() time.Duration { return or(c.MaxIdle, defaultMaxIdle) }

func (c *Config) log() *slog.Logger {
	if c.Log == nil {
		return slog.Default()
	}
	return c.Log
}

func or[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// Bounds that are no settings.
const (
	// maxShown is the longest line that the library is shown: beyond its
	// maxCommandSize, 50 KiB, it would lose its place in the conversation.
	maxShown = 50_000
	// maxSASL is the longest line of an AUTHENTICATE exchange: the library reads it
	// into a buffer of 4,096.
	maxSASL = 4000
	// maxSwallow is how much of what was refused is read to stay in step with a
	// client that did not wait for our leave.
	maxSwallow = 64 << 10
	// maxTail is the longest rest of a line after the message of APPEND.
	maxTail = 1000

	// Before the login: one literal, all octets, all commands.
	strangersLiteral  = 4 << 10 // RFC 7888 section 5 (LITERAL-)
	strangersOctets   = 64 << 10
	strangersCommands = 100
	// maxBad is how many BADs in a row a client may earn, and before the login how
	// many refusals at all.
	maxBad = 20

	// A command that has begun must arrive at minRate octets per second after
	// commandGrace, and never stall for longer than maxStall.
	minRate      = 1 << 10
	commandGrace = time.Minute
	maxStall     = 2 * time.Minute

	// flushAt is how much output is collected; pieces of that size must each be
	// taken by the client within writeTime: more than 500 octets per second.
	flushAt   = 32 << 10
	writeTime = time.Minute
	// lastWord bounds the sending of what is left at the end.
	lastWord = 10 * time.Second

	readBuffer = 4 << 10 // a client's commands; messages are read past it
	keepBuffer = 8 << 10 // of larger ones, memory is given back
)
