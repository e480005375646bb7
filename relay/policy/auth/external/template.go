package external

import (
	"fmt"
	"strings"

	"tenma/relay/wire/smtp"
)

// template is a text with {address}, {local} and {domain} in it.
type template []piece

// piece is literal text, or the name of a part of the address.
type piece struct {
	text string
	part bool
}

// maxTemplate bounds a template, in octets.
const maxTemplate = 4096

// parseTemplate reads one. It must depend on the local part, or every account
// would be the same one.
func parseTemplate(text string) (template, error) {
	if len(text) > maxTemplate {
		return nil, fmt.Errorf("a template of more than %d octets", maxTemplate)
	}
	var t template
	personal := false
	for rest := text; rest != ""; {
		before, after, found := strings.Cut(rest, "{")
		if strings.Contains(before, "}") {
			return nil, fmt.Errorf("%q: a } without its {", text)
		}
		if before != "" {
			t = append(t, piece{text: before})
		}
		if !found {
			break
		}
		name, tail, closed := strings.Cut(after, "}")
		switch {
		case !closed:
			return nil, fmt.Errorf("%q: a { without its }", text)
		case name != "address" && name != "local" && name != "domain":
			return nil, fmt.Errorf("%q: {%s} is none of {address}, {local}, {domain}", text, name)
		}
		personal = personal || name != "domain"
		t = append(t, piece{text: name, part: true})
		rest = tail
	}
	if !personal {
		return nil, fmt.Errorf("%q has neither {address} nor {local} in it: it would be the same for everybody", text)
	}
	return t, nil
}

// fill puts the parts of an address in, each through escape.
func (t template) fill(a smtp.Address, escape func(string) string) string {
	var b strings.Builder
	for _, p := range t {
		text := p.text
		if p.part {
			switch p.text {
			case "address":
				text = a.Local + "@" + string(a.Domain) // directories do not quote
			case "local":
				text = a.Local
			case "domain":
				text = string(a.Domain)
			}
			text = escape(text)
		}
		b.WriteString(text)
	}
	return b.String()
}
