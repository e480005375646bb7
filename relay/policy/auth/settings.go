package auth

import (
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// Settings gives what was chosen for an account; ok is false if there is none
// of that address.
func (d *Directory) Settings(a smtp.Address) (s mail.Settings, ok bool) {
	return s, d.current().accounts[canonical(a)] != nil
}

// Accounts calls fn for each account, in the order of the file, until it says
// false.
func (d *Directory) Accounts(fn func(a smtp.Address) bool) {
	for _, acc := range d.current().order {
		if !fn(acc.address) {
			return
		}
	}
}
