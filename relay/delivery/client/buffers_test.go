package client

import (
	"io"
	"net"
	"testing"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// A connection that rests or has ended has no memory of its own, and takes
// none of what came in and was not read.
func TestBuffers(t *testing.T) {
	near, far := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, far) }()
	b := &Buffers{}
	c := New(near)
	c.Buffers = b
	answer := func(s string) { go func() { _, _ = io.WriteString(far, s) }() }
	transaction := func() {
		t.Helper()
		c.Mail(smtp.Address{Local: "a", Domain: "b.test"}, MailParams{})
		c.Rcpt(&mail.Recipient{Address: smtp.Address{Local: "a", Domain: "b.test"}})
		answer("250 ok\r\n")
		if r, err := c.Reply(time.Minute); err != nil || r.Code != 250 {
			t.Fatal(r, err)
		}
		if cap(c.out) != outSize || len(c.in.buf) != maxLine {
			t.Errorf("buffers of %d and %d octets", cap(c.out), len(c.in.buf))
		}
	}
	transaction()
	c.Rest()
	if c.out != nil || c.in.buf != nil {
		t.Error("memory is kept at rest")
	}
	transaction()
	answer("250 ok\r\n421 4.3.2 bye\r\n")
	if _, err := c.Reply(time.Minute); err != nil {
		t.Fatal(err)
	}
	c.Rest()
	if !c.Unread() {
		t.Error("a reply that nobody asked for is forgotten at rest")
	}
	if r, err := c.Late(time.Minute); err != nil || r.Code != 421 {
		t.Error(r, err)
	}
	answer("221 2.0.0 bye\r\n")
	c.Quit(time.Minute)
	if c.out != nil || c.in.buf != nil {
		t.Error("memory is kept after the end")
	}
	c.Close() // gives nothing back a second time
	if in, out := b.takeIn(), b.takeOut(); cap(in) != maxLine || cap(out) != outSize || len(out) != 0 {
		t.Errorf("lent: %d and %d of %d octets", cap(in), len(out), cap(out))
	}
}

// Memory that grew is not lent again as if it were of the usual size.
func TestBuffersGrown(t *testing.T) {
	b := &Buffers{}
	b.give(make([]byte, 2*maxLine), make([]byte, 2*outSize))
	if b.in.Get() != nil || b.out.Get() != nil {
		t.Error("it is kept to be lent")
	}
}
