package intake

import "tenma/relay/wire/header"

// unwanted reports a field that is taken out before the message is stored.
func (r *reception) unwanted(f header.Field) bool {
	switch {
	case isTenantField(f):
		return true
	case isBlind(f):
		return authored(r.e)
	}
	return r.server.deps.Unwanted != nil && r.server.deps.Unwanted(r.e, f)
}

// drop takes unwanted fields out of the header section r.buf[:end], in place, and
// gives the length that is left of it: all other octets stay as they are and in
// order.
//
// This is before the message is stored, so promise 2 of package relay holds:
// the stored body never changes.
func (r *reception) drop(end int) int {
	at := 0
	for f := range header.Section(r.buf[:end]).Fields() {
		if r.unwanted(f) {
			continue
		}
		// What is copied lies at or behind where it goes.
		at += copy(r.buf[at:], f.Raw)
	}
	if at == end {
		return end
	}
	r.buf = append(r.buf[:at], r.buf[end:]...)
	r.size -= int64(end - at)
	r.eight = r.eight && hasEightBit(r.buf)
	return at
}
