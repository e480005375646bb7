package maillog

import (
	"strconv"

	"tenma/relay/mail"
	"tenma/relay/wire/arf"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// appendReturns appends what concerns signed return paths, and what came back by
// them.
func appendReturns(b []byte, e *mail.Event) []byte {
	if !e.Envelope.ReturnPath.IsNull() {
		b = append(b, `,"return_path":`...)
		b = appendAddress(b, e.Envelope.ReturnPath)
	}
	b = appendID(b, "batch_id", e.Envelope.Batch)
	b = appendID(b, "about_id", e.About)
	if e.Feedback != nil {
		b = appendFeedback(append(b, `,"feedback_report":`...), e.Feedback)
	}
	return b
}

func appendID(b []byte, name string, id spool.ID) []byte {
	if id.IsZero() {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":"`...)
	return append(id.Append(b), '"')
}

// appendFeedback appends a complaint as KumoMTA's records have it. Who sends
// complaints decides what stands in them, so each list is cut.
func appendFeedback(b []byte, r *arf.Report) []byte {
	b = append(b, `{"feedback_type":`...)
	b = appendString(b, r.Type)
	b = appendField(b, "user_agent", r.UserAgent)
	if !r.Arrival.IsZero() {
		b = append(b, `,"arrival_date":`...)
		b = appendTime(b, r.Arrival)
	}
	b = append(b, `,"incidents":`...)
	b = strconv.AppendInt(b, int64(r.Incidents), 10)
	b = appendField(b, "original_envelope_id", r.EnvelopeID)
	b = appendField(b, "original_mail_from", r.MailFrom.String())
	if r.ReportingMTA != "" {
		b = append(b, `,"reporting_mta":{"mta_type":"dns","name":`...)
		b = append(appendString(b, r.ReportingMTA), '}')
	}
	if r.SourceIP.IsValid() {
		b = append(b, `,"source_ip":"`...)
		b = append(r.SourceIP.WithZone("").AppendTo(b), '"')
	}
	b = append(b, `,"original_rcpt_to":`...)
	b = appendList(b, r.Recipients, appendAddress)
	b = append(b, `,"reported_domain":`...)
	b = appendList(b, r.Domains, appendString)
	return append(b, '}')
}

// maxList is how many members of a list are recorded.
const maxList = 10

func appendList[T string | smtp.Address](b []byte, all []T, one func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, v := range all[:min(len(all), maxList)] {
		if i > 0 {
			b = append(b, ',')
		}
		b = one(b, v)
	}
	return append(b, ']')
}
