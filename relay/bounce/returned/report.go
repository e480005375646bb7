package returned

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tenma/relay/bounce"
	"tenma/relay/mail"
	"tenma/relay/wire/arf"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

const (
	// maxEvents bounds the records that one message makes for one return path. A
	// copy of ours had one recipient; behind an address that stands for others more
	// may fail.
	maxEvents = 16
	// maxGuesses bounds the addresses among which the recipient is looked for.
	maxGuesses = 50
	// patience is how long a suppression may take; then the message waits in the
	// spool rather than here.
	patience = 30 * time.Second
)

// trace finds out whose copy of which message a letter is about.
func (d *Desk) trace(l *letter) (mail.Reference, bool) {
	paths := []smtp.Address{l.to()}
	add := func(to *[]smtp.Address, text string) {
		if a, err := smtp.ParseMailbox(text); err == nil && len(*to) < maxGuesses {
			*to = append(*to, a)
		}
	}
	add(&paths, l.Original.ReturnPath)
	var fields []string
	for f := range l.Original.Header.Fields() {
		if f.Is(d.config.Load().Field) && len(fields) < maxGuesses {
			fields = append(fields, f.Text())
		}
	}
	var guesses []smtp.Address
	for i := range l.Recipients {
		add(&guesses, l.Recipients[i].Original)
		add(&guesses, l.Recipients[i].Address)
	}
	if f := l.Feedback; f != nil {
		paths = append(paths, f.MailFrom)
		guesses = append(guesses, f.Recipients...)
	}
	named, _ := header.Mailboxes(l.Original.To, maxGuesses)
	ref, proven := d.deps.Tracer.Trace(paths, fields, append(guesses, named...))
	if !proven {
		d.deps.Metrics.Unproven.Inc()
		ref.ID = d.named(l.Original.MessageID) // no proof, but a help to who looks into it
	}
	return ref, proven
}

// named gives the id in a Message-ID that this relay made; zero if it did not.
func (d *Desk) named(messageID string) spool.ID {
	local, host, _ := strings.Cut(strings.Trim(messageID, "<> "), "@")
	id, err := spool.ParseID(local)
	if err != nil || !strings.EqualFold(host, d.config.Load().Hostname) {
		return spool.ID{}
	}
	return id
}

// report notes what a report, or an answer by a machine, says of our recipient.
func (d *Desk) report(ctx context.Context, l *letter) (string, error) {
	ref, _ := d.trace(l) // proven by the return path to which it came
	n, suppressed := 0, false
	for i := range l.Recipients {
		if n == maxEvents {
			break
		}
		t, diagnosis := &l.Recipients[i], l.Diagnoses[i]
		e := d.event(l, mail.EventOOB, n, ref, t.Address)
		e.Outcome = mail.Outcome{
			Reply:   smtp.Reply{Code: t.Code, Status: t.Status, Text: afterNumbers(t.Text, t.Code, t.Status)},
			Command: t.Command, Host: l.ReportingMTA, Diagnosis: diagnosis,
		}
		// What stands in the log is what is done, or will be when this is repeated.
		hard := l.Kind == bounce.Report && (diagnosis.Severity == mail.Hard || diagnosis.Severity == mail.Admin)
		switch {
		case hard && !speaksOf(t.Address, t.Original, ref.Recipient):
			e.Outcome.Detail = "it speaks of another address than our recipient's"
		case hard && !suppressed:
			suppressed = true
			if err := d.suppress(ctx, &Finding{Reference: ref, Diagnosis: diagnosis, Reply: e.Outcome.Reply, Report: l.ID}); err != nil {
				return "", err
			}
		}
		d.deps.Record.Record(e)
		n++
	}
	d.count(l.Kind.String())
	return "Read as " + l.Kind.String(), nil
}

