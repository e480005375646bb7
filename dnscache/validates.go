package dnscache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// ErrInsecure says that answers of the servers are not shown to be validated.
var ErrInsecure = errors.New("dns: answers are not validated")

// Validates asks each server for the name servers of a signed zone ("" is the
// root), past the memory, and is nil if the answers, or denials, came validated
// (RFC 4035 section 3.2.3). A failover must not change what answers are worth,
// so one server that does not validate is enough for ErrInsecure; servers that
// do not answer are no evidence. The error wraps ErrTemporary if none did.
func (c *Cache) Validates(ctx context.Context, zone string) error {
	s := c.settings.Load()
	zone = strings.ToLower(strings.TrimSuffix(zone, "."))
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	answered := false
	last := errors.New("no server")
	for _, srv := range s.servers {
		msg, err := c.askServer(ctx, s, srv, zone, dns.TypeNS, s.timeout/time.Duration(len(s.servers)+1))
		switch {
		case err != nil:
			last = fmt.Errorf("%s: %w", srv.addr, err)
			continue
		case !msg.AuthenticatedData:
			return fmt.Errorf("%w: %s has no word of DNSSEC for %q", ErrInsecure, srv.addr, zone+".")
		case !srv.believed:
			return fmt.Errorf("%w: %s says that its are, but so could anybody on the way to it", ErrInsecure, srv.addr)
		}
		answered = true
	}
	if !answered {
		return fmt.Errorf("%w: %w", ErrTemporary, last)
	}
	return nil
}
