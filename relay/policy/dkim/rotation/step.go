package rotation

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"tenma/relay/policy/dkim"
)

const (
	// Settle is how long a record must have been seen before its key signs. Who
	// asked for it too early remembers that it is not there for one to three hours
	// (RFC 2308 section 5), and slower servers of the zone have it by then.
	Settle = 3 * time.Hour
	// Grace is for how long after the queue has given up a message a receiver may
	// still want to verify it: it may wait in a next hop's queue as long as in ours,
	// and programs verify when somebody reads.
	Grace = 7 * 24 * time.Hour
)

// RecordStays is for how long after its last signature a key's record must stay,
// where mail waits in the queue for at most hold.
func RecordStays(hold time.Duration) time.Duration { return hold + Grace }

// Adopt brings state in line with the files of its domain, which come oldest
// first. The first time, the oldest key of each algorithm is active: it signed
// until now, or else its record will be found missing and a younger one takes over.
// A file that was not known otherwise is a next key. A file that has gone takes a key with it that has never signed, or
// whose life is over; of others the phase is kept. kind gives the algorithm of a
// file that is new, "" if it cannot be used.
func Adopt(keys []Key, files []File, kind func(File) string, now time.Time) []Key {
	first := len(keys) == 0
	keys = slices.DeleteFunc(slices.Clone(keys), func(k Key) bool {
		there := slices.ContainsFunc(files, func(f File) bool { return strings.EqualFold(f.Selector, k.Selector) })
		return !there && (k.Phase == Next || k.Phase == Retired)
	})
	for _, f := range files {
		k := Key{Domain: f.Domain, Selector: f.Selector, Phase: Next, Since: stamp(now), Sight: Unknown}
		if slices.ContainsFunc(keys, func(o Key) bool { return o.same(&k) }) {
			continue
		}
		if k.Algorithm = kind(f); k.Algorithm == "" {
			continue
		}
		if first && !slices.ContainsFunc(keys, func(o Key) bool { return o.rivals(&k) }) {
			k.Phase = Active
		}
		keys = append(keys, k)
	}
	return sorted(keys)
}

// Note remembers what a look at now has found of a key's record.
func Note(k Key, s Sight, now time.Time) Key {
	switch {
	case s == Unknown: // Seen stays: silence does not say that the record has gone
	case s != Published:
		k.Seen = time.Time{}
	case k.Seen.IsZero():
		k.Seen = stamp(now)
	}
	k.Sight = s
	return k
}

// stamp is a time as the file has it: nobody wants to read fractions of seconds.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// Step ends the phases of one domain's keys whose end has come. usable reports
// that a key's file can be used; hold is how long mail may wait in the queue.
func Step(keys []Key, usable func(Key) bool, hold time.Duration, now time.Time) []Key {
	keys = slices.Clone(keys)
	enter := func(k *Key, p Phase) { k.Phase, k.Since = p, stamp(now) }
	for i := range keys {
		k := &keys[i]
		switch {
		case k.Phase == Next && (settled(k, now) || k.Sight == Published && deserted(keys, k)) && usable(*k):
			for j := range keys {
				if o := &keys[j]; o.Phase == Active && o.rivals(k) {
					enter(o, Retiring)
				}
			}
			enter(k, Active)
		case k.Phase == Retiring && now.Sub(k.Since) >= RecordStays(hold):
			enter(k, Retired)
		}
	}
	return sorted(keys)
}

// settled reports that the record is there now, and has been for long enough.
func settled(k *Key, now time.Time) bool {
	return k.Sight == Published && !k.Seen.IsZero() && now.Sub(k.Seen) >= Settle
}

// deserted reports that no key that k replaces has a record: what it signs cannot
// be verified, so there is nothing to wait for.
func deserted(keys []Key, k *Key) bool {
	found := false
	for _, o := range keys {
		if o.Phase == Active && o.rivals(k) {
			if o.Sight == Published || o.Sight == Unknown {
				return false
			}
			found = true
		}
	}
	return found
}

// Due lists the active keys that have signed for longer than every and have no
// successor yet; every 0: none.
func Due(keys []Key, every time.Duration, now time.Time) []Key {
	var due []Key
	for _, k := range keys {
		if every > 0 && k.Phase == Active && now.Sub(k.Since) >= every && !HasNext(keys, k) {
			due = append(due, k)
		}
	}
	return due
}

// HasNext reports that a key is there to take the place of k.
func HasNext(keys []Key, k Key) bool {
	return slices.ContainsFunc(keys, func(o Key) bool { return o.Phase == Next && o.rivals(&k) })
}

// Compare tells what the text records at a key's name are to a verifier, where
// want is the record that it should find.
func Compare(found []string, want string) Sight {
	key := tag(want, "p")
	sight := Missing
	for _, text := range found {
		p, ok := lookTag(text, "p")
		switch {
		case !ok:
			continue // some other text; verifiers pass it over
		case p == key && tag(text, "k") == tag(want, "k") && len(found) == 1:
			return Published
		case p == "":
			sight = Revoked
		default:
			// Of several records a verifier may take any (RFC 6376 section 3.6.2.2).
			sight = Different
		}
	}
	return sight
}

// tag is lookTag with the default of k=.
func tag(record, name string) string {
	v, ok := lookTag(record, name)
	if !ok && name == "k" {
		return dkim.RSA // RFC 6376 section 3.6.1
	}
	return v
}

// lookTag reads one tag of a record (RFC 6376 section 3.2), white space taken out.
func lookTag(record, name string) (string, bool) {
	for part := range strings.SplitSeq(record, ";") {
		n, v, ok := strings.Cut(part, "=")
		if ok && strings.TrimSpace(n) == name {
			v = strings.Join(strings.Fields(v), "")
			if name == "p" {
				if _, err := base64.StdEncoding.DecodeString(v); err != nil {
					return v + " (no base64)", true
				}
			}
			return v, true
		}
	}
	return "", false
}
