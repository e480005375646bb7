package tlsrpt

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"tenma/relay/wire/smtp"
)

const (
	// MaxPlaces is the most places that reports of one domain go to. A record may
	// name whom it likes, so that each more makes us the better amplifier (RFC 8460
	// section 7); a mailbox and a service or two are usual.
	MaxPlaces = 4
	// maxURI is the most octets of one URI; longer ones are passed over.
	maxURI = 1024
	// maxName is the most octets of the name of a field (RFC 8460 section 3).
	maxName = 32
)

// Errors of ParseRecord.
var (
	ErrNoRecord = errors.New("tlsrpt: no record")
	ErrRecord   = errors.New("tlsrpt: record is not valid") // wrapped with what is wrong
)

// Place is where a domain wants its reports: a mailbox, or a URL of the scheme
// https.
type Place struct {
	Mailbox smtp.Address // null: it is URL
	URL     *url.URL     // nil: it is Mailbox
}

// String gives the place as a URI.
func (p Place) String() string {
	if p.URL != nil {
		return p.URL.String()
	}
	return "mailto:" + p.Mailbox.String()
}

// RecordName is where the TXT record of a domain stands (RFC 8460 section 3).
func RecordName(domain string) string { return "_smtp._tls." + domain }

// ParseRecord finds the places that the TXT records at RecordName name, in their
// order, at most MaxPlaces. Records of other kinds and URIs of other schemes are
// passed over. The error is ErrNoRecord, or wraps ErrRecord where there are several
// or the one is not valid or names no place; both mean that the domain wants no
// reports (RFC 8460 section 3).
func ParseRecord(texts []string) ([]Place, error) {
	record, found := "", false
	for _, t := range texts {
		version, fields, ok := strings.Cut(t, ";")
		if !ok || strings.TrimRight(version, " \t") != "v=TLSRPTv1" {
			continue
		}
		if found {
			return nil, fmt.Errorf("%w: there are several", ErrRecord)
		}
		record, found = fields, true
	}
	if !found {
		return nil, ErrNoRecord
	}
	var places []Place
	for field := range strings.SplitSeq(record, ";") {
		field = strings.Trim(field, " \t")
		if field == "" {
			continue
		}
		name, value, ok := strings.Cut(field, "=")
		if !ok || !fieldName(name) || value == "" {
			return nil, fmt.Errorf("%w: %.40q", ErrRecord, field)
		}
		if name != "rua" {
			continue // of a later version (RFC 8460 section 3)
		}
		for uri := range strings.SplitSeq(value, ",") {
			if p, ok := parsePlace(strings.Trim(uri, " \t")); ok && len(places) < MaxPlaces {
				places = append(places, p)
			}
		}
	}
	if len(places) == 0 {
		return nil, fmt.Errorf("%w: it names no place that reports could go to", ErrRecord)
	}
	return places, nil
}

// fieldName reports a name as tlsrpt-ext-name has it (RFC 8460 section 3).
func fieldName(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
		if !alnum && (i == 0 || c != '_' && c != '-' && c != '.') {
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

// parsePlace reads one URI. What a mailto URI says besides the address is no
// stranger's to say.
func parsePlace(uri string) (Place, bool) {
	if len(uri) > maxURI {
		return Place{}, false
	}
	u, err := url.Parse(uri)
	if err != nil {
		return Place{}, false
	}
	switch u.Scheme { // Parse makes it lower case
	case "mailto":
		text, err := url.PathUnescape(u.Opaque)
		if err != nil {
			return Place{}, false
		}
		a, err := smtp.ParseMailbox(text)
		if err != nil || a.Domain == "" || a.Domain.IsLiteral() {
			return Place{}, false
		}
		return Place{Mailbox: a}, true
	case "https":
		if u.Hostname() == "" || u.User != nil || u.Opaque != "" {
			return Place{}, false
		}
		u.Fragment, u.RawFragment = "", ""
		return Place{URL: u}, true
	}
	return Place{}, false
}
