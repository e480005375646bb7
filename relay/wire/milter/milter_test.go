package milter

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tenma/relay/wire/smtp"
)

var everything = Negotiation{Version: Version, Actions: 0x1ff, Steps: AllSteps}

// What libmilter's side of a talk sees, octet by octet.
func TestAppend(t *testing.T) {
	client := netip.MustParseAddrPort("[::ffff:192.0.2.1]:258")
	for _, c := range []struct{ name, got, want string }{
		{"negotiation", string(AppendNegotiation(nil, Negotiation{6, AddHeader | Quarantine, NoUnknown})), "\x00\x00\x00\x0dO\x00\x00\x00\x06\x00\x00\x00\x21\x00\x00\x01\x00"},
		{"macros, one unknown", string(AppendMacros(nil, Mail, []Macro{{"i", "ID"}, {"{auth_authen}", ""}, {"{mail_addr}", "a@a.test"}})), "\x00\x00\x00\x1cDMi\x00ID\x00{mail_addr}\x00a@a.test\x00"},
		{"IPv4, mapped", string(AppendConnect(nil, "a.test", client)), "\x00\x00\x00\x15Ca.test\x004\x01\x02192.0.2.1\x00"},
		{"IPv6 with zone", string(AppendConnect(nil, "a", netip.MustParseAddrPort("[fe80::1%eth0]:1"))), "\x00\x00\x00\x0eCa\x006\x00\x01fe80::1\x00"},
		{"no address", string(AppendConnect(nil, "a", netip.AddrPort{})), "\x00\x00\x00\x04Ca\x00U"},
		{"a zero octet in a name hides nothing", string(AppendHelo(nil, "a\x00b")), "\x00\x00\x00\x05Ha b\x00"},
		{"null sender", string(AppendPath(nil, Mail, "", "BODY=8BITMIME")), "\x00\x00\x00\x12M<>\x00BODY=8BITMIME\x00"},
		{"field", string(AppendHeader(nil, []byte("X"), []byte(" a\n b\x00c"))), "\x00\x00\x00\x0bLX\x00 a\n b c\x00"},
		{"body keeps its zero octets", string(AppendBody(nil, []byte("a\x00b"))), "\x00\x00\x00\x04Ba\x00b"},
		{"end of body", string(AppendEvent(nil, BodyEnd)), "\x00\x00\x00\x01E"},
		{"next", string(AppendNext(AppendAbort(nil))), "\x00\x00\x00\x01A\x00\x00\x00\x01K"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.name, c.got, c.want)
		}
	}
}

func TestRead(t *testing.T) {
	buf := make([]byte, 4)
	r := strings.NewReader("\x00\x00\x00\x01c" + "\x00\x00\x00\x03qab" + "\x00\x00\x00\x07qabcdef" + "\x00\x00")
	for _, want := range []string{"c", "qab", "qabcdef"} {
		code, data, err := Read(r, buf)
		if err != nil || string(code)+string(data) != want {
			t.Errorf("%q %q, %v, want %q", code, data, err, want)
		}
	}
	if _, _, err := Read(r, buf); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("in the middle of a length: %v", err)
	}
	if _, _, err := Read(r, buf); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	for _, c := range []struct {
		in   string
		want error
	}{
		{"\x00\x00\x00\x00", ErrProtocol},
		{"\xff\xff\xff\xffc", ErrProtocol},
		{"\x00\x01\x08\x01c", ErrProtocol}, // MaxPacket + 1
		{"\x00\x00\x00\x02", io.ErrUnexpectedEOF},
		{"\x00\x00\x00\x02c", io.ErrUnexpectedEOF},
	} {
		if _, _, err := Read(strings.NewReader(c.in), nil); !errors.Is(err, c.want) {
			t.Errorf("%q: %v, want %v", c.in, err, c.want)
		}
	}
}

func TestParseNegotiation(t *testing.T) {
	offer := Negotiation{Version, AddHeader | ChangeHeader, NoHelo | SilentBody}
	for _, c := range []struct {
		code     byte
		version  uint32
		actions  Actions
		steps    Steps
		more     string
		want     Negotiation
		accepted bool
	}{
		{'O', 6, AddHeader, SilentBody, "", Negotiation{6, AddHeader, SilentBody}, true},
		{'O', 2, 0, 0, "", Negotiation{Version: 2}, true},
		{'O', 6, 0x1ff, 0, "\x00\x00\x00\x00i j\x00", Negotiation{6, AddHeader | ChangeHeader, 0}, true},
		{'O', 6, 0, CanSkip, "", Negotiation{}, false},
		{'O', 7, 0, 0, "", Negotiation{}, false},
		{'O', 1, 0, 0, "", Negotiation{}, false},
		{'c', 6, 0, 0, "", Negotiation{}, false},
	} {
		data := append(AppendNegotiation(nil, Negotiation{c.version, c.actions, c.steps})[5:], c.more...)
		got, err := ParseNegotiation(c.code, data, offer)
		if got != c.want || (err == nil) != c.accepted || err != nil && !errors.Is(err, ErrProtocol) {
			t.Errorf("%+v: %+v, %v", c, got, err)
		}
	}
	if _, err := ParseNegotiation('O', make([]byte, 11), offer); err == nil {
		t.Error("too short an answer was taken")
	}
}

