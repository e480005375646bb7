package search

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"tenma/relay/mailbox"
	"tenma/relay/wire/mime"
)

// Key is one of the keys of SORT.
type Key struct {
	By      By
	Reverse bool
}

// By is what messages are sorted by.
type By uint8

// Sort keys (RFC 5256 section 3, RFC 5957 section 3).
const (
	Arrival By = iota // when it arrived here
	Cc                // mailbox of the first address
	Date              // when it was sent
	From
	Size
	Subject // BaseSubject
	To
	DisplayFrom // the name that is shown, or the address
	DisplayTo
)

// maxKeys bounds the keys of one SORT; more than there are different ones say
// nothing new.
const maxKeys = 9

// maxValue bounds what is kept of a text to sort by, in octets: messages that
// are the same that far stay in the order of the folder.
const maxValue = 256

// keys reads the list of sort keys and the space behind it.
func (p *parser) keys(c *Command) error {
	if !p.char('(') {
		return p.bad("no sort keys")
	}
	reverse := false
	for {
		name, _ := p.atom()
		name = strings.ToUpper(name)
		if name == "REVERSE" && !reverse {
			reverse = true
		} else {
			by, ok := sortBy(name)
			if !ok {
				return p.bad("sort key %.40q", name)
			}
			// A key that came before decides nothing any more.
			if !slices.ContainsFunc(c.Sort, func(k Key) bool { return k.By == by }) {
				c.Sort = append(c.Sort, Key{by, reverse})
			}
			reverse = false
		}
		if !p.space() {
			break
		}
	}
	if reverse || !p.char(')') || !p.space() {
		return p.bad("sort keys")
	}
	return nil
}

func sortBy(name string) (By, bool) {
	for by, n := range [maxKeys]string{"ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO"} {
		if n == name {
			return By(by), true
		}
	}
	return 0, false
}

// value is what a message is sorted by under one key.
type value struct {
	n int64
	s string
}

// Sort puts messages, as Run found them, in order. Those that are the same under
// all keys keep the order of the folder (RFC 5256 section 3). Of each message it
// holds 24 octets and at most 256 of text for each key. Messages that are gone
// come first.
func Sort(ctx context.Context, v View, found []uint32, keys []Key) ([]uint32, error) {
	k := len(keys)
	values := make([]value, k*len(found))
	var scratch []byte
	err := each(ctx, v, found, func(i int, m *mailbox.Message) {
		for j, key := range keys {
			values[i*k+j] = key.By.of(m, &scratch)
		}
	})
	if err != nil {
		return nil, err
	}
	order := make([]int32, len(found))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		for j, key := range keys {
			x, y := &values[int(a)*k+j], &values[int(b)*k+j]
			c := cmp.Compare(x.n, y.n)
			if c == 0 {
				c = strings.Compare(x.s, y.s)
			}
			if key.Reverse {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return int(a - b)
	})
	sorted := make([]uint32, len(found))
	for i, o := range order {
		sorted[i] = found[o]
	}
	return sorted, nil
}

// each reads the messages of a rising list, in runs.
func each(ctx context.Context, v View, found []uint32, fn func(i int, m *mailbox.Message)) error {
	for i := 0; i < len(found); {
		j := i + 1
		for j < len(found) && found[j]-found[j-1] <= maxGap {
			j++
		}
		at := i
		err := v.Each(ctx, int(found[i]), int(found[j-1]), func(seq int, m *mailbox.Message) bool {
			for at < j && int(found[at]) < seq {
				at++
			}
			if at < j && int(found[at]) == seq {
				fn(at, m)
			}
			return true
		})
		if err != nil {
			return err
		}
		i = j
	}
	return ctx.Err()
}

func (b By) of(m *mailbox.Message, scratch *[]byte) value {
	d := &m.Digest
	switch b {
	case Arrival:
		return value{n: m.Date.Unix()}
	case Date:
		return value{n: Sent(m).Unix()}
	case Size:
		return value{n: m.Size}
	case Subject:
		base, _ := BaseSubject(d.Subject)
		return text(base, scratch)
	case Cc:
		return text(firstAddress(d.Cc).Mailbox, scratch)
	case From:
		return text(firstAddress(d.From).Mailbox, scratch)
	case To:
		return text(firstAddress(d.To).Mailbox, scratch)
	case DisplayFrom:
		return text(display(d.From), scratch)
	case DisplayTo:
		return text(display(d.To), scratch)
	}
	return value{}
}

// text is the form of a text in which i;ascii-casemap and i;unicode-casemap
// order it: capitals, so that signs such as "_" come behind letters.
func text(s string, scratch *[]byte) value {
	b := fold((*scratch)[:0], s[:min(len(s), 4*maxValue)])
	for i, c := range b {
		if c-'a' < 26 {
			b[i] = c - 'a' + 'A'
		}
	}
	*scratch = b
	return value{s: string(b[:min(len(b), maxValue)])}
}

// firstAddress reads the first member of a list that was decoded: of a group its
// name, which stands for a mailbox in an envelope.
func firstAddress(list string) mime.Address {
	all := mime.ParseAddresses(list[:min(len(list), 4*maxValue)])
	if len(all) == 0 {
		return mime.Address{}
	}
	a := all[0]
	if a.Mailbox == mime.NoMailbox {
		a.Mailbox = ""
	}
	if a.Host == mime.NoHost {
		a.Host = ""
	}
	return a
}

// display: RFC 5957 section 3.
func display(list string) string {
	a := firstAddress(list)
	switch {
	case a.Name != "":
		return a.Name
	case a.Host == "":
		return a.Mailbox
	}
	return a.Mailbox + "@" + a.Host
}
