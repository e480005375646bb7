package mail

// Judgement is what somebody who looked at a message on its way in has to say of
// it; the zero value is nothing.
type Judgement struct {
	// Header is text to put in front of the message: whole fields, each line ended
	// by CRLF.
	Header []byte
	// Hold keeps the message in the queue until an operator has decided.
	Hold bool
}
