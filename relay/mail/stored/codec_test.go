package stored

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

func fullEnvelope() *mail.Envelope {
	return &mail.Envelope{
		Sender: smtp.Address{Local: "a b", Domain: "example.test"},
		Recipients: []mail.Recipient{
			{Address: smtp.Address{Local: "ü", Domain: "xn--bcher-kva.test"}, Notify: mail.NotifyFailure | mail.NotifyDelay, ORcpt: "rfc822;x@y.test"},
			{Address: smtp.Address{Local: "postmaster"}},
		},
		Received: time.Unix(1_700_000_000, 0), Expire: time.Unix(1_700_100_000, 0), Size: 12345,
		Prefix: []byte("Received: x\r\n"), SMTPUTF8: true, EightBit: true, LongLines: true, RequireTLS: true, OptionalTLS: true,
		Trusted: true, TLS: true, Basic: true, LMTP: true, Submission: true,
		Ret: mail.RetFull, EnvID: "id", Priority: mail.Bulk, Tenant: "t", Campaign: "c", Account: "a", Origin: mail.FromHTTP,
		Listener: "l", Client: netip.MustParseAddrPort("[2001:db8::1]:25"), HELO: "h", Session: "s", From: "f", Subject: "su", MsgID: "m",
		ReturnPath: smtp.Address{Local: "04tok", Domain: "r.example.test"}, Batch: spool.ID{1, 15: 2},
	}
}

func fullState() *mail.State {
	return &mail.State{Held: true, Signature: []byte("DKIM-Signature: x\r\n"), Recipients: []mail.RecipientState{
		{Fate: mail.Deferred, Attempts: 7, Due: time.Unix(1_700_000_300, 0), DelayTold: true, Reply: smtp.Reply{Code: 451, Status: smtp.Status{4, 7, 1}, Text: "later\nplease"}, Host: "mx.test"},
		{Fate: mail.Sent, Attempts: 1},
		{Fate: mail.Sent, Attempts: 1, Owed: true, As: mail.ActionExpanded},
		{Fate: mail.Failed, Attempts: 1, Owed: true},
	}}
}

var asIs = cmp.Options{cmpopts.EquateComparable(netip.AddrPort{})}

func TestEnvelopeRoundTrip(t *testing.T) {
	batch := &mail.Envelope{Prefix: []byte{}, Recipients: []mail.Recipient{}, Batch: spool.ID{3}}
	for _, e := range []*mail.Envelope{{Prefix: []byte{}, Recipients: []mail.Recipient{}}, fullEnvelope(), batch} {
		got, err := DecodeEnvelope(AppendEnvelope(nil, e))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(e, got, asIs); d != "" {
			t.Error(d)
		}
	}
}

// What older versions stored is read: version 1 had no second octet of flags.
func TestEnvelopeVersion1(t *testing.T) {
	e := fullEnvelope()
	e.LongLines, e.OptionalTLS, e.ReturnPath, e.Batch = false, false, smtp.Address{}, spool.ID{}
	now := AppendEnvelope(nil, e)
	e.TLS = false
	other := AppendEnvelope(nil, e)
	flags := 0
	for now[flags] == other[flags] {
		flags++
	}
	old := append([]byte{1}, now[1:flags+1]...)
	old = append(old, now[flags+2:]...)
	got, err := DecodeEnvelope(old)
	if err != nil {
		t.Fatal(err)
	}
	e.TLS = true
	if d := cmp.Diff(e, got, asIs); d != "" {
		t.Error(d)
	}
}

// Version 2 had no return path: what it stored differs in nothing else.
func TestEnvelopeVersion2(t *testing.T) {
	e := fullEnvelope()
	e.ReturnPath, e.Batch = smtp.Address{}, spool.ID{}
	old := AppendEnvelope(nil, e)
	old[0] = 2
	got, err := DecodeEnvelope(old)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(e, got, asIs); d != "" {
		t.Error(d)
	}
}

// Each flag has its own bit.
func TestEnvelopeFlags(t *testing.T) {
	for _, e := range []*mail.Envelope{{SMTPUTF8: true}, {EightBit: true}, {RequireTLS: true}, {Trusted: true}, {TLS: true}, {Basic: true}, {LMTP: true}, {Submission: true}, {LongLines: true}, {OptionalTLS: true}} {
		e.Prefix, e.Recipients = []byte{}, []mail.Recipient{}
		got, err := DecodeEnvelope(AppendEnvelope(nil, e))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(e, got, asIs); d != "" {
			t.Error(d)
		}
	}
}

func TestProtocol(t *testing.T) {
	for _, c := range []struct {
		e    mail.Envelope
		want string
	}{
		{mail.Envelope{}, "ESMTP"},
		{mail.Envelope{Basic: true}, "SMTP"},
		{mail.Envelope{TLS: true}, "ESMTPS"},
		{mail.Envelope{Account: "a"}, "ESMTPA"},
		{mail.Envelope{TLS: true, Account: "a"}, "ESMTPSA"},
		{mail.Envelope{SMTPUTF8: true, TLS: true, Account: "a"}, "UTF8SMTPSA"},
		{mail.Envelope{LMTP: true, TLS: true}, "LMTPS"},
		{mail.Envelope{LMTP: true, SMTPUTF8: true}, "UTF8LMTP"},
		{mail.Envelope{Origin: mail.FromHTTP, TLS: true}, "HTTP"},
	} {
		if got := c.e.Protocol(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.e, got, c.want)
		}
	}
}

func TestStateRoundTrip(t *testing.T) {
	for _, s := range []*mail.State{{}, fullState()} {
		got, err := DecodeState(AppendState(nil, s))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s, got); d != "" {
			t.Error(d)
		}
	}
	if s, err := DecodeState(nil); err != nil || s.Recipients != nil {
		t.Errorf("no state: %v, %v", s, err)
	}
}

// A cut or changed record is an error or another valid record, never a panic
// and never a silent half.
func TestDamagedRecords(t *testing.T) {
	b := AppendEnvelope(nil, fullEnvelope())
	for n := range b {
		if _, err := DecodeEnvelope(b[:n]); err == nil {
			t.Errorf("envelope cut to %d octets was taken", n)
		}
	}
	b = AppendState(nil, fullState())
	for n := 1; n < len(b); n++ {
		if _, err := DecodeState(b[:n]); err == nil {
			t.Errorf("state cut to %d octets was taken", n)
		}
	}
}

func FuzzDecodeEnvelope(f *testing.F) {
	f.Add(AppendEnvelope(nil, fullEnvelope()))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEnvelope(b)
		if err != nil {
			return
		}
		again, err := DecodeEnvelope(AppendEnvelope(nil, e))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(e, again, asIs); d != "" {
			t.Error(d)
		}
	})
}

func FuzzDecodeState(f *testing.F) {
	f.Add(AppendState(nil, fullState()))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeState(b)
		if err != nil {
			return
		}
		one := AppendState(nil, s)
		again, err := DecodeState(one)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one, AppendState(nil, again)) {
			t.Error("a second round changed the record")
		}
	})
}
