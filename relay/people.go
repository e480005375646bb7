package relay

import (
	"context"
	"errors"
	"io/fs"
	"sync/atomic"

	"tenma/relay/config"
	"tenma/relay/delivery/client/callout"
	"tenma/relay/mailbox"
	"tenma/relay/policy/auth"
	"tenma/relay/policy/returns"
	"tenma/relay/wire/smtp"
)

// recipients decides on each RCPT: what the accounts say, and besides, whether a
// mailbox has room, what the server of mailboxes elsewhere says, and whether a rewritten sender (SRS) is one that a forward of
// ours made; at the domain of signed return paths, whether an address is one of ours.
// It is ingress's Directory.
type recipients struct {
	people  *auth.Directory
	returns *returns.Adviser
	boxes   *mailbox.Store
	asker   *callout.Asker
	places  atomic.Pointer[map[smtp.Domain]bool] // where rewritten senders may be
	others  atomic.Pointer[map[smtp.Domain]config.Elsewhere]
}

func (r *recipients) apply(c *config.Config) {
	at := map[smtp.Domain]bool{}
	for _, d := range c.Auth.Domains {
		at[d] = true
	}
	if c.Mailbox.SRSDomain != "" {
		at = map[smtp.Domain]bool{c.Mailbox.SRSDomain: true}
	}
	r.places.Store(&at)
	others := map[smtp.Domain]config.Elsewhere{}
	for _, e := range c.Elsewhere {
		others[e.Domain] = e
	}
	r.others.Store(&others)
}

// Recipient is auth.Directory's, and: mail that comes back to a rewritten sender
// is taken, which is how the true one hears of it; mail for somebody whose
// mailbox is full is a 452 (RFC 3463, X.2.2) while its sender still holds it,
// rather than days of trying here.
func (r *recipients) Recipient(a smtp.Address, trusted bool) error {
	if d := r.returns.Domain(); d != "" && a.Domain == d {
		return r.returns.Recipient(a)
	}
	if e, ok := (*r.others.Load())[a.Domain]; ok {
		if !e.Ask {
			return nil
		}
		to := callout.Target{Hosts: e.To.Hosts, LMTP: e.To.LMTP, TLS: e.To.TLS, Auth: e.To.Auth}
		err := r.asker.Ask(context.Background(), to, a) // it has a time limit of its own
		if trusted && errors.Is(err, callout.ErrSilent) {
			return nil // mail of our own waits here; if it must be returned, it comes to one of us
		}
		return err
	}
	if (*r.places.Load())[a.Domain] {
		_, err := r.boxes.Reverse(a)
		var disk *fs.PathError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &disk):
			return smtp.Errorf(451, smtp.Status{4, 3, 0}, "Try again later")
		}
	}
	if err := r.people.Recipient(a, trusted); err != nil {
		return err
	}
	return r.room(a)
}

// room refuses who stands for a single mailbox that is full. An alias of
// several, or one that leads elsewhere too, is left to the delivery.
func (r *recipients) room(a smtp.Address) error {
	to := r.people.Resolve(a)
	if len(to) != 1 {
		return nil
	}
	set, here := r.people.Settings(to[0])
	if !here || len(set.Forward) > 0 && !set.Keep {
		return nil
	}
	// An octet is the least that a message has: what does fit is for the delivery to tell.
	if err := r.boxes.Room(to[0].String(), 1); errors.Is(err, mailbox.ErrQuota) {
		return smtp.Errorf(452, smtp.Status{4, 2, 2}, "Mailbox full")
	}
	return nil
}

// usage is the operator's view of the mailboxes.
type usage struct{ *mailbox.Store }

// Folders gives all folders of a mailbox.
func (u usage) Folders(account string) ([]mailbox.Folder, error) {
	m, err := u.Open(account)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return m.Folders(), nil
}

// expire is the days after which what an account fetched by POP3 is removed, as
// its programs are told (RFC 2449 section 6.7); 0 and below: never.
func (r *Relay) expire(account string) int {
	if a, err := smtp.ParseMailbox(account); err == nil {
		if set, ok := r.people.Settings(a); ok && set.POP3Days != 0 {
			return set.POP3Days
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.config.Mailbox.POP3Days
}
