package internet

import (
	"crypto/tls"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Points of a conversation at which a Manner may answer in its own way.
const (
	AtConnect  = "connect"
	AtEHLO     = "ehlo"
	AtHELO     = "helo"
	AtStartTLS = "starttls"
	AtMail     = "mail"
	AtRcpt     = "rcpt"
	AtData     = "data"
	AtDot      = "dot" // after the message: its final reply
)

// Two answers that are none.
const (
	Drop  = "drop"  // the connection is closed without a reply
	Stall = "stall" // nothing more is said; the connection stays open
)

// Everywhere stands in Manner.Wait for all points without a time of their own.
const Everywhere = "*"

// Parts of what is said at a point: together at most 1.
type Parts struct{ TempFail, Reject, Drop float64 }

// Manner is how a receiver behaves. The zero value is a friendly, quick,
// modern host without TLS.
type Manner struct {
	// Say overrides the reply at a point: "451 4.3.0 later", several lines
	// parted by "\n", Drop or Stall. A reply "421 ..." closes afterwards.
	Say map[string]string
	// Users overrides the reply to RCPT by local part.
	Users map[string]string
	// Wait delays the reply at a point.
	Wait map[string]time.Duration

	// Last overrides an LMTP host's final reply by local part.
	Last map[string]string

	Without     map[string]bool // EHLO keywords that are not offered, in upper case
	With        []string        // EHLO keywords that are offered besides
	HELOOnly    bool            // EHLO is a 502
	TLS         *tls.Config     // STARTTLS is offered with this
	TLSRequired bool            // MAIL before STARTTLS is a 530
	Size        int64           // SIZE that is offered; 0: 25 MiB
	Greylist    time.Duration   // a sender and recipient unseen so long get a 451
	TempFail    float64         // part of the messages that get a 451 after the dot
	Unknown     float64         // part of the local parts that get a 550, the same ones each time
	MaxConns    int             // more at a time are turned away with 421; 0: no limit
	MaxRcpt     int             // more recipients of one message get a 452; 0: no limit
	TLSBroken   bool            // what follows STARTTLS is no TLS
	Keep        bool            // messages are noted whatever the final reply is
	LMTP        bool            // LHLO, and a final reply for each recipient (RFC 2033)
	MaxMessages int             // MAIL after so many messages of a connection is a 421; 0: no limit

	// Parts of the replies at a point that are none or turn the client away,
	// by chance, where Say leaves it alone.
	Parts map[string]Parts
	// RTT is the round trip to a host far away: replies to one burst of
	// commands arrive together, so much after the burst was sent, however
	// many commands it has. Wait, in contrast, is a host that takes its time
	// over every command. As it was when the connection was opened.
	RTT time.Duration
	// Jitter is how much is added by chance to each Wait and RTT, at most.
	Jitter time.Duration
	// Tarpit is how many octets a second are read and written; 0: no limit.
	// As it was when the connection was opened.
	Tarpit   int
	User     string // must log in with AUTH PLAIN before MAIL; "": nobody
	Password string
}

// ParseManner reads a manner from words, as the test scripts write it:
//
//	say:rcpt=451_4.7.1_later  user:bob=550_5.1.1_no  wait:dot=5m
//	without=PIPELINING  helo-only  tls  tls-required  size=1000
//	greylist=5m  tempfail=0.2  unknown=0.1  max-connections=2
//	with=REQUIRETLS  max-recipients=3  tls-broken  login=user:password
//	keep  lmtp  last:bob=452_4.2.2_full  max-messages=20
//	tempfail:rcpt=0.2  reject:dot=0.1  drop:mail=0.01  wait=5ms
//	rtt=50ms  jitter=5ms  tarpit=1000
//
// A wait without a point is at all points that have none of their own; at a
// point tempfail, reject and drop are Parts. An empty word is none.
//
// An underscore stands for a space, "|" for the end of a reply's line. cert is
// used for tls.
func ParseManner(words []string, cert *tls.Config) (Manner, error) {
	m := Manner{Say: map[string]string{}, Users: map[string]string{}, Last: map[string]string{}, Wait: map[string]time.Duration{}, Without: map[string]bool{}, Parts: map[string]Parts{}}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		kind, name, _ := strings.Cut(key, ":")
		text := strings.NewReplacer("_", " ", "|", "\n").Replace(value)
		var err error
		switch kind {
		case "":
			if w != "" {
				err = fmt.Errorf("unknown word")
			}
		case "say":
			if text == "" {
				err = fmt.Errorf("an empty reply")
			}
			m.Say[name] = text
		case "user":
			m.Users[name] = text
		case "last":
			m.Last[name] = text
		case "wait":
			if name == "" {
				name = Everywhere
			}
			m.Wait[name], err = span(value)
		case "rtt":
			m.RTT, err = span(value)
		case "jitter":
			m.Jitter, err = span(value)
		case "tarpit":
			m.Tarpit, err = strconv.Atoi(value)
		case "max-messages":
			m.MaxMessages, err = strconv.Atoi(value)
		case "reject", "drop":
			err = m.part(kind, name, value)
		case "without":
			m.Without[strings.ToUpper(value)] = true
		case "with":
			m.With = append(m.With, value)
		case "login":
			m.User, m.Password, _ = strings.Cut(value, ":")
		case "keep":
			m.Keep = true
		case "lmtp":
			m.LMTP = true
		case "helo-only":
			m.HELOOnly = true
		case "tls":
			m.TLS = cert
		case "tls-required":
			m.TLS, m.TLSRequired = cert, true
		case "tls-broken":
			m.TLS, m.TLSBroken = cert, true
		case "size":
			m.Size, err = strconv.ParseInt(value, 10, 64)
		case "greylist":
			m.Greylist, err = time.ParseDuration(value)
		case "tempfail":
			if name != "" {
				err = m.part(kind, name, value)
			} else {
				m.TempFail, err = share(value)
			}
		case "unknown":
			m.Unknown, err = share(value)
		case "max-connections":
			m.MaxConns, err = strconv.Atoi(value)
		case "max-recipients":
			m.MaxRcpt, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("unknown word")
		}
		if err != nil {
			return m, fmt.Errorf("manner %q: %w", w, err)
		}
	}
	return m, nil
}

// clone lets a Receiver keep a manner that its owner goes on changing.
func (m Manner) clone() Manner {
	m.Say, m.Users, m.Last, m.Wait = maps.Clone(m.Say), maps.Clone(m.Users), maps.Clone(m.Last), maps.Clone(m.Wait)
	m.Without, m.With, m.Parts = maps.Clone(m.Without), slices.Clone(m.With), maps.Clone(m.Parts)
	return m
}
