package mime

import (
	"reflect"
	"strings"
	"testing"

	"tenma/relay/wire/header"
)

func checkTexts(t *testing.T, h string) bool {
	s := header.Section(h)
	texts, ok := ReadEnvelopeTexts(s, 4<<10)
	if !ok {
		return false
	}
	if got, want := texts.Envelope(), ParseEnvelope(s); !reflect.DeepEqual(got, want) {
		t.Errorf("%q: %+v, not %+v", h, got, want)
	}
	return true
}

// The texts of a header's fields tell the same as the header, or nothing.
func TestEnvelopeTexts(t *testing.T) {
	for h, ok := range map[string]bool{
		"": true,
		"From: a <a@b>,\r\n c@d\r\nSUBJECT : s\r\n  t\r\nDate: now\r\nx: y\r\nBcc:\r\nMessage-ID: <m>\r\nIn-Reply-To: <i>\r\n": true,
		"Sender: g: a@b, c;\r\nReply-To: =?utf-8?q?x?= <x@y>\r\nTo: \"q\" <q@q>\r\nCc: x\r\n":                                  true,
		"Subject: a\x00b\rc\r\nDate:\r\n":                                               true,
		"From: a@b\r\nFrom: c@d\r\n":                                                    false,
		"Subject: one\r\nSubject: two\r\n":                                              false,
		"To: " + strings.Repeat("a@b, ", 1000):                                          false,
		"To: " + strings.Repeat(",a", 2000):                                             true,
		"To: " + strings.Repeat("x@y,", 500) + "\r\nCc: " + strings.Repeat("x@y,", 600): false,
	} {
		if got := checkTexts(t, h); got != ok {
			t.Errorf("%.60q: %v", h, got)
		}
	}
}

func FuzzEnvelopeTexts(f *testing.F) {
	f.Add("From: a\r\nTo: b:c,d;\r\nCc: e\r\nBcc: \r\nSender: (x) y\r\nReply-To: <@a:b@c>\r\nDate: d\r\nSubject: \x00\r\nIn-Reply-To: i\r\nMessage-ID: m\r\n")
	f.Add("from:\n a\nDate:\r\n\r\n")
	f.Fuzz(func(t *testing.T, h string) { checkTexts(t, h) })
}
