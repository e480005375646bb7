package search

import (
	"strconv"
	"strings"
)

// Page is a part of a result by place, both ends included, from 1 on.
type Page struct{ First, Last uint32 }

// Of gives what lies in the page.
func (p Page) Of(found []uint32) []uint32 {
	n := uint32(len(found))
	return found[min(p.First-1, n):min(p.Last, n)]
}

// returns reads RETURN (...) and the space behind it, if it comes.
func (p *parser) returns(c *Command) error {
	if !p.word("RETURN") {
		return nil
	}
	c.Extended = true
	if !p.char('(') {
		return p.bad("RETURN without list")
	}
	for !p.char(')') {
		p.space()
		switch name, _ := p.atom(); strings.ToUpper(name) {
		case "MIN":
			c.Return.ReturnMin = true
		case "MAX":
			c.Return.ReturnMax = true
		case "ALL":
			c.Return.ReturnAll = true
		case "COUNT":
			c.Return.ReturnCount = true
		case "SAVE":
			c.Return.ReturnSave = true
		case "PARTIAL":
			if err := p.page(c); err != nil {
				return err
			}
		case "UPDATE":
			c.Update = true
		case "CONTEXT": // a hint that more such searches will come (RFC 5267 section 4.2)
		default:
			return p.bad("RETURN %q", name)
		}
	}
	if c.Page != (Page{}) && c.Return.ReturnAll { // RFC 5267 section 4.4
		return p.bad("PARTIAL and ALL")
	}
	if !p.space() {
		return p.bad("nothing behind RETURN")
	}
	return nil
}

// page reads the range of PARTIAL (RFC 5267 section 4.4), of which there can be one.
func (p *parser) page(c *Command) error {
	p.space()
	text, _ := p.atom()
	from, to, ok := strings.Cut(text, ":")
	a, errA := strconv.ParseUint(from, 10, 32)
	b, errB := strconv.ParseUint(to, 10, 32)
	if !ok || errA != nil || errB != nil || a == 0 || b == 0 || c.Page != (Page{}) {
		return p.bad("PARTIAL %.40q", text)
	}
	c.Page = Page{uint32(min(a, b)), uint32(max(a, b))}
	return nil
}
