package maillog

import (
	"strconv"
	"strings"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// appendRecord appends one event as a line. node is the nodeid as JSON. It
// allocates nothing but room in b, except for local parts beyond letters and
// digits and for TLS or AUTH in the name of the protocol.
func appendRecord(b []byte, e *mail.Event, node []byte) []byte {
	env, o := e.Envelope, &e.Outcome
	b = append(b, `{"type":"`...)
	b = append(b, e.Kind.String()...)
	b = append(b, '"')
	if !e.ID.IsZero() {
		b = append(b, `,"id":"`...)
		b = append(e.ID.Append(b), '"')
	}
	b = appendEventID(b, e)
	b = append(b, `,"time":`...)
	b = appendTime(b, e.Time)
	b = append(b, `,"timestamp":`...)
	b = strconv.AppendInt(b, e.Time.Unix(), 10)
	if !env.Received.IsZero() {
		b = append(b, `,"created":`...)
		b = strconv.AppendInt(b, env.Received.Unix(), 10)
	}
	b = append(b, `,"sender":`...)
	b = appendAddress(b, env.Sender)
	b = appendRecipient(b, e)
	b = appendReturns(b, e)
	b = append(b, `,"site":`...)
	b = appendString(b, string(e.Lane))
	b = append(b, `,"size":`...)
	b = strconv.AppendInt(b, env.Size, 10)
	b = appendResponse(b, e)
	b = append(b, `,"num_attempts":`...)
	b = strconv.AppendInt(b, int64(e.Attempts), 10)
	b = append(b, `,"bounce_classification":"`...)
	b = append(b, o.Diagnosis.Class.String()...)
	b = append(b, '"')
	b = appendDiagnosis(b, &o.Diagnosis)
	b = append(b, `,"nodeid":`...)
	b = append(b, node...)
	b = appendReception(b, env)
	switch {
	case atTheDoor(e.Kind):
		b = appendPeer(b, env.HELO, env.Client)
	case cameBack(e.Kind):
		b = appendPeer(b, e.Outcome.Host, env.Client)
	default:
		b = appendConnection(b, e)
	}
	if e.InQueue != 0 {
		b = append(b, `,"time_in_queue":`...)
		b = appendSeconds(b, e.InQueue)
	}
	b = appendField(b, "detail", o.Detail)
	b = appendMeta(b, e)
	return append(b, "}\n"...)
}

// atTheDoor reports the kinds whose peer is the client that brought the mail.
func atTheDoor(k mail.EventKind) bool {
	return k == mail.EventReception || k == mail.EventRejection
}

// cameBack reports the kinds that tell what a message says that came back by mail:
// their peer is the host that handed it in, under the name of who reports.
func cameBack(k mail.EventKind) bool { return k == mail.EventOOB || k == mail.EventFeedback }

// appendEventID names the fact: the same for each copy of it, another for each
// other fact. A Rejection has no message; session and time name it.
func appendEventID(b []byte, e *mail.Event) []byte {
	b = append(b, `,"event_id":"`...)
	if e.ID.IsZero() {
		b = append(appendEscaped(b, e.Envelope.Session), '-')
		b = strconv.AppendInt(b, e.Time.UnixNano(), 36)
	} else {
		b = e.ID.Append(b)
	}
	b = append(b, '-')
	if e.Recipient >= 0 {
		b = strconv.AppendInt(b, int64(e.Recipient), 10)
	}
	b = append(b, '-')
	b = strconv.AppendInt(b, int64(e.Attempts), 10)
	b = append(b, '-')
	b = append(b, e.Kind.String()...)
	return append(b, '"')
}

// appendRecipient appends recipient and queue.
func appendRecipient(b []byte, e *mail.Event) []byte {
	env := e.Envelope
	one := e.Recipient
	if len(env.Recipients) == 1 {
		one = 0
	}
	b = append(b, `,"recipient":`...)
	var domain smtp.Domain
	switch {
	case one >= 0 && one < len(env.Recipients):
		b = appendAddress(b, env.Recipients[one].Address)
		domain = env.Recipients[one].Address.Domain
	case len(env.Recipients) == 0:
		b = append(b, `""`...)
	default:
		b = append(b, '[')
		for i := range env.Recipients {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendAddress(b, env.Recipients[i].Address)
		}
		b = append(b, ']')
	}
	b = append(b, `,"queue":`...)
	return appendQueue(b, env, domain)
}

// appendQueue appends the name of a queue, CAMPAIGN:TENANT@DOMAIN.
func appendQueue(b []byte, env *mail.Envelope, domain smtp.Domain) []byte {
	b = append(b, '"')
	if env.Campaign != "" {
		b = append(appendEscaped(b, env.Campaign), ':')
	}
	if env.Tenant != "" || env.Campaign != "" {
		b = append(appendEscaped(b, env.Tenant), '@')
	}
	return append(appendEscaped(b, string(domain)), '"')
}

func appendResponse(b []byte, e *mail.Event) []byte {
	r := &e.Outcome.Reply
	code := r.Code
	if code == 0 && e.Kind == mail.EventReception {
		code = 250 // a message is received when the client has heard that
	}
	b = append(b, `,"response":{"code":`...)
	b = strconv.AppendInt(b, int64(code), 10)
	if r.Status != (smtp.Status{}) {
		b = append(b, `,"enhanced_code":{"class":`...)
		b = strconv.AppendUint(b, uint64(r.Status[0]), 10)
		b = append(b, `,"subject":`...)
		b = strconv.AppendUint(b, uint64(r.Status[1]), 10)
		b = append(b, `,"detail":`...)
		b = strconv.AppendUint(b, uint64(r.Status[2]), 10)
		b = append(b, '}')
	}
	b = append(b, `,"content":`...)
	b = appendString(b, r.Text)
	b = appendField(b, "command", e.Outcome.Command)
	return append(b, '}')
}

// appendDiagnosis appends what a failure means, beside its class.
func appendDiagnosis(b []byte, d *mail.Diagnosis) []byte {
	if *d == (mail.Diagnosis{}) {
		return b
	}
	b = append(b, `,"bounce_severity":"`...)
	b = append(b, d.Severity.String()...)
	b = append(b, `","bounce_action":"`...)
	b = append(b, d.Remedy.String()...)
	b = append(b, '"')
	return appendField(b, "bounce_rule", d.Rule)
}

// appendReception appends what is known of how the message came.
func appendReception(b []byte, env *mail.Envelope) []byte {
	b = append(b, `,"reception_protocol":"`...)
	if env.Origin == mail.FromSelf {
		b = append(b, "Internal"...)
	} else {
		b = append(b, env.Protocol()...)
	}
	b = append(b, '"')
	b = appendField(b, "session_id", env.Session)
	switch env.Priority {
	case mail.Bulk:
		b = append(b, `,"priority":"bulk"`...)
	case mail.Urgent:
		b = append(b, `,"priority":"urgent"`...)
	}
	return b
}

// appendConnection appends what is known of the attempt.
func appendConnection(b []byte, e *mail.Event) []byte {
	o := &e.Outcome
	if source, _, ok := strings.Cut(string(e.Lane), "->"); ok {
		b = appendField(b, "egress_source", source)
	}
	b = appendPeer(b, o.Host, o.Peer)
	if o.Local.IsValid() {
		b = append(b, `,"source_address":{"address":"`...)
		b = o.Local.WithZone("").AppendTo(b)
		b = append(b, `"}`...)
	}
	switch {
	case o.Command == "LOCAL":
		b = append(b, `,"delivery_protocol":"Local"`...)
	case o.Peer.IsValid():
		b = append(b, `,"delivery_protocol":"ESMTP"`...)
	}
	b = appendField(b, "tls_protocol_version", o.TLS.Version)
	b = appendField(b, "tls_cipher", o.TLS.Cipher)
	b = appendField(b, "tls_peer_subject_name", o.TLS.PeerName)
	b = appendField(b, "tls_policy", o.TLS.Policy)
	if o.TLS.Verified {
		b = append(b, `,"tls_verified":true`...)
	}
	if o.Phases == (mail.Phases{}) {
		return b
	}
	b = append(b, `,"phases":{"dns":`...)
	b = appendSeconds(b, o.Phases.DNS)
	b = append(b, `,"connect":`...)
	b = appendSeconds(b, o.Phases.Connect)
	b = append(b, `,"tls":`...)
	b = appendSeconds(b, o.Phases.TLS)
	b = append(b, `,"transaction":`...)
	b = appendSeconds(b, o.Phases.Transaction)
	return append(b, '}')
}
