package maillog

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

func testEnvelope() *mail.Envelope {
	return &mail.Envelope{
		Sender: smtp.Address{Local: "news", Domain: "shop.test"},
		Recipients: []mail.Recipient{
			{Address: smtp.Address{Local: "ann", Domain: "b.test"}},
			{Address: smtp.Address{Local: "o'hara \"x\"", Domain: "c.test"}},
		},
		Received: time.Unix(1_700_000_000, 0), Size: 4096, Tenant: "shop", Campaign: "spring", Account: "feeder",
		Client: netip.MustParseAddrPort("[2001:db8::1]:4711"), HELO: "app.shop.test", Session: "S1", Priority: mail.Urgent,
		From: "News <news@shop.test>", Subject: "Offers", MsgID: "<1@shop.test>",
	}
}

func testEvent() *mail.Event {
	return &mail.Event{
		Kind: mail.EventDelivery, Time: time.Unix(1_700_000_009, 250_400_000), ID: spool.ID{1, 2, 3, 15: 9}, Envelope: testEnvelope(),
		Attempts: 2, Lane: "a->mx.b.test", InQueue: 9250400 * time.Microsecond,
		Outcome: mail.Outcome{
			Reply:   smtp.Reply{Code: 250, Status: smtp.Status{2, 0, 0}, Text: "queued\nas 17"},
			Command: ".", Host: "mx1.b.test", Peer: netip.MustParseAddrPort("192.0.2.25:25"), Local: netip.MustParseAddr("192.0.2.1"),
			TLS:    mail.TLSInfo{Version: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256", PeerName: "CN=mx1.b.test", Verified: true, Policy: "required"},
			Phases: mail.Phases{DNS: 1500 * time.Microsecond, Connect: 20 * time.Millisecond, Transaction: 2 * time.Second},
		},
	}
}

func decode(t *testing.T, line []byte) map[string]any {
	t.Helper()
	if bytes.Count(line, []byte("\n")) != 1 || line[len(line)-1] != '\n' {
		t.Errorf("not one line: %q", line)
	}
	var m map[string]any
	if err := json.Unmarshal(line, &m); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return m
}

func TestRecordOfADelivery(t *testing.T) {
	e := testEvent()
	got := decode(t, appendRecord(nil, e, []byte(`"n1"`)))
	want := map[string]any{
		"type": "Delivery", "id": e.ID.String(), "event_id": e.ID.String() + "-0-2-Delivery",
		"time": "2023-11-14T22:13:29.250Z", "timestamp": 1700000009., "created": 1700000000.,
		"sender": "news@shop.test", "recipient": "ann@b.test", "queue": "spring:shop@b.test", "site": "a->mx.b.test", "size": 4096.,
		"response":     map[string]any{"code": 250., "enhanced_code": map[string]any{"class": 2., "subject": 0., "detail": 0.}, "content": "queued\nas 17", "command": "."},
		"num_attempts": 2., "bounce_classification": "Uncategorized", "nodeid": "n1", "reception_protocol": "ESMTPA", "session_id": "S1", "priority": "urgent",
		"egress_source": "a", "peer_address": map[string]any{"name": "mx1.b.test", "addr": "192.0.2.25"}, "source_address": map[string]any{"address": "192.0.2.1"},
		"delivery_protocol": "ESMTP", "tls_protocol_version": "TLSv1.3", "tls_cipher": "TLS_AES_128_GCM_SHA256", "tls_peer_subject_name": "CN=mx1.b.test",
		"tls_policy": "required", "tls_verified": true, "time_in_queue": 9.2504,
		"phases":  map[string]any{"dns": 0.0015, "connect": 0.02, "tls": 0., "transaction": 2.},
		"meta":    map[string]any{"tenant": "shop", "campaign": "spring", "authn_id": "feeder"},
		"headers": map[string]any{"From": "News <news@shop.test>", "Subject": "Offers", "Message-ID": "<1@shop.test>"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestRecordsAtTheDoor(t *testing.T) {
	e := &mail.Event{Kind: mail.EventReception, Time: time.Unix(1_700_000_000, 0), ID: spool.ID{15: 9}, Envelope: testEnvelope(), Recipient: -1}
	got := decode(t, appendRecord(nil, e, []byte(`""`)))
	for field, want := range map[string]any{
		"event_id":     e.ID.String() + "--0-Reception",
		"recipient":    []any{"ann@b.test", `"o'hara \"x\""@c.test`},
		"queue":        "spring:shop@",
		"response":     map[string]any{"code": 250., "content": ""},
		"peer_address": map[string]any{"name": "app.shop.test", "addr": "2001:db8::1"},
	} {
		if d := cmp.Diff(want, got[field]); d != "" {
			t.Errorf("%s: %s", field, d)
		}
	}

	e = &mail.Event{
		Kind: mail.EventRejection, Time: time.Unix(1_700_000_000, 7), Recipient: -1,
		Envelope: &mail.Envelope{Session: "S1"}, Outcome: mail.Outcome{Reply: smtp.Reply{Code: 550, Text: "no"}, Command: "RCPT"},
	}
	got = decode(t, appendRecord(nil, e, []byte(`""`)))
	if id, _ := got["event_id"].(string); !strings.HasPrefix(id, "S1-") || !strings.HasSuffix(id, "--0-Rejection") {
		t.Errorf("event_id of a rejection: %q", id)
	}
	for _, none := range []string{"id", "created", "peer_address", "egress_source", "time_in_queue"} {
		if v, there := got[none]; there {
			t.Errorf("%s is %v, but there is none", none, v)
		}
	}
	if got["sender"] != "" || got["recipient"] != "" {
		t.Errorf("sender %q, recipient %q", got["sender"], got["recipient"])
	}
}

// event makes an event out of whatever a fuzzer thinks up.
func event(kind uint8, code int, local, domain, text, host string, ns int64, n int) *mail.Event {
	e := testEvent()
	e.Kind = mail.EventKind(kind)
	e.Time = time.Unix(ns, ns)
	e.InQueue = time.Duration(ns)
	e.Attempts, e.Recipient = n, n%4-1
	a := smtp.Address{Local: local, Domain: smtp.Domain(domain)}
	e.Envelope.Sender, e.Envelope.Recipients[0].Address = a, a
	e.Envelope.Subject, e.Envelope.Tenant, e.Envelope.Campaign, e.Envelope.Session = text, host, local, text
	e.Lane = mail.Lane(domain + "->" + host)
	e.Outcome.Reply = smtp.Reply{Code: code, Status: smtp.Status{uint16(code), uint16(n), 65535}, Text: text}
	e.Outcome.Host, e.Outcome.Command, e.Outcome.Detail = host, text, text
	e.Outcome.Phases.DNS = time.Duration(ns)
	if n%3 == 0 {
		e.ID = spool.ID{}
	}
	return e
}

func FuzzRecord(f *testing.F) {
	f.Add(uint8(2), 250, "a", "b.test", "fine", "mx", int64(1), 1)
	f.Add(uint8(4), -1, "a\xff\"\\", "b\u2028", "line\r\n\x00\x7f\xed\xa0\x80", "mx\t", int64(-1<<63), -5)
	f.Add(uint8(200), 1<<40, ".", "..", strings.Repeat("ä", maxText), "\xc3", int64(1<<62), 3)
	f.Fuzz(func(t *testing.T, kind uint8, code int, local, domain, text, host string, ns int64, n int) {
		e := event(kind, code, local, domain, text, host, ns, n)
		line := appendRecord(nil, e, appendString(nil, host))
		got := decode(t, line)
		for _, field := range []string{"type", "event_id", "time", "timestamp", "sender", "recipient", "queue", "site", "size", "response", "num_attempts", "bounce_classification", "nodeid", "meta", "headers"} {
			if _, ok := got[field]; !ok {
				t.Errorf("%s is missing", field)
			}
		}
		if _, err := time.Parse(time.RFC3339, got["time"].(string)); err != nil {
			t.Error(err)
		}
		if len(text) <= maxText {
			if want := strings.ToValidUTF8(text, "\ufffd"); text == want && got["response"].(map[string]any)["content"] != text {
				t.Errorf("%q came out as %q", text, got["response"])
			}
		}
	})
}

func TestIDText(t *testing.T) {
	id := spool.NewID(time.Unix(1_700_000_000, 0), [10]byte{1, 255, 9: 7})
	if got := string(id.Append(nil)); got != id.String() {
		t.Errorf("%s, but spool writes %s", got, id)
	}
}

// A record costs no memory of its own: tens of thousands are made a second.
func TestRecordAllocates(t *testing.T) {
	e := testEvent()
	e.Envelope.Account = "" // its protocol name is put together by package mail
	b := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { b = appendRecord(b[:0], e, []byte(`"n"`)) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	e := testEvent()
	e.Envelope.Account = ""
	node := []byte(`"mx1.sender.test"`)
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = appendRecord(buf[:0], e, node)
	}
	b.SetBytes(int64(len(buf)))
}

// A failure says what it means, whatever the name of the rule is.
func TestRecordOfADiagnosis(t *testing.T) {
	e := testEvent()
	e.Kind = mail.EventBounce
	e.Outcome.Diagnosis = mail.Diagnosis{Class: mail.SpamBlock, Severity: mail.Block, Remedy: mail.SlowDown, Rule: "a \"rule\"\n"}
	got := decode(t, appendRecord(nil, e, []byte(`"n1"`)))
	for field, want := range map[string]string{
		"bounce_classification": "SpamBlock", "bounce_severity": "block", "bounce_action": "slow down", "bounce_rule": "a \"rule\"\n",
	} {
		if got[field] != want {
			t.Errorf("%s: %v, want %s", field, got[field], want)
		}
	}
}

// A Reception tells what was found about a stranger's message; other records, and
// those of mail that is vouched for, do not.
func TestRecordOfVerdicts(t *testing.T) {
	e := &mail.Event{Kind: mail.EventReception, Recipient: -1, Envelope: testEnvelope()}
	e.Envelope.Trusted = false
	e.Envelope.Prefix = []byte("Authentication-Results: mx.test;\r\n\tspf=pass smtp.mailfrom=\"x y\"@b.test;\r\n\tdkim=none\r\nReceived: x\r\n")
	told := func() any {
		return decode(t, appendRecord(nil, e, []byte(`"n1"`)))["headers"].(map[string]any)["Authentication-Results"]
	}
	if got := told(); got != `mx.test; spf=pass smtp.mailfrom="x y"@b.test; dkim=none` {
		t.Errorf("%q", got)
	}
	if e.Kind = mail.EventDelivery; told() != nil {
		t.Error("a Delivery tells it again")
	}
	if e.Kind, e.Envelope.Trusted = mail.EventReception, true; told() != nil {
		t.Error("what a client that may relay brought is taken for ours")
	}
}
