package pop3

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"tenma/relay/mailbox"
	"tenma/relay/wire/sasl"
)

// Authenticator verifies who a client is. client is the peer's address, for
// back-off. An error that is or wraps *smtp.Error with a 4yz code means that it
// could not be told now; any other is a failed login. A good login gives the
// account.
type Authenticator interface {
	Plain(ctx context.Context, client net.Addr, user, password string) (account string, err error)
	// ScramSHA256 and ScramDone: see package sasl.
	ScramSHA256(user string) (keys sasl.ScramKeys, known bool, err error)
	ScramDone(ctx context.Context, client net.Addr, user string, good bool) (account string, err error)
}

// view is what a session uses of a *mailbox.View of INBOX. It is never updated:
// numbers stay.
type view interface {
	Folder() mailbox.Folder
	Len() int
	UID(seq int) uint32
	Size(seq int) int64
	Open(seq int) (mailbox.Content, error)
	Store(ctx context.Context, seqs []int, op mailbox.Op, flags []string, unchangedSince uint64) (failed []int, err error)
	MarkRetrieved(ctx context.Context, seqs []int) error
	Remove(ctx context.Context, seqs []int) error
}

// socket is what a session uses of a *door.Conn.
type socket interface {
	net.Conn
	Await(p []byte, deadline time.Time) (int, error)
	Draining() <-chan struct{}
	Linger()
	Client() netip.AddrPort
	TLS() *tls.ConnectionState
	CanStartTLS() bool
	StartTLS() error
	WrongTLS()
}
