package view

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tenma/relay/mail"
	"tenma/relay/mail/stored"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// Decode reads an entry. Errors wrap stored.ErrEncoding. State.Recipients is as
// long as Envelope.Recipients.
func Decode(e *spool.Entry) (Message, error) {
	env, err := stored.DecodeEnvelope(e.Envelope)
	if err != nil {
		return Message{}, err
	}
	state, err := stored.DecodeState(e.State)
	if err != nil {
		return Message{}, err
	}
	switch n := len(env.Recipients); len(state.Recipients) {
	case n:
	case 0:
		state.Recipients = make([]mail.RecipientState, n)
	default:
		return Message{}, fmt.Errorf("%w: %d recipients with %d states", stored.ErrEncoding, n, len(state.Recipients))
	}
	return Message{ID: e.ID, Envelope: env, State: state}, nil
}

// Match gives at most f.Limit messages of the store behind f.After. last is where to go on,
// zero after the end.
func Match(ctx context.Context, e spool.Engine, f Filter, now time.Time) (ms []Message, last spool.ID, err error) {
	if f.empty() {
		return nil, last, nil
	}
	look := func(entry spool.Entry) bool {
		last = entry.ID
		if m, err := Decode(&entry); err == nil && f.fits(m.Envelope, now) {
			ms = append(ms, m)
		}
		return len(ms) < f.Limit && ctx.Err() == nil
	}
	if len(f.IDs) == 0 {
		err = e.Scan(ctx, f.After, look)
	} else {
		err = some(ctx, e, f, look)
	}
	if len(ms) < f.Limit {
		last = spool.ID{}
	}
	if err == nil {
		err = ctx.Err()
	}
	return ms, last, err
}

// some is Scan for the filter's ids.
func some(ctx context.Context, e spool.Engine, f Filter, look func(spool.Entry) bool) error {
	ids := slices.Clone(f.IDs)
	slices.SortFunc(ids, func(a, b spool.ID) int { return bytes.Compare(a[:], b[:]) })
	for _, id := range slices.Compact(ids) {
		if bytes.Compare(id[:], f.After[:]) <= 0 {
			continue
		}
		entry, err := e.Get(ctx, id)
		if errors.Is(err, spool.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if !look(entry) {
			return nil
		}
	}
	return nil
}

// empty reports a filter that selects nothing.
func (f *Filter) empty() bool {
	return len(f.IDs) == 0 && f.Recipient == "" && f.Domain == "" && f.Sender == "" &&
		f.Tenant == "" && f.Campaign == "" && f.OlderThan == 0 && !f.All
}

// fits reports whether a message fits all fields of f but IDs, After, Limit
// and All.
func (f *Filter) fits(e *mail.Envelope, now time.Time) bool {
	switch {
	case f.Tenant != "" && f.Tenant != e.Tenant:
	case f.Campaign != "" && f.Campaign != e.Campaign:
	case f.OlderThan > 0 && now.Sub(e.Received) < f.OlderThan:
	case f.Sender != "" && !matchAddress(f.Sender, e.Sender):
	case f.Recipient != "" && !slices.ContainsFunc(e.Recipients, func(r mail.Recipient) bool { return matchAddress(f.Recipient, r.Address) }):
	case f.Domain != "" && !slices.ContainsFunc(e.Recipients, func(r mail.Recipient) bool { return matchAddress("@"+f.Domain, r.Address) }):
	default:
		return true
	}
	return false
}

// matchAddress compares without regard to case; "@domain" stands for all
// addresses there, "<>" for the null one.
func matchAddress(want string, a smtp.Address) bool {
	if d, ok := strings.CutPrefix(want, "@"); ok {
		return strings.EqualFold(d, string(a.Domain))
	}
	if want == "<>" {
		return a.IsNull()
	}
	return strings.EqualFold(want, a.Local+"@"+string(a.Domain)) || strings.EqualFold(want, a.String())
}
