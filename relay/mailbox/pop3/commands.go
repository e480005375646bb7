package pop3

import (
	"errors"
	"fmt"
	"strings"

	"tenma/relay/mailbox"
)

// command is one of the table: whether it is for AUTHORIZATION (early) or for
// TRANSACTION (late), and what it does. run answers +OK itself; an error that is a
// refusal is answered -ERR, any other ends the session.
type command struct {
	early, late bool
	run         func(s *session, arg string) error
}

// commands are those of RFC 1939, 2449 (CAPA), 2595 (STLS), 5034 (AUTH) and
// 6856 (UTF8, LANG).
var commands = map[string]command{
	"CAPA": {true, true, (*session).capa},
	"LANG": {true, true, (*session).lang},
	"QUIT": {true, true, (*session).quit},

	"AUTH": {true, false, (*session).auth},
	"PASS": {true, false, (*session).pass},
	"STLS": {true, false, (*session).stls},
	"USER": {true, false, (*session).userName},
	"UTF8": {true, false, (*session).utf8On},

	"DELE": {false, true, (*session).dele},
	"LIST": {false, true, (*session).list},
	"NOOP": {true, true, (*session).noop}, // RFC 1939 has it late only; clients send it when they like
	"RETR": {false, true, (*session).retr},
	"RSET": {false, true, (*session).rset},
	"STAT": {false, true, (*session).stat},
	"TOP":  {false, true, (*session).top},
	"UIDL": {false, true, (*session).uidl},
}

// capa is RFC 2449 section 5. What a client may do only under TLS it is told of
// only there.
func (s *session) capa(string) error {
	cfg := s.s.cfg.Load()
	s.ok("capabilities follow")
	caps := []string{"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"}
	if s.sock.TLS() != nil {
		caps = append(caps, "USER", "SASL "+strings.Join(s.mechanisms(), " "))
	}
	if s.drop == nil && s.sock.CanStartTLS() {
		caps = append(caps, "STLS")
	}
	if days, known := s.expire(); known {
		caps = append(caps, "EXPIRE "+days)
	}
	if cfg.LoginDelay > 0 {
		caps = append(caps, fmt.Sprintf("LOGIN-DELAY %d", int(cfg.LoginDelay.Seconds())))
	}
	caps = append(caps, "UTF8 USER", "LANG", "IMPLEMENTATION tenma")
	for _, c := range caps {
		if err := s.more("%s", c); err != nil {
			return err
		}
	}
	return s.more(".")
}

// expire is the argument of EXPIRE (RFC 2449 section 6.7). Where it is an
// account's own it is not known before the login.
func (s *session) expire() (days string, known bool) {
	n := s.s.cfg.Load().Expire
	if s.s.deps.Expire != nil {
		if s.drop == nil {
			return "", false
		}
		n = s.s.deps.Expire(s.account)
	}
	if n <= 0 {
		return "NEVER", true
	}
	return fmt.Sprint(n), true
}

// quit is UPDATE (RFC 1939 section 6) for one who has logged in.
func (s *session) quit(string) error {
	if s.drop == nil {
		s.ok("bye")
		return errQuit
	}
	removed, err := s.drop.update(s.ctx)
	if err != nil {
		s.log.Error("pop3: nothing was deleted", "account", s.account, "error", err)
		return errors.Join(refuse("SYS/TEMP", "nothing was deleted"), errQuit)
	}
	s.s.deps.Metrics.Deleted.WithLabelValues(s.name).Add(float64(removed))
	s.ok("bye, %d deleted, %d left", removed, s.drop.count)
	return errQuit
}

func (s *session) noop(string) error {
	s.ok("nothing done")
	return nil
}

func (s *session) stat(string) error {
	s.ok("%d %d", s.drop.count, s.drop.octets)
	return nil
}

func (s *session) list(arg string) error {
	return s.listing(arg, s.drop.size)
}

func (s *session) uidl(arg string) error { return s.listing(arg, s.drop.uid) }

