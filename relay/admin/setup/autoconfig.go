package setup

import (
	"encoding/xml"
	"net/http"
)

// clientConfig is Mozilla's document, version 1.1.
type clientConfig struct {
	XMLName  xml.Name      `xml:"clientConfig"`
	Version  string        `xml:"version,attr"`
	Provider emailProvider `xml:"emailProvider"`
}

type emailProvider struct {
	ID       string         `xml:"id,attr"`
	Domain   string         `xml:"domain"`
	Name     string         `xml:"displayName"`
	Short    string         `xml:"displayShortName"`
	Incoming []clientServer `xml:"incomingServer"`
	Outgoing []clientServer `xml:"outgoingServer"`
}

type clientServer struct {
	Type     string `xml:"type,attr"`
	Hostname string `xml:"hostname"`
	Port     uint16 `xml:"port"`
	Socket   string `xml:"socketType"`
	Username string `xml:"username"`
	Auth     string `xml:"authentication"`
}

// autoconfig answers GET .../config-v1.1.xml?emailaddress=ADDRESS. Programs
// take the first server of a list that they can use.
func autoconfig(c *Config, w http.ResponseWriter, r *http.Request) {
	d, ok := c.domain(r, r.URL.Query().Get("emailaddress"), "autoconfig.")
	if !ok {
		unknown(w)
		return
	}
	p := emailProvider{ID: string(d), Domain: string(d), Name: string(d), Short: string(d)}
	for _, kind := range []Protocol{IMAP, POP3} {
		p.Incoming = append(p.Incoming, c.servers(kind, string(kind))...)
	}
	p.Outgoing = c.servers(Submission, "smtp")
	sendXML(w, clientConfig{Version: "1.1", Provider: p})
}

func (c *Config) servers(p Protocol, kind string) []clientServer {
	var all []clientServer
	for _, s := range c.of(p) {
		socket := "STARTTLS"
		if s.Implicit {
			socket = "SSL"
		}
		// The program puts the address in. Its "password-cleartext" is PLAIN
		// inside TLS; what it calls encrypted is CRAM-MD5, which nobody should.
		all = append(all, clientServer{kind, c.Host, s.Port, socket, "%EMAILADDRESS%", "password-cleartext"})
	}
	return all
}

func sendXML(w http.ResponseWriter, v any) {
	text, err := xml.MarshalIndent(v, "", "  ")
	if err != nil { // cannot be: nothing but text and numbers
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	send(w, "text/xml; charset=utf-8", append([]byte(xml.Header), append(text, '\n')...))
}
