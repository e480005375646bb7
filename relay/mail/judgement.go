package mail

// Judgement is what somebody who looked at a message on its way in has to say of
// it; the zero value is nothing.
type Judgement struct {
	// Header is text to put in front of the message: whole fields, each line ended
	// by CRLF.
	Header []byte
	// Hold keeps the message in the queue until an operator has decided.
	Hold bool
	// Section takes the place of the message's own header section, each line ended
	// by CRLF; nil: it stays. Only who was shown it apart from the body may say so.
	Section []byte
	// Discard takes the message, as far as its client is told, and throws it away.
	Discard bool
}
