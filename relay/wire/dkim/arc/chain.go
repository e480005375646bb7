package arc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tenma/relay/wire/dkim"
	"tenma/relay/wire/header"
)

// MaxSets is the most sets that a message may have (RFC 8617 section 4.2.1).
const MaxSets = 50

// Names of the fields of a set, and cv= (section 4.1.3).
const (
	resultsName = "ARC-Authentication-Results"
	messageName = "ARC-Message-Signature"
	sealName    = "ARC-Seal"
)

// Status is the state of a chain (section 4.4).
type Status string

// States. The zero value is a chain that could not be judged, because a key
// cannot be had now.
const (
	None Status = "none"
	Pass Status = "pass"
	Fail Status = "fail"
)

// Set is what one host added.
type Set struct {
	Results, Message, Seal header.Field

	message, seal *dkim.Claim
	status        Status // cv=
}

// Sealer is the domain that vouches for the set.
func (s *Set) Sealer() string { return string(s.seal.Domain) }

// Chain is the sets of a message, in order of their instance numbers, from 1.
type Chain struct {
	Sets []Set
	// Last is the highest instance number that was seen, also where the chain is
	// broken; 0: there is no chain.
	Last int
	// Err is why the sets are none that could be validated, nil if they may be.
	Err error
}

// Errors of chains.
var (
	errMany     = fmt.Errorf("there are more than %d sets", MaxSets)
	errInstance = errors.New("a field has no instance number")
	errGap      = errors.New("a set is not whole")
	errTwice    = errors.New("a field of a set is there twice")
	errStatus   = errors.New("a seal claims what cannot be")
	errFailed   = errors.New("the chain had failed before")
	errScope    = errors.New("a seal names fields")
)

// Read collects the sets of a header section and looks at what needs no key
// (section 5.2, steps 1 to 3).
func Read(h header.Section) *Chain {
	c := &Chain{}
	byInstance := map[int]*Set{}
	for f := range h.Fields() {
		var of func(*Set) *header.Field
		switch {
		case f.Raw[0]|0x20 != 'a':
			continue
		case f.Is(resultsName):
			of = func(s *Set) *header.Field { return &s.Results }
		case f.Is(messageName):
			of = func(s *Set) *header.Field { return &s.Message }
		case f.Is(sealName):
			of = func(s *Set) *header.Field { return &s.Seal }
		default:
			continue
		}
		n := instance(f)
		switch {
		case n == 0:
			c.fail(errInstance)
			continue
		case n > MaxSets:
			c.fail(errMany)
			continue
		}
		c.Last = max(c.Last, n)
		s := byInstance[n]
		if s == nil {
			s = &Set{}
			byInstance[n] = s
		}
		if field := of(s); field.Raw == nil {
			*field = f
		} else {
			c.fail(errTwice)
		}
	}
	for n := 1; n <= c.Last && c.Err == nil; n++ {
		s := byInstance[n]
		if s == nil || s.Results.Raw == nil || s.Message.Raw == nil || s.Seal.Raw == nil {
			c.fail(errGap)
			break
		}
		c.fail(s.read())
		c.Sets = append(c.Sets, *s)
	}
	if c.Err != nil {
		return c
	}
	for i := range c.Sets {
		want := Pass
		if i == 0 {
			want = None // there was nothing to validate
		}
		switch cv := c.Sets[i].status; {
		case cv == Fail && i == len(c.Sets)-1:
			c.fail(errFailed)
		case cv != want:
			c.fail(errStatus)
		}
	}
	return c
}

// fail notes the first error.
func (c *Chain) fail(err error) {
	if c.Err == nil {
		c.Err = err
	}
}

// Broken reports that the last host has told already that the chain had failed:
// nothing is left to add (section 5.1.2).
func (c *Chain) Broken() bool { return errors.Is(c.Err, errFailed) }

// instance gives the number of a field, 0 for none. In ARC-Authentication-Results
// it is the first of what else is no list of tags (section 4.1.1).
func instance(f header.Field) int {
	first, _, _ := bytes.Cut(f.Value(), []byte(";"))
	if !f.Is(resultsName) {
		tags, err := dkim.ParseTags(f.Value())
		if err != nil || !tags.Has("i") {
			return 0
		}
		first = []byte("i=" + tags.Packed("i"))
	}
	name, value, ok := strings.Cut(string(first), "=")
	n, err := strconv.ParseUint(strings.Trim(value, " \t\r\n"), 10, 16)
	if !ok || strings.Trim(name, " \t\r\n") != "i" || err != nil {
		return 0
	}
	return int(n)
}

// read reads the signatures of a whole set.
func (s *Set) read() error {
	var err error
	if s.message, err = dkim.ReadMessageClaim(s.Message); err != nil {
		return err
	}
	for _, n := range s.message.Names {
		if strings.EqualFold(n, sealName) { // section 4.1.2
			return errScope
		}
	}
	if s.seal, err = dkim.ReadFieldClaim(s.Seal); err != nil {
		return err
	}
	if s.seal.Tags.Has("h") || s.seal.Tags.Has("bh") { // section 4.1.3
		return errScope
	}
	s.status = Status(strings.ToLower(s.seal.Tags.Packed("cv")))
	return nil
}

// Message is the claim whose form of the body must be hashed, nil if none is
// worth it.
func (c *Chain) Message() *dkim.Claim {
	if c.Err != nil || len(c.Sets) == 0 {
		return nil
	}
	return c.Sets[len(c.Sets)-1].message
}

// Claims are those whose keys Validate will want.
func (c *Chain) Claims() []*dkim.Claim {
	m := c.Message()
	if m == nil {
		return nil
	}
	all := []*dkim.Claim{m}
	for i := range c.Sets {
		all = append(all, c.Sets[i].seal)
	}
	return all
}

// Keys gives the key of a claim. Its errors are a *dkim.Fault.
type Keys func(context.Context, *dkim.Claim) (*dkim.Key, error)

// Validate judges the chain (section 5.2): the last set must have signed the
// message as it came, and each seal must fit. body is the hash of the body in the
// form of Message. With Fail and the zero status, err tells why.
func (c *Chain) Validate(ctx context.Context, fields dkim.Fields, body [sha256.Size]byte, keys Keys, now time.Time) (Status, error) {
	switch {
	case c.Err != nil:
		return Fail, c.Err
	case len(c.Sets) == 0:
		return None, nil
	}
	last := c.Sets[len(c.Sets)-1].message
	k, err := keys(ctx, last)
	if err == nil {
		err = last.Verify(k, fields, body, now)
	}
	// From the last to the first, since the last is most likely to be broken.
	for i := len(c.Sets) - 1; i >= 0 && err == nil; i-- {
		seal := c.Sets[i].seal
		if k, err = keys(ctx, seal); err == nil {
			err = seal.VerifyField(k, c.sealed(i))
		}
	}
	if f, ok := errors.AsType[*dkim.Fault](err); ok && f.Result == dkim.TempError {
		return "", err
	}
	if err != nil {
		return Fail, err
	}
	return Pass, nil
}

// sealed is what the seal of a set is over, without the seal itself (section
// 5.1.1): all fields of the sets before it, and those of its own.
func (c *Chain) sealed(i int) []byte {
	var b []byte
	for n := range c.Sets[:i+1] {
		s := &c.Sets[n]
		b = dkim.AppendRelaxed(b, s.Results)
		b = dkim.AppendRelaxed(b, s.Message)
		if n < i {
			b = dkim.AppendRelaxed(b, s.Seal)
		}
	}
	return b
}
