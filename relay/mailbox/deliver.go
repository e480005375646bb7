package mailbox

import (
	"context"
	"errors"
	"io"

	"tenma/relay/mail"
	"tenma/relay/mailbox/post"
	"tenma/relay/mailbox/store"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// Deliver brings messages to their recipients, see mail.Deliver and
// post.Post.Deliver: into mailboxes here, all of one attempt in one step, and to
// where accounts and aliases forward them. A message that is delivered again,
// after a crash or because one of several mailboxes failed, is not doubled where
// it is already.
func (s *Store) Deliver(ctx context.Context, first *mail.Attempt, next func() *mail.Attempt, done func(*mail.Attempt, []mail.Outcome)) {
	s.post.Deliver(ctx, first, next, done)
}

// Reverse gives the true sender behind an address of ours that a forward of
// ours made up (rules.SRS). Mail for such an address is local mail, which Deliver
// sends on; an error means that there is none, or not now.
func (s *Store) Reverse(a smtp.Address) (smtp.Address, error) { return s.post.Reverse(a) }

// postConfig is what of a configuration concerns delivery.
func postConfig(c *Config) post.Config {
	return post.Config{Hostname: c.Hostname, Quota: c.Quota, QuotaWarn: c.QuotaWarn, SRSDomain: c.SRSDomain, SRSKeyPath: c.SRSKeyPath}
}

// boxes are the mailboxes as package post needs them.
type boxes struct{ *Store }

var _ post.Boxes = boxes{}

// Put brings a message into mailboxes.
func (b boxes) Put(ctx context.Context, id spool.ID, to []post.Copy, size int64, source func(io.Writer) error) []error {
	all := make([]*store.Destination, len(to))
	for i, c := range to {
		all[i] = &store.Destination{Account: c.Account, Prefix: c.Prefix, Recipient: uint32(c.Recipient)}
	}
	errs := b.DeliverTo(ctx, id, all, size, source)
	for i, err := range errs {
		switch {
		case errors.Is(err, ErrQuota):
			errs[i] = post.ErrFull
		case errors.Is(err, ErrTooLarge):
			errs[i] = post.ErrTooLarge
		}
	}
	return errs
}

// Warn puts a message of ours into INBOX, whatever the quota.
func (b boxes) Warn(ctx context.Context, account string, text []byte) error {
	return b.Write(ctx, account, "", text, true)
}
