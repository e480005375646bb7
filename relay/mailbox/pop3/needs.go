package pop3

import (
	"context"
	"net"

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
