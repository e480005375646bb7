package imap

import "strings"

// Match compares a name with a pattern, in which "*" stands for anything and "%"
// for anything within a level; "/" separates levels. It takes time in the product of the lengths at
// most, whatever the pattern. INBOX is compared in any case.
func Match(pattern, name string) bool {
	inbox := name == "INBOX" || strings.HasPrefix(name, "INBOX/")
	// reached[i]: the pattern so far matches the first i octets.
	reached := make([]bool, len(name)+1)
	reached[0] = true
	for k := range len(pattern) {
		c := pattern[k]
		if c == '*' || c == '%' {
			for i := range len(name) {
				if reached[i] && (c == '*' || name[i] != '/') {
					reached[i+1] = true
				}
			}
			continue
		}
		some := false
		for i := len(name); i > 0; i-- {
			same := name[i-1] == c || inbox && i <= len("INBOX") && name[i-1]|0x20 == c|0x20
			reached[i] = reached[i-1] && same
			some = some || reached[i]
		}
		reached[0] = false
		if !some {
			return false
		}
	}
	return reached[len(name)]
}
