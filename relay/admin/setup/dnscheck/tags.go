package dnscheck

import "strings"

// tag is one "name=value" of a record.
type tag struct{ name, value string }

// tags reads a list of tags (RFC 6376 section 3.2, RFC 7489 section 6.3, RFC 8460
// section 3). Names come in lower case, values without blanks around them. What
// is no tag comes as a name without a value, and bad.
func tags(text string) (all []tag, bad string) {
	for part := range strings.SplitSeq(text, ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok && bad == "" {
			bad = part
		}
		all = append(all, tag{strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)})
	}
	return all, bad
}

func value(all []tag, name string) (string, bool) {
	for _, t := range all {
		if t.name == name {
			return t.value, true
		}
	}
	return "", false
}
