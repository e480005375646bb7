package source

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"tenma/bench/load"
	"tenma/bench/source/letter"
)

// Pipelining is what a session writes without waiting for replies.
type Pipelining int

// How far a session writes ahead.
const (
	PipelineOff    Pipelining = iota // every command waits for the reply to the one before
	PipelineOn                       // MAIL, RCPT and DATA in one write (RFC 2920); with BDAT the message too (RFC 3030)
	PipelineAcross                   // and the next message's commands ride behind the end of this one
)

// TLSMode says how a connection is protected.
type TLSMode int

// Ways to TLS.
const (
	TLSNone     TLSMode = iota
	TLSStart            // STARTTLS (RFC 3207)
	TLSImplicit         // from the first octet (RFC 8314)
)

// Spacing is how the due times of an open loop lie.
type Spacing int

// Spacings.
const (
	SpacingPoisson  Spacing = iota // as of many independent senders: gaps are exponentially distributed
	SpacingConstant                // even
)

// Limits of a Config.
const (
	maxSessions   = 100_000
	maxRecipients = 1000
	maxWindow     = 1000
	maxRun        = 64 // octets of a run's name: load.Tag
)

// Config is a load. Make one with Default or Parse.
type Config struct {
	// Address is the server's "host:port".
	Address string
	// Run names the load in its messages and at the sink; "": New makes one up.
	Run string
	// Seed decides everything that is random.
	Seed uint64

	// Sessions is how many connections are open at most.
	Sessions int
	// PerSession is how many messages a connection carries, 0 for no limit.
	PerSession int
	// Count is how many messages are sent; 0: until Duration or the context
	// ends, at most load.MaxMessages.
	Count int64
	// Duration ends the load: no message starts later. 0: none.
	Duration time.Duration

	// Rate makes an open loop; zero: a closed one.
	Rate Rate
	// Spacing is for an open loop.
	Spacing Spacing

	Hello      string // said in EHLO
	LMTP       bool   // LHLO, and a final reply for each recipient (RFC 2033)
	Pipelining Pipelining
	BDAT       bool // instead of DATA
	// Window is how many messages may wait for their reply on a connection,
	// with BDAT and PipelineAcross.
	Window int

	TLS        TLSMode
	CAFile     string // PEM; the server's certificate is verified against it
	Verify     bool   // verified, against the system's roots unless CAFile is given
	ServerName string // in the certificate; "": the host of Address
	Resume     bool   // TLS sessions are resumed

	User, Password string // log in with AUTH; User "": not
	Mechanism      string // PLAIN, LOGIN or SCRAM-SHA-256

	From       string // envelope sender, "" for the null sender
	Recipients int    // of each message, all in one domain
	Users      int    // local parts: u0 to u(Users-1)
	Domains    letter.Domains
	Size       letter.Sizes // ignored with Corpus
	Corpus     string       // folder of .eml files that are sent instead of made-up text

	// Bind are the addresses that connections come from, in turns; none: the
	// system chooses. An address has some 28,000 ports for one server.
	Bind []netip.Addr

	// Timeout is how long a reply may take at least, and twice that at most.
	Timeout time.Duration
	// Patience is how long the server may be unreachable before Run gives up.
	Patience time.Duration
	// Grace is how long replies are awaited after the context ended.
	Grace time.Duration

	// Sink is asked for arrivals; nil: none is.
	Sink Sink
	// Wait is how long after the last arrival the sink is given up on; 0: Run
	// does not wait for arrivals (Await does).
	Wait time.Duration

	// Dial opens connections; nil: TCP. local is zero where Bind is empty.
	Dial func(ctx context.Context, local netip.Addr, address string) (net.Conn, error)
}

// Default is a small closed loop: 10 sessions, 20 messages of 4 KiB a
// connection, to one domain, until it is stopped.
func Default() Config {
	return Config{
		Address: "127.0.0.1:25", Seed: 1, Sessions: 10, PerSession: 20, Hello: "source.test", Window: 4, Resume: true,
		From: "bench@src.test", Recipients: 1, Users: 100, Domains: letter.Domains{{Name: "bulk.test", Count: 1, Weight: 1}},
		Size: letter.Sizes{{Octets: 4096, Weight: 1}}, Timeout: 5 * time.Minute, Patience: 10 * time.Second, Grace: 5 * time.Second, Wait: 20 * time.Second,
	}
}

// check tells what cannot work.
func (c *Config) check() error {
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		return fmt.Errorf("address %q: %w; it is HOST:PORT", c.Address, err)
	}
	between := func(name string, v, low, high int64) error {
		if v < low || v > high {
			return fmt.Errorf("%s is %d, not between %d and %d", name, v, low, high)
		}
		return nil
	}
	err := errors.Join(
		between("sessions", int64(c.Sessions), 1, maxSessions),
		between("per-session", int64(c.PerSession), 0, load.MaxMessages),
		between("count", c.Count, 0, load.MaxMessages),
		between("window", int64(c.Window), 1, maxWindow),
		between("recipients", int64(c.Recipients), 1, maxRecipients),
		between("users", int64(c.Users), 1, 1<<30),
		c.Rate.check(), c.Domains.Check(),
	)
	switch {
	case err != nil:
		return err
	case c.Duration < 0 || c.Timeout <= 0 || c.Patience <= 0 || c.Grace < 0 || c.Wait < 0:
		return errors.New("a time is negative, or the timeout or patience is 0")
	case !plain(c.Run, maxRun):
		return fmt.Errorf("run %q is not of at most %d letters, digits, dots, hyphens and underscores", c.Run, maxRun)
	case c.Hello == "" || strings.ContainsAny(c.Hello, " \r\n<>"):
		return fmt.Errorf("hello %q is not a host name", c.Hello)
	case strings.ContainsAny(c.From, " \r\n<>"):
		return fmt.Errorf("from %q is not an address", c.From)
	case c.User == "" && (c.Password != "" || c.Mechanism != ""):
		return errors.New("a password or mechanism needs a user")
	case strings.ContainsAny(c.User+c.Password, "\x00\r\n"):
		return errors.New("user or password with a control character")
	case c.TLS == TLSNone && (c.CAFile != "" || c.Verify || c.ServerName != ""):
		return errors.New("verifying a certificate needs tls=starttls or tls=implicit")
	}
	if c.Corpus == "" {
		return c.Size.Check()
	}
	return nil
}

// plain reports whether s can stand in a Tag, a Message-ID and a URL.
func plain(s string, most int) bool {
	for i := range len(s) {
		if b := s[i]; !(b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '-' || b == '_' || b == '.') {
			return false
		}
	}
	return len(s) <= most
}

// tlsConfig makes what every connection uses.
func (c *Config) tlsConfig() (*tls.Config, error) {
	if c.TLS == TLSNone {
		return nil, nil
	}
	t := &tls.Config{ServerName: c.ServerName, InsecureSkipVerify: !c.Verify && c.CAFile == "", MinVersion: tls.VersionTLS12}
	if t.ServerName == "" {
		t.ServerName, _, _ = net.SplitHostPort(c.Address)
	}
	if c.Resume {
		t.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	if c.CAFile == "" {
		return t, nil
	}
	var err error
	t.RootCAs, err = readRoots(c.CAFile)
	return t, err
}
