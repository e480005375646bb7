package intake

import "testing"

// The field of RFC 8689 section 3 becomes part of the envelope; nonsense in its place
// does not, nor does it count beside REQUIRETLS.
func TestTLSRequiredNo(t *testing.T) {
	for text, want := range map[string]bool{
		"TLS-Required: No\r\n\r\nx":                        true,
		"From: a@a.test\r\ntls-required:\r\n no \r\n\r\nx": true,
		"TLS-Required: Yes\r\n\r\nx":                       false,
		"TLS-Required:\r\n\r\nx":                           false,
		"TLS-Required: No\r\nTLS-Required: No\r\n\r\nx":    false,
		"Subject: x\r\n\r\nTLS-Required: No\r\n":           false,
	} {
		for _, require := range []bool{false, true} {
			s, _, _ := rig(Config{})
			e := envelope()
			e.RequireTLS = require
			accept(t, s, e, text)
			if got := e.OptionalTLS; got != (want && !require) || e.RequireTLS != require {
				t.Errorf("%q, REQUIRETLS %v: %v", text, require, got)
			}
		}
	}
}
