package search

import "strings"

// BaseSubject is the subject without what replying and forwarding put around
// it (RFC 5256 section 2.1). reply tells whether there was any of that (section
// 3, REFERENCES step 5).
func BaseSubject(subject string) (base string, reply bool) {
	// (1) spaces
	s := strings.Join(strings.Fields(subject), " ")
	for {
		// (2) trailers
		for {
			s = strings.TrimRight(s, " ")
			if !hasSuffixFold(s, "(fwd)") {
				break
			}
			s, reply = s[:len(s)-len("(fwd)")], true
		}
		// (3) and (4), until nothing changes (5)
		for {
			s = strings.TrimLeft(s, " ")
			if n := leader(s); n > 0 {
				s, reply = s[n:], true
				continue
			}
			if n := blob(s); n > 0 && n < len(s) {
				s = s[n:]
				continue
			}
			break
		}
		// (6)
		if !hasPrefixFold(s, "[fwd:") || !strings.HasSuffix(s, "]") {
			return s, reply
		}
		s, reply = s[len("[fwd:"):len(s)-1], true
	}
}

// leader gives the length of "Re:" or the like at the start of s, with what may
// stand in brackets before and in it: subj-leader.
func leader(s string) int {
	i := 0
	for n := blob(s); n > 0; n = blob(s[i:]) {
		i += n
	}
	switch rest := s[i:]; {
	case hasPrefixFold(rest, "fwd"):
		i += 3
	case hasPrefixFold(rest, "re"), hasPrefixFold(rest, "fw"):
		i += 2
	default:
		return 0
	}
	i += len(s[i:]) - len(strings.TrimLeft(s[i:], " "))
	i += blob(s[i:])
	if i < len(s) && s[i] == ':' {
		return i + 1
	}
	return 0
}

// blob gives the length of "[...]" at the start of s, spaces behind it
// included: subj-blob.
func blob(s string) int {
	if s == "" || s[0] != '[' {
		return 0
	}
	i := 1
	for i < len(s) && s[i] != '[' && s[i] != ']' {
		i++
	}
	if i == len(s) || s[i] != ']' {
		return 0
	}
	for i++; i < len(s) && s[i] == ' '; i++ {
	}
	return i
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func hasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}
