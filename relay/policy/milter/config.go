package milter

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"

	"tenma/metrics"
	"tenma/relay/mail"
)

// Scope says whose mail a filter is asked about.
type Scope string

// The scopes, spelled as in the configuration.
const (
	All        Scope = "all"
	Strangers  Scope = "strangers"  // who may not relay: mail from outside
	Submission Scope = "submission" // what people and programs of ours submit
)

// Default says what becomes of a message where a filter fails.
type Default string

// The defaults, spelled as in the configuration.
const (
	TempFail Default = "tempfail" // 451, the client tries again
	Take     Default = "accept"   // as if the filter had nothing against it
	Refuse   Default = "reject"   // 550
)

// Filter is one mail filter. Zero fields take the defaults named here.
type Filter struct {
	Name    string // in logs and metrics
	Network string // "unix" or "tcp"
	Address string // path of the socket, or host and port

	For       Scope    // "": All
	Listeners []string // addresses of the listeners whose mail it sees; none: of all
	Default   Default  // "": TempFail

	Connect time.Duration // bound of connecting and negotiating; 0: 5 s
	Command time.Duration // bound of each answer before the end of the message; 0: 10 s
	End     time.Duration // bound of the answer to the end of the message, and between signs of progress; 0: 60 s

	MaxSize        int64 // longer messages pass unseen, in octets; 0: no limit
	MaxConnections int   // talks at a time, half of them about mail of who may not relay; more wait for Connect at most; 0: 50
	MaxHeaders     int   // fields that it may add or change in one message; 0: 50
	MaxHeaderSize  int   // octets of all of them; 0: 64 KiB
}

// maxWait bounds what all answers of one filter to one message may take together.
// Clients wait ten minutes for the reply to their last octet (RFC 5321 section
// 4.5.3.2.6), of which this leaves half to the other filters and to the disk.
const maxWait = 5 * time.Minute

func (f Filter) withDefaults() Filter {
	f.For = cmp.Or(f.For, All)
	f.Default = cmp.Or(f.Default, TempFail)
	f.Connect = cmp.Or(f.Connect, 5*time.Second)
	f.Command = cmp.Or(f.Command, 10*time.Second)
	f.End = cmp.Or(f.End, time.Minute)
	f.MaxConnections = cmp.Or(f.MaxConnections, 50)
	f.MaxHeaders = cmp.Or(f.MaxHeaders, 50)
	f.MaxHeaderSize = cmp.Or(f.MaxHeaderSize, 64<<10)
	return f
}

// asksAbout reports whether the filter is to see a message.
func (f *Filter) asksAbout(e *mail.Envelope) bool {
	if len(f.Listeners) > 0 && !slices.Contains(f.Listeners, e.Listener) {
		return false
	}
	switch f.For {
	case Strangers:
		return !e.Trusted && e.Origin == mail.FromSMTP
	case Submission:
		return e.Submission || e.Account != "" || e.Origin == mail.FromHTTP
	}
	return true
}

// Config is what an Adviser is told.
type Config struct {
	Hostname string   // what filters are told as this host's name
	Filters  []Filter // asked in this order
}

// Deps are what an Adviser works with.
type Deps struct {
	Dial    func(ctx context.Context, network, address string) (net.Conn, error) // nil: net.Dialer's
	Names   Names                                                                // nil: clients have no names
	Metrics *metrics.Milter                                                      // nil: counted for nobody
	Log     *slog.Logger                                                         // nil: silent
}

// Names knows the host names of clients.
type Names interface {
	// Name gives the name that an address has and that leads back to it; ""
	// where there is none.
	Name(ctx context.Context, a netip.Addr) string
}
