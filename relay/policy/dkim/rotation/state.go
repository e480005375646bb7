package rotation

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"tenma/relay/policy/dkim"
	"tenma/relay/wire/smtp"
)

// StateFile is the name of what is remembered, beside the keys.
const StateFile = "rotation.toml"

// maxKeys bounds the keys that are remembered: more than anybody has, and few
// enough to be written at every change.
const maxKeys = 10_000

// Phase is where a key stands in its life.
type Phase string

// The phases, in their order.
const (
	Next     Phase = "next"
	Active   Phase = "active"
	Retiring Phase = "retiring"
	Retired  Phase = "retired"
)

// Phases lists them.
func Phases() []Phase { return []Phase{Next, Active, Retiring, Retired} }

// Sight is what the last look into the DNS found of a key's record.
type Sight string

// What can be found. Unknown is no answer, or no look yet: it proves nothing.
const (
	Unknown   Sight = "unknown"
	Published Sight = "published"
	Missing   Sight = "missing"
	Different Sight = "different" // there is a record, but not this key's
	Revoked   Sight = "revoked"   // an empty p= (RFC 6376 section 3.6.1)
)

// Key is what is remembered of one key.
type Key struct {
	Domain    smtp.Domain `toml:"domain"`
	Selector  string      `toml:"selector"`
	Algorithm string      `toml:"algorithm"` // dkim.RSA or dkim.Ed25519
	Phase     Phase       `toml:"phase"`
	Since     time.Time   `toml:"since"`         // in this phase
	Sight     Sight       `toml:"record"`        // of the last look
	Seen      time.Time   `toml:"seen,omitzero"` // since when every look has found it published; zero: the last has not
}

// Name is where the key's record belongs.
func (k *Key) Name() string { return dkim.Name(k.Selector, k.Domain) }

func (k *Key) same(o *Key) bool {
	return k.Domain == o.Domain && strings.EqualFold(k.Selector, o.Selector)
}

// rivals reports that one of the two keys takes the other's place.
func (k *Key) rivals(o *Key) bool {
	return k.Domain == o.Domain && k.Algorithm == o.Algorithm && !k.same(o)
}

// sorted puts keys in the order in which people look for them.
func sorted(keys []Key) []Key {
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(slices.Index(Phases(), a.Phase), slices.Index(Phases(), b.Phase)), cmp.Compare(a.Selector, b.Selector))
	})
	return keys
}

type document struct {
	Keys []Key `toml:"key"`
}

const heading = `# The phases of the signing keys that tenma keeps, written by the running relay.
# "tenma dkim list" explains them.

`

// Encode writes keys as StateFile has them.
func Encode(keys []Key) ([]byte, error) {
	text, err := toml.Marshal(document{keys})
	return append([]byte(heading), text...), err
}

// Decode reads what Encode wrote. A text that it did not write is an error:
// guessing could sign with a key that nobody can look up.
func Decode(text []byte) ([]Key, error) {
	var d document
	dec := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) {
			return nil, fmt.Errorf("an unknown key: %s", strings.Join(strict.Errors[0].Key(), "."))
		}
		return nil, err
	}
	if len(d.Keys) > maxKeys {
		return nil, fmt.Errorf("%d keys, more than %d", len(d.Keys), maxKeys)
	}
	seen := map[string]bool{}
	for i := range d.Keys {
		k := &d.Keys[i]
		if err := k.check(); err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		if name := strings.ToLower(k.Name()); seen[name] {
			return nil, fmt.Errorf("key %d: %s stands there twice", i+1, name)
		} else {
			seen[name] = true
		}
	}
	return sorted(d.Keys), nil
}

func (k *Key) check() error {
	d, err := smtp.ParseDomain(string(k.Domain))
	if err != nil || d.IsLiteral() {
		return fmt.Errorf("%q is no domain", k.Domain)
	}
	k.Domain = d
	if !selectorFits(k.Selector) {
		return fmt.Errorf("%q is no selector", k.Selector)
	}
	switch {
	case k.Algorithm != dkim.RSA && k.Algorithm != dkim.Ed25519:
		return fmt.Errorf("algorithm %q is unknown", k.Algorithm)
	case !slices.Contains(Phases(), k.Phase):
		return fmt.Errorf("phase %q is unknown", k.Phase)
	case !slices.Contains([]Sight{Unknown, Published, Missing, Different, Revoked}, k.Sight):
		return fmt.Errorf("record %q is unknown", k.Sight)
	case k.Since.IsZero():
		return errors.New("since is missing")
	}
	return nil
}

// selectorFits reports a selector of one label: the name of a file tells domain
// and selector apart by the last dot.
func selectorFits(s string) bool {
	d, err := smtp.ParseDomain(s)
	return err == nil && !d.IsLiteral() && !strings.Contains(s, ".")
}
