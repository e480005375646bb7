package mail

import (
	"strings"
	"testing"

	"tenma/relay/wire/dane"
)

// A connection serves where the same or less is demanded; verified by authorities
// is not verified by records, and one set of records is not another.
func TestServes(t *testing.T) {
	set := func(b byte) *dane.Set {
		data := make([]byte, 32)
		data[0] = b
		return dane.New([]dane.Record{{Usage: 3, Selector: 1, MatchingType: 1, Data: data}}, "mx.test")
	}
	all := map[string]Safety{
		"any": {}, "none": {TLS: TLSNone}, "required": {TLS: TLSRequired}, "verified": {TLS: TLSVerified}, "implicit": {TLS: TLSImplicit},
		"one": {TLS: TLSDANE, DANE: set(1)}, "two": {TLS: TLSDANE, DANE: set(2)},
	}
	serves := map[string]string{
		"any": "any", "none": "none", "required": "any required", "verified": "any required verified", "implicit": "implicit",
		"one": "any required one", "two": "any required two",
	}
	for opened, s := range all {
		for wanted, want := range all {
			if got := s.Serves(&want); got != contains(serves[opened], wanted) {
				t.Errorf("a connection opened under %q serves for %q: %v", opened, wanted, got)
			}
		}
	}
}

func contains(words, word string) bool {
	for w := range strings.FieldsSeq(words) {
		if w == word {
			return true
		}
	}
	return false
}
