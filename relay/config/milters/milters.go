// Package milters reads [[milter]]: the mail filters that are asked about mail on its
// way in, where they listen, whose mail they see, and what becomes of it where they
// do not answer.
//
// Read is its only entry point.
package milters

import (
	"net"
	"slices"
	"strings"
	"time"

	"tenma/relay/config/document"
	"tenma/relay/ingress"
	"tenma/relay/policy/milter"
)

// maxMilters bounds the mail filters: each has its own series in the metrics, and
// each message waits for one after the other.
const maxMilters = 16

// Read reads each [[milter]] of the document s. listeners are those that are
// configured.
func Read(s *document.Section, hostname string, listeners []ingress.Listener) milter.Config {
	c := milter.Config{Hostname: hostname}
	s.Each("milter", func(s *document.Section) {
		f := milter.Filter{}
		nameAt := s.String("name", &f.Name)
		same := func(o milter.Filter) bool { return o.Name == f.Name }
		switch {
		case nameAt == nil:
			s.Errorf(s.At, "a milter needs a name, for logs and metrics")
		case f.Name == "" || len(f.Name) > 40 || strings.ContainsFunc(f.Name, func(c rune) bool { return c <= ' ' || c > '~' }):
			s.Errorf(nameAt.At, "name: up to 40 letters, digits and signs of ASCII, without spaces")
		case slices.ContainsFunc(c.Filters, same):
			s.Errorf(nameAt.At, "a milter %q stands above; each needs its own name", f.Name)
		}
		address(s, &f)
		s.Choice("for", (*string)(&f.For), string(milter.All), string(milter.Strangers), string(milter.Submission))
		s.Choice("default", (*string)(&f.Default), string(milter.TempFail), string(milter.Take), string(milter.Refuse))
		s.Strings("listeners", false, func(v *document.Value) {
			if !slices.ContainsFunc(listeners, func(l ingress.Listener) bool { return l.Address == v.Text }) {
				s.Errorf(v.At, "no [[listen]] of SMTP or LMTP has the address %q", v.Text)
			}
			f.Listeners = append(f.Listeners, v.Text)
		})
		s.Duration("connect_timeout", &f.Connect, 100*time.Millisecond, time.Minute)
		s.Duration("command_timeout", &f.Command, 100*time.Millisecond, 2*time.Minute)
		s.Duration("end_timeout", &f.End, time.Second, 4*time.Minute)
		s.Size("max_size", &f.MaxSize, 1024, 1<<40)
		s.Integer("max_connections", &f.MaxConnections, 1, 10_000)
		s.Integer("max_headers", &f.MaxHeaders, 1, 1000)
		var size int64
		if s.Size("max_header_size", &size, 256, 256<<10) != nil {
			f.MaxHeaderSize = int(size)
		}
		s.Close()
		if c.Filters = append(c.Filters, f); len(c.Filters) == maxMilters+1 {
			s.Errorf(s.At, "more than %d milters", maxMilters)
		}
	})
	return c
}

// address reads where a filter listens, in the form that other mail servers have.
func address(s *document.Section, f *milter.Filter) {
	var text string
	at := s.String("address", &text)
	if at == nil {
		s.Errorf(s.At, `a milter needs an address: "unix:/run/rspamd/milter.sock" or "inet:127.0.0.1:11332"`)
		return
	}
	kind, rest, _ := strings.Cut(text, ":")
	switch kind {
	case "unix":
		if !strings.HasPrefix(rest, "/") {
			s.Errorf(at.At, "address: the path of a socket begins with /")
		}
		f.Network, f.Address = "unix", rest
	case "inet":
		if host, port, err := net.SplitHostPort(rest); err != nil || host == "" || port == "" {
			s.Errorf(at.At, `address: want "inet:HOST:PORT"`)
		}
		f.Network, f.Address = "tcp", rest
	default:
		s.Errorf(at.At, `address: want "unix:/PATH" or "inet:HOST:PORT"`)
	}
}