// afterNumbers leaves out what the reply's text repeats of its code and status.
func afterNumbers(text string, code int, status smtp.Status) string {
	for _, number := range []string{strconv.Itoa(code), status.String()} {
		if rest, ok := strings.CutPrefix(text, number); ok && (rest == "" || rest[0] == ' ' || rest[0] == '-') {
			text = strings.TrimLeft(rest, " -")
		}
	}
	return text
}

// speaksOf reports whether a report that names an address, or none, is about our
// recipient itself: the address, or one that another name of it leads to, which
// shows in that the local part is the same. Where the recipient stands for a list,
// a member that is gone says nothing of the list.
func speaksOf(address, original string, ours smtp.Address) bool {
	if ours.IsNull() {
		return false
	}
	if address == "" && original == "" {
		return true
	}
	for _, text := range []string{original, address} {
		if a, err := smtp.ParseMailbox(text); err == nil && strings.EqualFold(a.Local, ours.Local) {
			return true
		}
	}
	return false
}

// complaint notes what somebody says of our mail.
func (d *Desk) complaint(ctx context.Context, l *letter) (string, error) {
	ref, proven := d.trace(l)
	e := d.event(l, mail.EventFeedback, 0, ref, l.Recipients[0].Address)
	e.Feedback = l.Feedback
	e.Outcome = mail.Outcome{Host: l.ReportingMTA, Diagnosis: l.Diagnoses[0]}
	switch {
	case !proven:
		e.Outcome.Detail = "it does not prove which message of ours it is about"
	case ref.Recipient.IsNull():
		e.Outcome.Detail = "it does not tell who complains"
	case unwelcome(l.Feedback):
		if err := d.suppress(ctx, &Finding{Reference: ref, Complaint: true, Diagnosis: l.Diagnoses[0], Report: l.ID}); err != nil {
			return "", err
		}
	}
	d.deps.Record.Record(e)
	d.count(l.Kind.String())
	return "Read as " + l.Kind.String(), nil
}

// unwelcome reports whether a complaint says that its recipient wants no such mail.
// Some tell the contrary, or are about forgers.
func unwelcome(f *arf.Report) bool {
	if f == nil {
		return true // Amazon's own form has no other
	}
	switch f.Type {
	case arf.NotSpam, arf.AuthFailure, arf.Virus:
		return false
	}
	return true
}

func (d *Desk) suppress(ctx context.Context, f *Finding) error {
	if d.deps.Suppressor == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := d.deps.Suppressor.Suppress(ctx, f); err != nil {
		return fmt.Errorf("suppression: %w", err)
	}
	d.deps.Metrics.Suppressed.Inc()
	return nil
}

// maxText bounds the texts of the original in an event, as those of an envelope.
const maxText = 256

// event begins the n-th event about a letter: about our recipient if it is known,
// else about who the letter names. It has nothing in it that a repeat would have
// otherwise, so that the event id is the same.
func (d *Desk) event(l *letter, kind mail.EventKind, n int, ref mail.Reference, named string) *mail.Event {
	about := ref.Recipient
	if about.IsNull() {
		about, _ = smtp.ParseMailbox(named)
	}
	h := l.Original.Header
	return &mail.Event{
		Kind: kind, Time: time.Now(), ID: l.ID, About: ref.ID, Recipient: l.place*maxEvents + n, Lane: l.Route.Lane,
		Envelope: &mail.Envelope{
			Sender: l.Envelope.Sender, Recipients: []mail.Recipient{{Address: about}}, Received: l.Envelope.Received, Size: l.Envelope.Size,
			Client: l.Envelope.Client, HELO: l.Envelope.HELO, Session: l.Envelope.Session, TLS: l.Envelope.TLS, Basic: l.Envelope.Basic,
			Tenant: ref.Tenant, Campaign: ref.Campaign,
			From: header.Decode(h.Text("From"), maxText), Subject: header.Decode(h.Text("Subject"), maxText), MsgID: header.Decode(h.Text("Message-ID"), maxText),
		},
	}
}
