package milter

import (
	"net"
	"strconv"

	"tenma/relay/mail"
	"tenma/relay/wire/milter"
	"tenma/relay/wire/smtp"
)

// unknown stands for a client without a name, as filters know it from other servers.
const unknown = "unknown"

// connectMacros are values about the session. Filters give them their meaning: the
// names are those of Sendmail, as its documents and those of rspamd and ClamAV list
// them. What is not known is left out.
func connectMacros(hostname, client string, e *mail.Envelope) []milter.Macro {
	m := []milter.Macro{
		{Name: "j", Value: hostname},
		{Name: "v", Value: "tenma"},
		{Name: "{daemon_name}", Value: e.Listener},
	}
	if _, port, err := net.SplitHostPort(e.Listener); err == nil {
		m = append(m, milter.Macro{Name: "{daemon_port}", Value: port})
	}
	if !e.Client.IsValid() {
		return m
	}
	addr := e.Client.Addr().Unmap().WithZone("").String()
	name := client
	if name == "" {
		name = unknown
	}
	return append(
		m,
		milter.Macro{Name: "_", Value: name + " [" + addr + "]"},
		milter.Macro{Name: "{client_addr}", Value: addr},
		milter.Macro{Name: "{client_name}", Value: name},
		milter.Macro{Name: "{client_ptr}", Value: name},
		milter.Macro{Name: "{client_port}", Value: strconv.Itoa(int(e.Client.Port()))},
	)
}

// mailMacros are values about the message: its id, who logged in, its sender.
func mailMacros(id string, e *mail.Envelope) []milter.Macro {
	m := []milter.Macro{
		{Name: "i", Value: id},
		{Name: "{auth_authen}", Value: e.Account},
	}
	return append(m, address("mail", e.Sender)...)
}

// rcptMacros are values about a recipient.
func rcptMacros(a smtp.Address) []milter.Macro { return address("rcpt", a) }

func address(of string, a smtp.Address) []milter.Macro {
	return []milter.Macro{
		{Name: "{" + of + "_addr}", Value: a.String()},
		{Name: "{" + of + "_host}", Value: string(a.Domain)},
		{Name: "{" + of + "_mailer}", Value: "smtp"},
	}
}
