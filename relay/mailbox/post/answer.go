package post

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"

	"tenma/relay/mail"
	"tenma/relay/mailbox/post/rules"
	"tenma/relay/wire/smtp"
)

// answer sends an automatic reply, if one is due. What goes wrong with it does
// not concern the sender of the message, which is where it should be.
func (d *delivery) answer(ctx context.Context, w away) {
	h, err := d.header(ctx)
	if err == nil {
		arrival := rules.Arrival{
			Sender: d.Envelope.Sender, Header: h,
			Own: []smtp.Address{w.account, d.Envelope.Recipients[d.To[w.place]].Address},
		}
		if rules.Silent(w.vacation, arrival, d.now) != rules.Away {
			return
		}
		err = d.reply(ctx, w, arrival)
	}
	if err != nil {
		d.deps.Log.Warn("no automatic reply", "id", d.ID, "account", w.account.String(), "error", err)
	}
}

// reply answers a sender, once in rules.VacationDays. The reply is committed
// before it is noted; its key lets the repeat of a delivery that a crash undid
// between the two send nothing.
func (d *delivery) reply(ctx context.Context, w away, arrival rules.Arrival) error {
	d.answering.Lock() // two messages of one sender at once get one reply
	defer d.answering.Unlock()
	account, note := w.account.String(), vacationNote(arrival.Sender)
	last, err := d.deps.Boxes.Note(account, note)
	if err != nil || d.now.Before(last.Add(rules.VacationDays*24*time.Hour)) {
		return err
	}
	id := "<" + d.ID.Derive("vacation "+account).String() + "@" + d.cfg.Hostname + ">"
	text := rules.Reply(w.vacation, w.account, arrival, id, d.now)
	e := &mail.Envelope{ // from nobody, so that nothing answers it (RFC 3834 section 3.3)
		Recipients: []mail.Recipient{{Address: arrival.Sender, Notify: mail.NotifyNever}},
		SMTPUTF8:   arrival.Sender.NeedsUTF8() || w.account.NeedsUTF8(),
		RequireTLS: d.Envelope.RequireTLS, // it repeats the subject
		Origin:     mail.FromSelf, From: "<" + account + ">", MsgID: id,
	}
	if err := d.deps.Outbox.Send(ctx, d.key(w.place, "vacation "+account), e, bytes.NewReader(text)); err != nil {
		return err
	}
	d.deps.Metrics.Replies.Inc()
	return d.deps.Boxes.SetNote(ctx, account, note, d.now)
}

// vacationNote names the memory of a sender that was answered, as short for
// every address.
func vacationNote(sender smtp.Address) string {
	sum := sha256.Sum256([]byte(strings.ToLower(sender.String())))
	return "v" + base64.RawURLEncoding.EncodeToString(sum[:12])
}
