package milter

import "encoding/binary"

// Version is the protocol that is spoken (SMFI_PROT_VERSION); MinVersion the
// oldest that is understood: libmilter of Sendmail 8.12.
const (
	Version    = 6
	MinVersion = 2
)

// Actions are the changes that a filter may ask for (SMFIF_*), a set.
type Actions uint32

// Members of Actions.
const (
	AddHeader           Actions = 0x001 // add a field at the end, or insert one
	ReplaceBody         Actions = 0x002
	AddRecipient        Actions = 0x004
	DeleteRecipient     Actions = 0x008
	ChangeHeader        Actions = 0x010 // change or delete a field
	Quarantine          Actions = 0x020
	ChangeSender        Actions = 0x040
	AddRecipientOptions Actions = 0x080 // add a recipient with ESMTP parameters
	ChooseMacros        Actions = 0x100 // say which macros are wanted
)

// Steps say which events a filter wants and which it answers (SMFIP_*), a set.
// The server offers what it can leave out, the filter chooses.
type Steps uint32

// Members of Steps: events that are not sent, and events that are not answered.
const (
	NoConnect   Steps = 0x000001
	NoHelo      Steps = 0x000002
	NoMail      Steps = 0x000004
	NoRcpt      Steps = 0x000008
	NoBody      Steps = 0x000010
	NoHeader    Steps = 0x000020
	NoHeaderEnd Steps = 0x000040
	NoUnknown   Steps = 0x000100
	NoData      Steps = 0x000200

	CanSkip Steps = 0x000400 // the filter may say that it has seen enough of the body

	SilentHeader    Steps = 0x000080
	SilentConnect   Steps = 0x001000
	SilentHelo      Steps = 0x002000
	SilentMail      Steps = 0x004000
	SilentRcpt      Steps = 0x008000
	SilentData      Steps = 0x010000
	SilentUnknown   Steps = 0x020000
	SilentHeaderEnd Steps = 0x040000
	SilentBody      Steps = 0x080000

	// LeadingSpace: values of fields go both ways with the white space that
	// follows the colon.
	LeadingSpace Steps = 0x100000
)

// AllSteps are those that a server of this package can take. SMFIP_RCPT_REJ
// (refused recipients are told as well) and the larger chunks of later versions are
// not among them.
const AllSteps = NoConnect | NoHelo | NoMail | NoRcpt | NoBody | NoHeader | NoHeaderEnd | NoUnknown | NoData | CanSkip |
	SilentHeader | SilentConnect | SilentHelo | SilentMail | SilentRcpt | SilentData | SilentUnknown | SilentHeaderEnd | SilentBody | LeadingSpace

// Negotiation is what one side of it says.
type Negotiation struct {
	Version uint32
	Actions Actions
	Steps   Steps
}

// AppendNegotiation appends the server's offer (SMFIC_OPTNEG).
func AppendNegotiation(b []byte, n Negotiation) []byte {
	b, at := begin(b, 'O')
	b = binary.BigEndian.AppendUint32(b, n.Version)
	b = binary.BigEndian.AppendUint32(b, uint32(n.Actions))
	b = binary.BigEndian.AppendUint32(b, uint32(n.Steps))
	return finish(b, at)
}

// ParseNegotiation reads the filter's answer to an offer. It may have claimed
// actions that were not offered, as rspamd does to be on the safe side: they are
// left out of what is returned, and asking for one later is an error of ParseReply.
// Steps that were not offered are an error, since the two sides would wait for
// each other. The list of macros that may follow is not read. Errors wrap
// ErrProtocol.
func ParseNegotiation(code byte, data []byte, offer Negotiation) (Negotiation, error) {
	if code != 'O' || len(data) < 12 {
		return Negotiation{}, broken("no answer to the negotiation, but %q with %d octets", code, len(data))
	}
	n := Negotiation{
		Version: binary.BigEndian.Uint32(data),
		Actions: Actions(binary.BigEndian.Uint32(data[4:])) & offer.Actions,
		Steps:   Steps(binary.BigEndian.Uint32(data[8:])),
	}
	if n.Version < MinVersion || n.Version > offer.Version {
		return Negotiation{}, broken("version %d", n.Version)
	}
	if more := n.Steps &^ offer.Steps; more != 0 {
		return Negotiation{}, broken("steps %#x were not offered", uint32(more))
	}
	return n, nil
}
