// Package lanes gives the lanes of a queue their keys. A key begins with what
// kind of lane it is, so that no configured name can be taken for another kind.
package lanes

import (
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// The kinds of lane.
const (
	remote = '>'
	local  = '@'
	lookup = '?'
)

// Of is the key of the lane that a route leads to.
func Of(r *mail.Route) string {
	if r.Kind == mail.Local {
		return string(local) + string(r.Lane)
	}
	return string(remote) + string(r.Lane)
}

// Lookup is the key of the lane in which mail for a domain waits for its route.
func Lookup(d smtp.Domain) string { return string(lookup) + string(d) }

// IsLookup reports a key that Lookup made.
func IsLookup(key string) bool { return key[0] == lookup }

// Kind is 1 for a key that Lookup made, else 0.
func Kind(key string) int {
	if IsLookup(key) {
		return 1
	}
	return 0
}

// IsLocal reports the key of a lane to mailboxes here.
func IsLocal(key string) bool { return key[0] == local }

// Hash spreads keys: FNV-1a, 64 bits.
func Hash(key string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	return h
}

// Name is how operators and the log see a lane; a lookup is "?domain".
func Name(key string) mail.Lane {
	if key == "" || IsLookup(key) {
		return mail.Lane(key)
	}
	return mail.Lane(key[1:])
}
