// Package rotation replaces signing keys without a message that cannot be
// verified: the adviser behind every [[dkim]] that names a domain and no key.
//
// A private key that signs for years is a key that somebody has copied by then,
// so keys are changed now and again (RFC 6376 section 3.1, M3AAWG's advice is
// twice a year). The danger lies in the order of things. A signature made before
// its record can be looked up counts as none; so does one whose record is taken
// out while the message still waits in a queue, ours or another's. So each key
// goes through four phases:
//
//	next      it is made; somebody publishes its record
//	active    it signs: from when the record has been seen for Settle, without a gap
//	retiring  another signs; what it signed may still be under way, its record stays
//	retired   nothing of it can be under way any more: its record may be revoked
//
// The keys of one domain that have the same algorithm replace each other; RSA and
// Ed25519 go their ways side by side, so that a key of a second kind joins the
// first in the same way: published, seen, used.
//
// Private keys lie in one directory as DOMAIN.SELECTOR.pem. Whoever wants a new
// one puts a file there, as "tenma dkim rotate" does, whether the relay runs or
// not. Only the running relay writes the phases, to StateFile beside them, so
// that there is nobody to wait for, and an interrupted command leaves a file or
// none.
//
// Read on in state.go (what is remembered), step.go (when a phase ends: a plain
// function of state, what the DNS shows, and the time), files.go (the directory)
// and keeper.go (who looks, and when).
package rotation
