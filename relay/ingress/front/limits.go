package front

import "time"

// Limits bound what one client can ask for.
type Limits struct {
	Connections      int           // open at a time, on this listener
	ConnectionsPerIP int           // of one IPv4 address or IPv6 /64
	Messages         int           // in one connection
	MessageSize      int64         // octets of body
	LineLength       int           // octets of one line of body, its CRLF not counted
	Recipients       int           // in one transaction
	Commands         int           // without a message in between, accepted RCPTs not counted
	Errors           int           // bad commands and refused recipients, in one connection
	RatePerIP        int           // new connections per minute of one IPv4 address or IPv6 /64; 0: no limit
	Idle             time.Duration // wait for a command
	IdleUnderLoad    time.Duration // the same above nine tenths of Connections
	Body             time.Duration // waiting for the octets of one body, together
	BodyRate         int           // octets per second that a body must keep up, after a grace of Idle
}

// DefaultLimits are the limits where the configuration is silent (the design's
// practice page; idle is RFC 5321 section 4.5.3.2.7). LineLength is far above
// the 998 of RFC 5322 section 2.1.1, since generators of mail ignore that and
// most receivers let them; it keeps a reader by lines from an endless one.
func DefaultLimits() Limits {
	return Limits{
		Connections: 32768, ConnectionsPerIP: 1024, Messages: 10000,
		MessageSize: 25 << 20, LineLength: 64 << 10, Recipients: 1024, Commands: 1000, Errors: 20,
		Idle: 300 * time.Second, IdleUnderLoad: 10 * time.Second,
		Body: 300 * time.Second, BodyRate: 256,
	}
}

// OrDefault gives l with the defaults in the place of zeros.
func (l Limits) OrDefault() Limits {
	d := DefaultLimits()
	l.Connections = or(l.Connections, d.Connections)
	l.ConnectionsPerIP = or(l.ConnectionsPerIP, d.ConnectionsPerIP)
	l.Messages = or(l.Messages, d.Messages)
	l.MessageSize = or(l.MessageSize, d.MessageSize)
	l.LineLength = or(l.LineLength, d.LineLength)
	l.Recipients = or(l.Recipients, d.Recipients)
	l.Commands = or(l.Commands, d.Commands)
	l.Errors = or(l.Errors, d.Errors)
	l.Idle = or(l.Idle, d.Idle)
	l.IdleUnderLoad = min(or(l.IdleUnderLoad, d.IdleUnderLoad), l.Idle)
	l.Body = or(l.Body, d.Body)
	l.BodyRate = or(l.BodyRate, d.BodyRate)
	return l
}

func or[T int | int64 | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}
