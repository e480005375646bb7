package setup

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"strings"

	"tenma/relay/wire/smtp"
)

// maxRequest bounds Outlook's request, in octets; a real one has 400.
const maxRequest = 16 << 10

// Schemas of [MS-OXDSCLI].
const (
	requestSchema  = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
	responseSchema = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
)

type discoverRequest struct {
	XMLName xml.Name `xml:"Autodiscover"`
	Request struct {
		Address string `xml:"EMailAddress"`
		Schema  string `xml:"AcceptableResponseSchema"`
	} `xml:"Request"`
}

type discoverAnswer struct {
	XMLName  xml.Name `xml:"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006 Autodiscover"`
	Response any      `xml:"Response"`
}

type discoverResponse struct {
	XMLName xml.Name        `xml:"http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a Response"`
	User    discoverUser    `xml:"User"`
	Account discoverAccount `xml:"Account"`
}

type discoverUser struct {
	Name string `xml:"DisplayName"`
}

type discoverAccount struct {
	Type      string             `xml:"AccountType"`
	Action    string             `xml:"Action"`
	Protocols []discoverProtocol `xml:"Protocol"`
}

type discoverProtocol struct {
	Type           string `xml:"Type"`
	Server         string `xml:"Server"`
	Port           uint16 `xml:"Port"`
	DomainRequired string `xml:"DomainRequired"`
	LoginName      string `xml:"LoginName"`
	SPA            string `xml:"SPA"`
	SSL            string `xml:"SSL"`
	Encryption     string `xml:"Encryption"`
	AuthRequired   string `xml:"AuthRequired"`
	UsePOPAuth     string `xml:"UsePOPAuth,omitempty"`
	SMTPLast       string `xml:"SMTPLast,omitempty"`
}

type discoverFailure struct {
	Error struct {
		Code    int    `xml:"ErrorCode"`
		Message string `xml:"Message"`
		Debug   string `xml:"DebugData"`
	} `xml:"Error"`
}

// Codes of [MS-OXDSCLI] section 2.2.3.1.3.
const (
	discoverUnknown = 500
	discoverBad     = 600
	discoverNoSuch  = 601 // another schema than ours
)

// autodiscover answers POST /autodiscover/autodiscover.xml.
func autodiscover(c *Config, w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, "the request is too large", http.StatusRequestEntityTooLarge)
		return
	}
	var q discoverRequest
	if err := xml.Unmarshal(text, &q); err != nil || q.XMLName.Space != requestSchema {
		discoverFail(w, discoverBad, "Invalid Request")
		return
	}
	if s := strings.TrimSpace(q.Request.Schema); s != "" && s != responseSchema {
		discoverFail(w, discoverNoSuch, "Provider is not available")
		return
	}
	a, ok := c.address(q.Request.Address)
	if !ok {
		discoverFail(w, discoverUnknown, "The email address can't be found.")
		return
	}
	acc := discoverAccount{Type: "email", Action: "settings"}
	for _, kind := range []struct {
		is   Protocol
		name string
	}{{IMAP, "IMAP"}, {POP3, "POP3"}, {Submission, "SMTP"}} {
		services := c.of(kind.is)
		if len(services) == 0 {
			continue
		}
		acc.Protocols = append(acc.Protocols, c.protocol(kind.name, services[0], a)) // Outlook reads one of each
	}
	sendXML(w, discoverAnswer{Response: discoverResponse{User: discoverUser{a.String()}, Account: acc}})
}

func (c *Config) protocol(name string, s Service, a smtp.Address) discoverProtocol {
	p := discoverProtocol{
		Type: name, Server: c.Host, Port: s.Port, DomainRequired: "off", LoginName: a.String(), SPA: "off",
		SSL: "on", Encryption: "TLS", AuthRequired: "on",
	}
	if s.Implicit {
		p.Encryption = "SSL"
	}
	if name == "SMTP" {
		p.UsePOPAuth, p.SMTPLast = "on", "off" // with the name and password of the mailbox
	}
	return p
}

func discoverFail(w http.ResponseWriter, code int, text string) {
	var f discoverFailure
	f.Error.Code, f.Error.Message = code, text
	sendXML(w, discoverAnswer{Response: f})
}

// autodiscoverJSON answers GET /autodiscover/autodiscover.json, where newer
// programs ask for the address of a protocol.
func autodiscoverJSON(c *Config, w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	address := q.Get("Email")
	if i := len(jsonPath + "/v1.0/"); address == "" && len(r.URL.Path) > i {
		address = r.URL.Path[i:]
	}
	d, ok := c.domain(r, address, "autodiscover.")
	protocol := q.Get("Protocol")
	status := http.StatusOK
	var answer any
	switch {
	case !ok:
		status = http.StatusNotFound
		answer = map[string]string{"ErrorCode": "UserNotFound", "ErrorMessage": "no such domain here"}
	case !strings.EqualFold(protocol, "AutodiscoverV1"):
		status = http.StatusBadRequest
		answer = map[string]string{"ErrorCode": "InvalidProtocol", "ErrorMessage": "the only protocol here is AutodiscoverV1"}
	default:
		answer = map[string]string{"Protocol": "AutodiscoverV1", "Url": "https://autodiscover." + string(d) + xmlPath}
	}
	text, err := json.Marshal(answer)
	if err != nil { // cannot be
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // the client has gone if this fails
}
