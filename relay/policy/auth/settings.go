package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// Bounds on what can be chosen for an account.
const (
	maxForward = 32
	maxSendAs  = 200
	maxDays    = 36_500
	maxSubject = 200      // octets
	maxText    = 32 << 10 // octets of an automatic reply
)

// ErrSetting is a setting that cannot be.
var ErrSetting = errors.New("cannot be set")

// Settings gives what was chosen for an account, also for one that only the
// external source knows, and of a postmaster's mailbox that is nobody's account;
// ok is false if there is none of that address. What it gives must not be changed.
func (d *Directory) Settings(a smtp.Address) (s mail.Settings, ok bool) {
	if acc := d.current().accounts[canon(a)]; acc != nil {
		return acc.settings, true
	}
	p := d.places.Load()
	if p.role(a) == "postmaster" && a.Domain != "" { // RFC 5321 section 4.5.1: somebody reads it some day
		return s, true
	}
	there, err := p.outside(canon(a))
	return s, there || err != nil // who cannot be asked about has no settings, and is no stranger
}

// Accounts calls fn for each account of the file, in its order, until it says
// false. Those that only the external source knows are not among them.
func (d *Directory) Accounts(fn func(a smtp.Address) bool) {
	for _, acc := range d.current().order {
		if !fn(acc.address) {
			return
		}
	}
}

// settings reads and checks what the file says.
func (fa *fileAccount) settings() (s mail.Settings, err error) {
	s = mail.Settings{Quota: fa.Quota, Keep: fa.Keep, TrashDays: fa.TrashDays, JunkDays: fa.JunkDays, POP3Days: fa.POP3Days}
	for _, text := range fa.Forward {
		to, err := smtp.ParseMailbox(text)
		if err != nil {
			return s, fmt.Errorf("forward: %q is not an address", text)
		}
		s.Forward = append(s.Forward, to)
	}
	for _, text := range fa.SendAs {
		one, err := ParseSender(text)
		if err != nil {
			return s, fmt.Errorf("send_as: %q is neither an address nor \"@\" and a domain", text)
		}
		s.SendAs = append(s.SendAs, one)
	}
	if v := fa.Vacation; v != nil {
		s.Vacation = &mail.Vacation{From: v.From, Until: v.Until, Subject: v.Subject, Text: v.Text}
	}
	return s, check(fa.Address, &s)
}

// take writes settings into the entry.
func (fa *fileAccount) take(s *mail.Settings) {
	fa.Quota, fa.Keep, fa.TrashDays, fa.JunkDays, fa.POP3Days, fa.SendAs = s.Quota, s.Keep, s.TrashDays, s.JunkDays, s.POP3Days, s.SendAs
	fa.Forward, fa.Vacation = nil, nil
	for _, to := range s.Forward {
		fa.Forward = append(fa.Forward, to.String())
	}
	if v := s.Vacation; v != nil {
		fa.Vacation = &fileVacation{From: v.From, Until: v.Until, Subject: v.Subject, Text: v.Text}
	}
}

// check tells what is wrong with settings. Errors wrap ErrSetting.
func check(address string, s *mail.Settings) error {
	for name, days := range map[string]int{"trash": s.TrashDays, "junk": s.JunkDays, "pop3": s.POP3Days} {
		if days > maxDays {
			return fmt.Errorf("%w: %s days: %d is more than %d", ErrSetting, name, days, maxDays)
		}
	}
	if len(s.Forward) > maxForward {
		return fmt.Errorf("%w: more than %d addresses to forward to; make an [[alias]]", ErrSetting, maxForward)
	}
	own, _ := smtp.ParseMailbox(address)
	for i, to := range s.Forward {
		switch {
		case to.Domain == "" || to.Domain.IsLiteral():
			return fmt.Errorf("%w: forward: %q has no domain", ErrSetting, to)
		case canon(base(to)) == canon(own):
			return fmt.Errorf("%w: %s cannot be forwarded to itself; keep does what is meant", ErrSetting, to)
		case slices.ContainsFunc(s.Forward[:i], func(o smtp.Address) bool { return canon(o) == canon(to) }):
			return fmt.Errorf("%w: forward: %s is there twice", ErrSetting, to)
		}
	}
	if len(s.SendAs) > maxSendAs {
		return fmt.Errorf("%w: more than %d senders", ErrSetting, maxSendAs)
	}
	for _, text := range s.SendAs {
		if _, err := ParseSender(text); err != nil {
			return fmt.Errorf("%w: send_as: %q is neither an address nor \"@\" and a domain", ErrSetting, text)
		}
	}
	return checkVacation(s.Vacation)
}

func checkVacation(v *mail.Vacation) error {
	switch {
	case v == nil:
		return nil
	case strings.TrimSpace(v.Text) == "":
		return fmt.Errorf("%w: the automatic reply has no text", ErrSetting)
	case len(v.Text) > maxText:
		return fmt.Errorf("%w: the automatic reply is longer than %d octets", ErrSetting, maxText)
	case !utf8.ValidString(v.Text) || strings.ContainsFunc(v.Text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }):
		return fmt.Errorf("%w: the automatic reply is not plain text in UTF-8 with LF at the end of lines", ErrSetting)
	case len(v.Subject) > maxSubject:
		return fmt.Errorf("%w: the subject is longer than %d octets", ErrSetting, maxSubject)
	case !utf8.ValidString(v.Subject) || strings.ContainsFunc(v.Subject, unicode.IsControl):
		return fmt.Errorf("%w: the subject is not one line of UTF-8", ErrSetting)
	case !v.From.IsZero() && !v.Until.IsZero() && !v.From.Before(v.Until):
		return fmt.Errorf("%w: the automatic reply ends (%s) before it begins (%s)", ErrSetting, v.Until.Format(time.DateTime), v.From.Format(time.DateTime))
	}
	return nil
}

// ParseSender reads an entry of SendAs and gives its one spelling: an address,
// or "@" and a domain.
func ParseSender(text string) (string, error) {
	if domain, ok := strings.CutPrefix(text, "@"); ok {
		d, err := smtp.ParseDomain(domain)
		if err != nil || d.IsLiteral() {
			return "", smtp.ErrSyntax
		}
		return "@" + string(d), nil
	}
	a, err := smtp.ParseMailbox(text)
	if err != nil || a.Domain == "" || a.Domain.IsLiteral() {
		return "", smtp.ErrSyntax
	}
	return canonical(a), nil
}
