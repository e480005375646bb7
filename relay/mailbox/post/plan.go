package post

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"tenma/relay/mail"
	"tenma/relay/mailbox/post/rules"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// delivery is one attempt under way. One goroutine uses it.
type delivery struct {
	*Post
	*mail.Attempt
	cfg *Config
	now time.Time

	fates  []error // by place in Attempt.To; nil: well so far
	copies []boxed
	on     []onward
	away   []away

	head header.Section // of the message, if it was read
	read bool
}

// boxed is a copy for a mailbox here.
type boxed struct {
	place int // of the recipient in Attempt.To
	copy  Copy
	addr  smtp.Address
	limit int64 // octets that the mailbox may take; 0: any number
}

// onward is a message that goes on to another address.
type onward struct {
	place  int
	by, to smtp.Address // by is the account or alias that forwards
}

// away is an account that may want to answer.
type away struct {
	place    int
	account  smtp.Address
	vacation *mail.Vacation
}

// fail notes the first error of a recipient.
func (d *delivery) fail(place int, err error) {
	if d.fates[place] == nil {
		d.fates[place] = err
	}
}

// plan finds out where the message goes for one recipient.
func (d *delivery) plan(ctx context.Context, place int) error {
	rcpt := d.Envelope.Recipients[d.To[place]].Address
	if to, err := d.Reverse(rcpt); err == nil {
		return d.send(ctx, onward{place: place, by: rcpt, to: to})
	} else if !errors.Is(err, rules.ErrNotSRS) && !errors.Is(err, rules.ErrExpired) {
		return err
	}
	targets := d.deps.Resolver.Resolve(rcpt)
	if len(targets) == 0 {
		return errUnknown
	}
	for _, t := range targets {
		settings, here := d.deps.Resolver.Settings(t)
		switch {
		case here:
		case t == rcpt:
			// Nobody leads elsewhere, and what is not forwarded came here because
			// it is local: at the domain of rewritten senders there is nobody else.
			return errUnknown
		default:
			if err := d.send(ctx, onward{place: place, by: rcpt, to: t}); err != nil {
				return err
			}
			continue
		}
		if err := d.account(ctx, place, t, &settings); err != nil {
			return err
		}
	}
	return nil
}

// account plans what one account here gets.
func (d *delivery) account(ctx context.Context, place int, a smtp.Address, settings *mail.Settings) error {
	forwards := settings.Forward
	if d.deps.Outbox == nil {
		forwards = nil
	}
	for _, to := range forwards {
		if err := d.send(ctx, onward{place: place, by: a, to: to}); err != nil {
			return err
		}
	}
	if len(forwards) == 0 || settings.Keep {
		limit := settings.Quota
		if limit == 0 {
			limit = d.cfg.Quota
		}
		prefix := oneLine(rules.ReturnPath(d.Envelope.Sender)) + oneLine(rules.DeliveredTo(a)) // RFC 5321 section 4.4
		d.copies = append(d.copies, boxed{
			place: place, addr: a, limit: max(limit, 0),
			copy: Copy{Account: a.String(), Recipient: d.To[place], Prefix: []byte(prefix)},
		})
	}
	if settings.Vacation != nil && d.deps.Outbox != nil {
		d.away = append(d.away, away{place: place, account: a, vacation: settings.Vacation})
	}
	return nil
}

// oneLine keeps a field one line. ParseMailbox lets no control through, but what
// was stored may be older than its rules.
func oneLine(field string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.TrimSuffix(field, "\r\n")) + "\r\n"
}

// send plans to send the message on, unless the same address has done so before.
func (d *delivery) send(ctx context.Context, o onward) error {
	if d.deps.Outbox == nil {
		return errOutbox
	}
	h, err := d.header(ctx)
	if err != nil {
		return err
	}
	if rules.WasHere(h, o.by) {
		return errLoop
	}
	d.on = append(d.on, o)
	return nil
}

// deposit fills the mailboxes, but for recipients that have failed already. A
// mailbox that has room for others is not kept from them by one that has not.
func (d *delivery) deposit(ctx context.Context) {
	var copies []boxed
	var to []Copy
	size := d.Size()
	for _, b := range d.copies {
		switch {
		case d.fates[b.place] != nil:
		case b.limit > 0 && size+int64(len(b.copy.Prefix)) > b.limit:
			d.fail(b.place, ErrTooLarge)
		default:
			copies, to = append(copies, b), append(to, b.copy)
		}
	}
	if len(copies) == 0 {
		return
	}
	body, err := d.Open(ctx)
	if err != nil {
		for _, b := range copies {
			d.fail(b.place, err)
		}
		return
	}
	defer body.Close()
	errs := d.deps.Boxes.Put(ctx, d.ID, to, int64(len(d.Header))+body.Size(), func(w io.Writer) error {
		if _, err := w.Write(d.Header); err != nil {
			return err
		}
		_, err := body.WriteTo(w)
		return err
	})
	for i, b := range copies {
		if errs[i] != nil {
			d.fail(b.place, errs[i])
		}
		d.warn(ctx, b, errs[i])
	}
}

// headerLimit is the longest header section that is read of a stored body, in
// octets; no longer one comes in (package intake).
const headerLimit = spool.MaxInline

// ways counts where the message goes for a recipient: on to other addresses, into
// mailboxes here.
func (d *delivery) ways(place int) (onward, copies int) {
	for _, o := range d.on {
		if o.place == place {
			onward++
		}
	}
	for _, b := range d.copies {
		if b.place == place {
			copies++
		}
	}
	return onward, copies
}

// header gives the header section of the message; what the relay put before it
// is the first part of it.
func (d *delivery) header(ctx context.Context) (header.Section, error) {
	if d.read {
		return d.head, nil
	}
	body, err := d.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	b := bytes.NewBuffer(append(make([]byte, 0, len(d.Header)+16<<10), d.Header...))
	for searched := 0; ; {
		if end, _, ok := header.End(b.Bytes(), searched); ok {
			d.head = b.Bytes()[:end:end]
			break
		}
		searched = b.Len()
		n, err := io.CopyN(b, body, 8<<10)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if n == 0 || b.Len() > len(d.Header)+headerLimit {
			d.head = b.Bytes()
			break
		}
	}
	d.read = true
	return d.head, nil
}