func TestParseReply(t *testing.T) {
	for _, c := range []struct {
		event Event
		in    string
		want  Reply
	}{
		{Mail, "c", Reply{Kind: Continue}},
		{Body, "s", Reply{Kind: Skip}},
		{Rcpt, "y550 5.7.1 Go away\x00", Reply{Kind: ReplyCode, SMTP: smtp.Reply{Code: 550, Status: smtp.Status{5, 7, 1}, Text: "Go away"}}},
		{Rcpt, "y451\x00", Reply{Kind: ReplyCode, SMTP: smtp.Reply{Code: 451}}},
		{Rcpt, "y550-5.7.1 Go\r\n550 5.7.1 away\x01\r\n\x00", Reply{Kind: ReplyCode, SMTP: smtp.Reply{Code: 550, Status: smtp.Status{5, 7, 1}, Text: "Go\naway?"}}},
		{Rcpt, "y450 5.7.1 Wrong class\x00", Reply{Kind: ReplyCode, SMTP: smtp.Reply{Code: 450, Text: "5.7.1 Wrong class"}}},
		{BodyEnd, "hX-Spam\x00 yes\x00", Reply{Kind: OpAddHeader, Name: "X-Spam", Value: " yes"}},
		{BodyEnd, "i\x00\x00\x00\x01X\x00a\nb\x00", Reply{Kind: OpInsertHeader, Index: 1, Name: "X", Value: "a\nb"}},
		{BodyEnd, "m\x00\x00\x01\x00Subject\x00\x00", Reply{Kind: OpChangeHeader, Index: 256, Name: "Subject"}},
		{BodyEnd, "+<a@a.test>\x00", Reply{Kind: OpAddRecipient, Value: "<a@a.test>"}},
		{BodyEnd, "2<a@a.test>\x00NOTIFY=NEVER\x00", Reply{Kind: OpAddRecipientOpt, Value: "<a@a.test>"}},
		{BodyEnd, "-<a@a.test>\x00", Reply{Kind: OpDeleteRecipient, Value: "<a@a.test>"}},
		{BodyEnd, "e<>\x00SIZE=1\x00", Reply{Kind: OpChangeSender, Value: "<>"}},
		{BodyEnd, "qvirus\x00", Reply{Kind: OpQuarantine, Value: "virus"}},
		{BodyEnd, "ba\x00b", Reply{Kind: OpReplaceBody, Body: []byte("a\x00b")}},
	} {
		got, err := ParseReply(c.event, c.in[0], []byte(c.in[1:]), everything)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%q: %v\n%s", c.in, err, diff)
		}
		if change := c.event == BodyEnd; got.IsChange() != change {
			t.Errorf("%q: change %v", c.in, !change)
		}
	}
	few := Negotiation{Version: 2}
	for _, c := range []struct {
		event Event
		in    string
		n     Negotiation
	}{
		{Mail, "?", everything},
		{Mail, "s", everything},                       // nothing to skip
		{Body, "s", few},                              // was not negotiated
		{BodyEnd, "hX\x00y\x00", few},                 // was not negotiated
		{Body, "hX\x00y\x00", everything},             // too early
		{Rcpt, "y250 2.0.0 Fine\x00", everything},     // no refusal
		{Rcpt, "y55\x00", everything},                 // no code
		{Rcpt, "y5555\x00", everything},               // no code
		{Rcpt, "y550 endless", everything},            // no end
		{Rcpt, "y550-a\r\n551 b\x00", everything},     // two codes
		{Rcpt, "y550-a\r\n\r\n550 b\x00", everything}, // an empty line
		{Rcpt, "y" + strings.Repeat("550-a\r\n", maxReplyLines) + "550 a\x00", everything},
		{BodyEnd, "hX\x00y", everything},
		{BodyEnd, "hX", everything},
		{BodyEnd, "i\x00\x00\x01", everything},
		{BodyEnd, "+<a@a.test>", everything},
		{BodyEnd, "q", everything},
	} {
		if got, err := ParseReply(c.event, c.in[0], []byte(c.in[1:]), c.n); !errors.Is(err, ErrProtocol) {
			t.Errorf("%q was taken for %+v, %v", c.in, got, err)
		}
	}
	r, err := ParseReply(Mail, 'y', []byte("550 "+strings.Repeat("x", 600)+"\x00"), everything)
	if err != nil || len(r.SMTP.Text) != maxReplyLine {
		t.Errorf("a long line: %d, %v", len(r.SMTP.Text), err)
	}
}

// Whatever a filter sends, what comes out can be given to a client.
func FuzzReply(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x08y550 no\x00"), byte(Rcpt), uint32(0x1ff))
	f.Add([]byte("\x00\x00\x00\x0ci\x00\x00\x00\x01X\x00a\nb\x00"), byte(BodyEnd), uint32(0x1ff))
	f.Add([]byte("\x00\x00\x00\x0dO\x00\x00\x00\x06\x00\x00\x00\x21\x00\x00\x01\x00"), byte('O'), uint32(0x21))
	f.Fuzz(func(t *testing.T, in []byte, event byte, actions uint32) {
		code, data, err := Read(bytes.NewReader(in), make([]byte, 16))
		if err != nil {
			return
		}
		n := Negotiation{Version, Actions(actions), AllSteps}
		if got, err := ParseNegotiation(code, data, n); err == nil && (got.Actions&^n.Actions != 0 || got.Version > Version) {
			t.Errorf("%+v of %+v", got, n)
		}
		r, err := ParseReply(Event(event), code, data, n)
		if err != nil {
			return
		}
		if r.Kind == ReplyCode && (r.SMTP.Code < 400 || r.SMTP.Code > 599 || strings.ContainsAny(r.SMTP.Text, "\r\x00")) {
			t.Errorf("%+v", r.SMTP)
		}
		if strings.ContainsRune(r.Name+r.Value, 0) || r.IsChange() && n.Actions&actionOf(r.Kind) == 0 {
			t.Errorf("%+v", r)
		}
	})
}
