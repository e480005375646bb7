package arc

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"

	"tenma/relay/wire/dkim"
	"tenma/relay/wire/header"
)

// Seal is the set to be added to a message that goes on.
type Seal struct {
	Domain, Selector string
	Algorithm        string // rsa-sha256 or ed25519-sha256
	Time             time.Time
	// Results is what was found on arrival: the value of an Authentication-Results
	// field, folded as it is to stand.
	Results string
	// Status is what became of the chain on arrival.
	Status Status

	Names  []byte            // h=, folded as it is to stand
	Fields []byte            // these, in relaxed form and in that order
	Body   [sha256.Size]byte // of the body in relaxed form
}

// Append appends the fields of the set, to stand before all others of the message
// whose chain this is. sign gives the signature of a digest. Fields end with CRLF.
//
// Nothing is appended to a chain that was told broken already, nor to one that
// would have too many sets.
func (s *Seal) Append(b []byte, c *Chain, sign func(digest [sha256.Size]byte) ([]byte, error)) ([]byte, error) {
	if c.Last >= MaxSets || c.Broken() {
		return b, nil
	}
	n := strconv.Itoa(c.Last + 1)
	results := []byte(resultsName + ": i=" + n + "; " + s.Results + "\r\n")

	value := s.tags(n, " c=relaxed/relaxed;")
	value = append(value, "\r\n\th="...)
	value = append(value, s.Names...)
	value = append(value, ";\r\n\tbh="...)
	value = base64.StdEncoding.AppendEncode(value, s.Body[:])
	value = append(value, ";\r\n\tb="...)
	signature, err := sign(dkim.DigestField(s.Fields, messageName, value))
	if err != nil {
		return b, err
	}
	message := dkim.AppendSignedField(nil, messageName, value, signature)

	var scope []byte
	if s.Status != Fail {
		// Of a broken chain none but the new set is sealed (section 5.1.2).
		scope = c.sealed(len(c.Sets) - 1)
		if len(c.Sets) > 0 {
			scope = dkim.AppendRelaxed(scope, c.Sets[len(c.Sets)-1].Seal)
		}
	}
	scope = dkim.AppendRelaxed(scope, header.Field{Raw: results})
	scope = dkim.AppendRelaxed(scope, header.Field{Raw: message})
	value = s.tags(n, " cv="+string(s.Status)+";")
	value = append(value, "\r\n\tb="...)
	if signature, err = sign(dkim.DigestField(scope, sealName, value)); err != nil {
		return b, err
	}
	b = dkim.AppendSignedField(b, sealName, value, signature)
	b = append(b, message...)
	return append(b, results...), nil
}

// tags begins the value of a signature.
func (s *Seal) tags(instance, more string) []byte {
	v := make([]byte, 0, 256+len(s.Names))
	v = append(v, "i="+instance+"; a="+s.Algorithm+";"+more+" t="...)
	v = strconv.AppendInt(v, s.Time.Unix(), 10)
	return append(v, ";\r\n\td="+s.Domain+";\r\n\ts="+s.Selector+";"...)
}
