package fetch

import (
	"strings"

	wire "tenma/relay/wire/imap"
	"tenma/relay/wire/mime"
)

// writeEnvelope writes an envelope (RFC 9051 section 7.5.2, ENVELOPE).
func writeEnvelope(w *wire.Writer, e *mime.Envelope) {
	w.Raw("(")
	writeOptional(w, e.Date)
	w.Raw(" ")
	writeOptional(w, e.Subject)
	for _, list := range [][]mime.Address{e.From, e.Sender, e.ReplyTo, e.To, e.Cc, e.Bcc} {
		w.Raw(" ")
		writeAddresses(w, list)
	}
	w.Raw(" ")
	writeOptional(w, e.InReplyTo)
	w.Raw(" ")
	writeOptional(w, e.MessageID)
	w.Raw(")")
}

func writeOptional(w *wire.Writer, s *string) {
	if s == nil {
		w.Raw("NIL")
		return
	}
	w.String(*s)
}

// filled is NIL for nothing.
func filled(w *wire.Writer, s string) { w.NString(s, s != "") }

func writeAddresses(w *wire.Writer, list []mime.Address) {
	if len(list) == 0 {
		w.Raw("NIL")
		return
	}
	w.Raw("(")
	for _, a := range list {
		w.Raw("(")
		filled(w, a.Name)
		w.Raw(" ")
		filled(w, a.Route)
		w.Raw(" ")
		filled(w, a.Mailbox)
		w.Raw(" ")
		filled(w, a.Host)
		w.Raw(")")
	}
	w.Raw(")")
}

// writeStructure writes BODYSTRUCTURE, or BODY, which is the same without
// extension data (RFC 9051 section 7.5.2). The tree is no deeper than
// mime.Limits.
func writeStructure(w *wire.Writer, p *mime.Part, extended bool) {
	w.Raw("(")
	defer w.Raw(")")
	if p.Multipart() {
		for _, c := range p.Children {
			writeStructure(w, c, extended)
		}
		w.Raw(" ")
		w.String(p.Subtype)
		if extended {
			w.Raw(" ")
			writeParams(w, p.Params)
			writeExtension(w, p)
		}
		return
	}
	message, typ, subtype := p.Message(), p.Type, p.Subtype
	if !message && (p.Is("message", "rfc822") || p.Is("message", "global") || p.Is("multipart", "*")) {
		typ, subtype = "application", "octet-stream" // it was not opened, so it has no structure to show
	}
	w.String(typ)
	w.Raw(" ")
	w.String(subtype)
	w.Raw(" ")
	writeParams(w, p.Params)
	w.Raw(" ")
	filled(w, p.ID)
	w.Raw(" ")
	filled(w, p.Description)
	w.Raw(" ")
	w.String(p.Encoding)
	w.Raw(" ")
	w.Number(p.Body.Len())
	if message {
		w.Raw(" ")
		e := p.Children[0].Envelope
		if e == nil {
			e = &mime.Envelope{}
		}
		writeEnvelope(w, e)
		w.Raw(" ")
		writeStructure(w, p.Children[0], extended)
	}
	if message || strings.EqualFold(typ, "text") {
		w.Raw(" ")
		w.Number(p.Lines)
	}
	if extended {
		w.Raw(" ")
		filled(w, p.MD5)
		writeExtension(w, p)
	}
}

// writeExtension writes disposition, language and location.
func writeExtension(w *wire.Writer, p *mime.Part) {
	if p.Disposition == "" {
		w.Raw(" NIL")
	} else {
		w.Raw(" (")
		w.String(p.Disposition)
		w.Raw(" ")
		writeParams(w, p.DispositionParams)
		w.Raw(")")
	}
	w.Raw(" ")
	switch len(p.Language) {
	case 0:
		w.Raw("NIL")
	case 1:
		w.String(p.Language[0])
	default:
		w.Raw("(")
		for i, l := range p.Language {
			if i > 0 {
				w.Raw(" ")
			}
			w.String(l)
		}
		w.Raw(")")
	}
	w.Raw(" ")
	filled(w, p.Location)
}

func writeParams(w *wire.Writer, params []mime.Param) {
	if len(params) == 0 {
		w.Raw("NIL")
		return
	}
	w.Raw("(")
	for i, p := range params {
		if i > 0 {
			w.Raw(" ")
		}
		w.String(p.Name)
		w.Raw(" ")
		w.String(p.Value)
	}
	w.Raw(")")
}
