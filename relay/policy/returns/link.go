package returns

import (
	"time"

	"tenma/relay/mail"
)

// linkLife is for how long after a message was accepted its link is good: for as
// long as the key is kept. People look for an old message to leave a mailing, and a
// link that leads nowhere makes them press the spam button.
const linkLife = 1<<63 - 1

// maxLink keeps the line of a link below the 998 octets of RFC 5322 section 2.1.1.
const maxLink = 900

// HasLinks reports that mail can have links to unsubscribe.
func (a *Adviser) HasLinks() bool { return a.now.Load().links != nil }

// ListUnsubscribe gives the two header fields by which the recipient of a copy leaves
// a mailing with one click (RFC 8058 section 3, RFC 2369 section 3.2); nil without
// Config.Links. A campaign whose name is too long for a line is left out.
func (a *Adviser) ListUnsubscribe(r mail.Reference) []byte {
	s := a.now.Load()
	if s.links == nil {
		return nil
	}
	link := s.Links + s.links.Seal(Unsubscribe, r)
	if len(link) > maxLink {
		r.Campaign = ""
		link = s.Links + s.links.Seal(Unsubscribe, r)
	}
	// A link may not be folded: RFC 2369 section 2 has readers take white space out of
	// it, and not all do.
	return []byte("List-Unsubscribe: <" + link + ">\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")
}

// OpenLink reads the last part of a link. The error is ErrForged.
func (a *Adviser) OpenLink(token string) (mail.Reference, error) {
	s := a.now.Load()
	if s.links == nil {
		return mail.Reference{}, ErrForged
	}
	return s.links.Open(Unsubscribe, token, time.Now(), time.Duration(linkLife))
}