// listing answers LIST and UIDL, for one message or for all.
func (s *session) listing(arg string, what func(n int) string) error {
	if arg = strings.TrimSpace(arg); arg != "" {
		n, err := s.drop.get(arg)
		if err != nil {
			return err
		}
		s.ok("%d %s", n, what(n))
		return nil
	}
	s.ok("%d messages (%d octets)", s.drop.count, s.drop.octets)
	for i, m := range s.drop.marks {
		if m&deleted != 0 {
			continue
		}
		if err := s.more("%d %s", i+1, what(i+1)); err != nil {
			return err
		}
	}
	return s.more(".")
}

func (s *session) dele(arg string) error {
	n, err := s.drop.get(strings.TrimSpace(arg))
	if err != nil {
		return err
	}
	s.drop.remove(n)
	s.ok("message %d is deleted at QUIT", n)
	return nil
}

func (s *session) rset(string) error {
	s.drop.reset()
	s.ok("%d messages (%d octets)", s.drop.count, s.drop.octets)
	return nil
}

func (s *session) retr(arg string) error {
	n, err := s.drop.get(strings.TrimSpace(arg))
	if err != nil {
		return err
	}
	if err := s.send(n, &dots{}); err != nil {
		return err
	}
	s.drop.marks[n-1] |= read
	s.fetched(n)
	return nil
}

// fetched notes that the client has all of a message.
func (s *session) fetched(n int) {
	s.drop.marks[n-1] |= fetched
	s.s.deps.Metrics.Retrieved.WithLabelValues(s.name).Inc()
	s.s.deps.Metrics.Octets.WithLabelValues(s.name).Add(float64(s.drop.view.Size(n)))
}

// allLines is what a client asks TOP for that wants all of a message and not
// have it marked as read: fetchmail does, when it is told to keep mail.
const allLines = 1_000_000

// top is RFC 1939 section 7. It does not count as reading, and as fetching only
// where all is asked for: a program that looks at the beginnings of messages must
// not start the days after which a fetched one is removed, short as it may be.
func (s *session) top(arg string) error {
	number, lines, _ := strings.Cut(strings.TrimSpace(arg), " ")
	n, err := s.drop.get(number)
	if err != nil {
		return err
	}
	wanted, ok := parseNumber(strings.TrimSpace(lines))
	if !ok {
		return refuse("", "a number of lines is wanted")
	}
	if err := s.send(n, &dots{limited: true, top: wanted}); err != nil {
		return err
	}
	if wanted >= allLines {
		s.fetched(n)
	}
	return nil
}

// send gives a message as a multi-line reply. One that fails in the middle
// ends the session: there is no other way to say that it is not whole.
//
// A message whose header is in UTF-8 is given as it is, whether or not the client
// has said UTF8. RFC 6856 section 5 would have a -ERR [UTF8] for it, or another
// message in its place; but programs that never say UTF8 show such headers all the
// same, and one that fetches in order would be stuck at this message for ever.
func (s *session) send(n int, form *dots) error {
	content, err := s.drop.view.Open(n)
	switch {
	case errors.Is(err, mailbox.ErrExpunged):
		return refuse("", "the message is gone: another client has deleted it")
	case err != nil:
		s.log.Error("pop3: message cannot be read", "account", s.account, "error", err)
		return refuse("SYS/TEMP", "the message cannot be read now")
	}
	defer content.Close()
	s.ok("%d octets", content.Size())
	if content.Size() > maxCommand {
		s.c.enlarge()
	}
	form.emit = s.c.write
	if _, err = content.WriteTo(form); err == nil || form.limited && errors.Is(err, errEnough) {
		err = form.end()
	}
	if err != nil && s.c.broken == nil {
		s.log.Error("pop3: message cannot be read", "account", s.account, "error", err)
	}
	if err != nil {
		return fmt.Errorf("a message was not sent whole: %w", err)
	}
	return nil
}

// lang is RFC 6856 section 3. Every text is in English.
func (s *session) lang(arg string) error {
	switch strings.ToLower(strings.TrimSpace(arg)) {
	case "":
		s.ok("languages follow")
		return errors.Join(s.more("en English"), s.more("."))
	case "*", "en", "i-default":
		s.ok("en texts are in English")
		return nil
	}
	return refuse("", "no such language")
}

// utf8On is RFC 6856 section 2. Names and passwords are taken in UTF-8 in any
// case.
func (s *session) utf8On(string) error {
	s.ok("UTF-8 it is")
	return nil
}
