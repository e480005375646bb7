package sasl

import "context"

// Way is how a client came to log in: what the log tells beside who it is.
type Way struct {
	Listener  string // its address, as configured
	Mechanism string // of SASL, or a command of the protocol's own
}

type wayKey struct{}

// WithWay gives a context for the Authenticator that knows the way.
func WithWay(ctx context.Context, w Way) context.Context { return context.WithValue(ctx, wayKey{}, w) }

// WayOf is the way that a context knows, or zero.
func WayOf(ctx context.Context) Way {
	w, _ := ctx.Value(wayKey{}).(Way)
	return w
}
