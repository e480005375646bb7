package rendition

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"

	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/relay/wire/mime/sevenbit"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// Config is what an Adviser is told.
type Config struct {
	// KeepSignatures fails mail whose conversion would break a signature of
	// somebody else: a DKIM or ARC signature, multipart/signed, or
	// multipart/encrypted (RFC 1847). Without it such mail is converted, since a
	// message that can be read is worth more than one that can be verified, and a
	// broken signature is to be taken for none (RFC 6376 section 6.1).
	KeepSignatures bool
	// KeepLongLines sends lines of more than 998 octets as they are.
	KeepLongLines bool
}

// Deps are what an Adviser works with.
type Deps struct {
	Signer  Signer             // nil: nothing is signed
	Metrics *metrics.Rendition // nil: counted for nobody
	Log     *slog.Logger       // nil: silent
}

// Adviser gives renditions. It may be used from any goroutine.
type Adviser struct {
	config atomic.Pointer[Config]
	deps   Deps
	recent recent
}

// New makes an Adviser.
func New(c Config, d Deps) *Adviser {
	if d.Metrics == nil {
		d.Metrics = metrics.NewRendition(nil)
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	a := &Adviser{deps: d}
	a.Apply(c)
	return a
}

// Apply puts another configuration in force, for attempts that begin later.
func (a *Adviser) Apply(c Config) { a.config.Store(&c) }

// SevenBit gives the message of an attempt in ASCII, in lines of at most 998
// octets, with signatures of its own. The same message is surveyed and signed
// once, as long as it is among the last that were asked for; a later attempt
// after that has another signature, over the same octets.
//
// Errors wrap an *smtp.Error: 554 5.6.3 for a message that has no such form, or
// none without breaking a signature that is to be kept (RFC 3463 section 3.7);
// 451 where the message cannot be read or signed at the moment.
func (a *Adviser) SevenBit(ctx context.Context, at *mail.Attempt) (mail.Rendition, error) {
	e, err := a.form(ctx, at, sevenbit.SevenBits)
	switch {
	case errors.Is(err, sevenbit.ErrUnfit):
		err = &smtp.Error{Reply: smtp.Reply{Code: 554, Status: smtp.Status{5, 6, 3}, Text: "message needs 8BITMIME, which the host does not offer, and cannot be converted"}, Err: err}
	case err == nil && e.plan.Breaks != "" && a.config.Load().KeepSignatures:
		err = smtp.Errorf(554, smtp.Status{5, 6, 3}, "message needs 8BITMIME, which the host does not offer; conversion would break its %s", e.plan.Breaks)
	}
	if err != nil {
		a.deps.Metrics.Failed.Inc()
		return mail.Rendition{}, err
	}
	return e.rendition(at), nil
}

// ShortLines gives the message of an attempt in lines of at most 998 octets, which
// is all that a host must take (RFC 5321 section 4.5.3.1.6), and more than some
// do. Most take longer ones all the same, so what cannot be converted, or not
// without breaking somebody's signature, is given as it is. Errors are SevenBit's
// of the second kind.
func (a *Adviser) ShortLines(ctx context.Context, at *mail.Attempt) (mail.Rendition, error) {
	if a.config.Load().KeepLongLines {
		return usual(at), nil
	}
	e, err := a.form(ctx, at, sevenbit.ShortLines)
	switch {
	case errors.Is(err, sevenbit.ErrUnfit):
		return usual(at), nil
	case err != nil:
		a.deps.Metrics.Failed.Inc()
		return mail.Rendition{}, err
	case e.plan.Breaks != "":
		return usual(at), nil
	}
	return e.rendition(at), nil
}

// usual is the stored form.
func usual(at *mail.Attempt) mail.Rendition {
	return mail.Rendition{Header: at.Header, Open: at.Open}
}

// rendition gives what e knows, with the texts of an attempt.
func (e *entry) rendition(at *mail.Attempt) mail.Rendition {
	if e.plan.Unchanged() {
		return usual(at)
	}
	return mail.Rendition{Header: e.signature, Open: func(ctx context.Context) (spool.Body, error) {
		return open(ctx, at, e.plan, e.size)
	}}
}

// form gives the plan for a message and its signature. Once they are there they do
// not change.
func (a *Adviser) form(ctx context.Context, at *mail.Attempt, need sevenbit.Need) (*entry, error) {
	e := a.recent.get(name{at.ID, need})
	e.Lock()
	defer e.Unlock()
	if e.plan != nil {
		return e, nil
	}
	if err := a.make(ctx, at, e); err != nil {
		return nil, err
	}
	a.recent.grown(e)
	a.deps.Metrics.Made.Inc()
	return e, nil
}

// make surveys a message and signs its new form.
func (a *Adviser) make(ctx context.Context, at *mail.Attempt, e *entry) error {
	plan, err := a.survey(ctx, at, e.need)
	switch {
	case errors.Is(err, sevenbit.ErrUnfit):
		return err
	case err != nil:
		return wait(smtp.Status{4, 3, 0}, "local error, the message is kept", err)
	}
	size, err := measure(ctx, at, plan)
	if err != nil {
		return wait(smtp.Status{4, 3, 0}, "local error, the message is kept", err)
	}
	signature, err := a.sign(ctx, at, plan, size)
	if err != nil { // it never goes out unsigned
		a.deps.Log.Error("a rendition could not be signed; its mail is deferred", "id", at.ID.String(), "error", err)
		return wait(smtp.Status{4, 7, 5}, "the message cannot be signed at the moment", err)
	}
	if plan.Breaks != "" && e.need == sevenbit.SevenBits {
		a.deps.Log.Info("a host without 8BITMIME: conversion breaks a signature", "id", at.ID.String(), "of", plan.Breaks, "converted", !a.config.Load().KeepSignatures)
	}
	e.plan, e.size, e.signature = plan, size, signature
	return nil
}

func wait(s smtp.Status, text string, err error) error {
	return &smtp.Error{Reply: smtp.Reply{Code: 451, Status: s, Text: text}, Err: fmt.Errorf("rendition: %w", err)}
}

// survey finds out what has to change. The message is what intake put before the
// body and the body; signatures of ours are not of it.
func (a *Adviser) survey(ctx context.Context, at *mail.Attempt, need sevenbit.Need) (*sevenbit.Plan, error) {
	body, err := at.Open(ctx)
	if err != nil {
		return nil, err
	}
	size := int64(len(at.Envelope.Prefix)) + body.Size()
	if err := body.Close(); err != nil {
		return nil, err
	}
	return sevenbit.NewPlan(size, need, func() (io.ReadCloser, error) { return stored(ctx, at) })
}

// stored opens the message as it is stored, unsigned.
func stored(ctx context.Context, at *mail.Attempt) (io.ReadCloser, error) {
	body, err := at.Open(ctx)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(at.Envelope.Prefix), body), body}, nil
}

// measure gives the size of a message's new form: a host wants to know before it
// comes.
func measure(ctx context.Context, at *mail.Attempt, plan *sevenbit.Plan) (int64, error) {
	r, err := open(ctx, at, plan, 0)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return r.WriteTo(io.Discard)
}

func (a *Adviser) sign(ctx context.Context, at *mail.Attempt, plan *sevenbit.Plan, size int64) ([]byte, error) {
	if a.deps.Signer == nil || plan.Unchanged() || !a.deps.Signer.Wants(at.Envelope) {
		return nil, nil
	}
	r, err := open(ctx, at, plan, size)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	whole := *at.Envelope
	whole.Prefix = nil // it is in r
	return a.deps.Signer.Sign(ctx, &whole, r)
}

// open opens the new form.
func open(ctx context.Context, at *mail.Attempt, plan *sevenbit.Plan, size int64) (*body, error) {
	r, err := stored(ctx, at)
	if err != nil {
		return nil, err
	}
	return &body{Reader: plan.Reader(r), Closer: r, size: size}, nil
}

// body is the new form as it is read.
type body struct {
	io.Reader
	io.Closer
	size int64
}

func (b *body) Size() int64 { return b.size }

func (b *body) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, b.Reader) }
