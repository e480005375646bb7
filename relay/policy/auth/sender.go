package auth

import (
	"slices"

	"tenma/relay/wire/smtp"
)

// MaySend reports whether an account may send as a, in the envelope or in From:
// its own address, with or without a "+tag", an alias or catch-all that leads to
// it, and what its send_as grants. The address of another account is that one's
// alone, even where its mail is copied here, unless it was granted.
func (d *Directory) MaySend(account string, a smtp.Address) bool {
	own, err := smtp.ParseMailbox(account)
	if err != nil || own.Domain == "" || a.Domain == "" {
		return false
	}
	self, key := canon(own), canon(base(a))
	if key == self {
		return true
	}
	s, ok := d.Settings(own)
	if !ok {
		return false
	}
	if slices.Contains(s.SendAs, "@"+string(a.Domain)) || slices.Contains(s.SendAs, canonical(a)) || slices.Contains(s.SendAs, key.String()) {
		return true
	}
	p := d.places.Load()
	if _, taken := d.Settings(key); taken && p.role(key) == "" || !p.domains[a.Domain] {
		return false
	}
	return slices.ContainsFunc(d.Resolve(a), func(to smtp.Address) bool { return canon(to) == self })
}
