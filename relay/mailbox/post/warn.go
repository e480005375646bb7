package post

import (
	"context"
	"errors"
	"time"

	"tenma/relay/mailbox/post/rules"
)

// fullNote names the memory that an owner was told of a full mailbox.
const fullNote = "full"

// warn tells the owner of a mailbox that it fills up: once each time it passes
// Config.QuotaWarn percent of its quota, and when mail was refused, at most once
// a day. err is what became of the delivery. A warning that fails fails nothing
// else.
func (d *delivery) warn(ctx context.Context, b boxed, err error) {
	if b.limit <= 0 || d.cfg.QuotaWarn <= 0 || err != nil && !errors.Is(err, ErrFull) {
		return
	}
	used, level, levelErr := d.deps.Boxes.Level(b.copy.Account)
	reached := float64(used)*100 >= float64(b.limit)*float64(d.cfg.QuotaWarn)
	// Some way back behind the mark, so that a mailbox that stays around it is
	// not warned of each message that comes and goes.
	left := float64(used)*100 < float64(b.limit)*float64(max(d.cfg.QuotaWarn-5, 0))
	switch {
	case levelErr != nil:
		err = levelErr
	case err != nil:
		err = d.warnFull(ctx, b, used)
	case reached && level == 0:
		err = d.warnNearly(ctx, b, used)
	case left && level != 0:
		err = d.deps.Boxes.SetLevel(ctx, b.copy.Account, 0)
	}
	if err != nil {
		d.deps.Log.Warn("no warning about the quota", "account", b.copy.Account, "error", err)
	}
}

func (d *delivery) warnNearly(ctx context.Context, b boxed, used int64) error {
	d.warning.Lock()
	defer d.warning.Unlock()
	if _, level, err := d.deps.Boxes.Level(b.copy.Account); err != nil || level != 0 { // meanwhile
		return err
	}
	if err := d.put(ctx, b, rules.NearlyFull(b.addr, used, b.limit), "nearly"); err != nil {
		return err
	}
	return d.deps.Boxes.SetLevel(ctx, b.copy.Account, d.cfg.QuotaWarn)
}

func (d *delivery) warnFull(ctx context.Context, b boxed, used int64) error {
	d.warning.Lock()
	defer d.warning.Unlock()
	last, err := d.deps.Boxes.Note(b.copy.Account, fullNote)
	if err != nil || d.now.Before(last.Add(24*time.Hour)) {
		return err
	}
	if err := d.put(ctx, b, rules.Full(b.addr, used, b.limit), fullNote); err != nil {
		return err
	}
	return d.deps.Boxes.SetNote(ctx, b.copy.Account, fullNote, d.now)
}

// put writes a warning into INBOX.
func (d *delivery) put(ctx context.Context, b boxed, n rules.Notice, what string) error {
	n.Date = d.now
	n.MessageID = "<" + d.ID.Derive(what+" "+b.copy.Account).String() + "@" + d.cfg.Hostname + ">"
	d.deps.Metrics.Warnings.Inc()
	return d.deps.Boxes.Warn(ctx, b.copy.Account, append([]byte(rules.DeliveredTo(b.addr)), n.Bytes()...))
}
