package bounce

import (
	"tenma/relay/mail"
)

// words say in plain English what a status means, and what a sender can do.
type words struct{ why, todo string }

// The advice that several reasons share.
const (
	checkAddress = "Please check the address for typing mistakes, or ask the recipient in another way, by telephone for example, for the right one."
	tryLater     = "Please send your message again later, or reach the recipient in another way."
	askHelp      = "Please pass this message on to whoever looks after your e-mail: it says what has to be put right."
	nothingToDo  = "You need not do anything, and please do not send it again: it will be tried until it arrives"
)

// meaning of enhanced status codes by subject and detail (RFC 3463 section 3
// and the IANA registry of SMTP enhanced status codes).
var meaning = map[[2]uint16]words{
	{1, 0}:  {"There is something wrong with the address.", checkAddress},
	{1, 1}:  {"There is no such address at the recipient's mail server.", checkAddress},
	{1, 2}:  {"The part of the address behind the @ does not exist or cannot receive mail.", checkAddress},
	{1, 3}:  {"The recipient's mail server does not understand the address.", checkAddress},
	{1, 4}:  {"The address stands for more than one mailbox.", checkAddress},
	{1, 6}:  {"The mailbox has moved, and nobody left word where to.", checkAddress},
	{1, 7}:  {"The recipient's mail server does not accept your own address as that of a sender.", askHelp},
	{1, 8}:  {"The recipient's mail server does not accept your own address as that of a sender.", askHelp},
	{1, 10}: {"The part of the address behind the @ has declared that it receives no mail.", checkAddress},

	{2, 0}: {"There is something wrong with the recipient's mailbox.", tryLater},
	{2, 1}: {"The recipient's mailbox is closed or receives nothing at present.", "Please reach the recipient in another way."},
	{2, 2}: {"The recipient's mailbox is full.", "Please let the recipient know in another way, and send your message again when there is room."},
	{2, 3}: {"Your message is larger than the recipient may receive.", "Please send it without its attachments or with smaller ones, for example by a link to the files."},
	{2, 4}: {"The mailing list behind this address could not be reached.", tryLater},

	{3, 1}: {"The recipient's mail server has no room left.", tryLater},
	{3, 4}: {"Your message is larger than the recipient's mail server accepts.", "Please send it without its attachments or with smaller ones, for example by a link to the files."},

	{4, 1}: {"The recipient's mail server does not answer.", tryLater},
	{4, 2}: {"The connection to the recipient's mail server broke off.", tryLater},
	{4, 3}: {"It could not be found out which mail server serves this address.", tryLater},
	{4, 4}: {"No mail server could be found for the part of the address behind the @.", checkAddress},
	{4, 6}: {"Your message went round in a circle between mail servers.", askHelp},
	{4, 7}: {"We tried to deliver your message again and again until its time ran out.", tryLater},

	{6, 3}: {"The recipient's mail server cannot take a message with this kind of content.", "Please send it in a simpler form, for example as plain text or as an attachment."},
	{6, 7}: {"The recipient's mail server cannot take addresses with letters beyond a to z.", "Please use another address for yourself or the recipient, if there is one."},

	{7, 0}:  {"The recipient's mail server refused your message by its rules.", askHelp},
	{7, 1}:  {"The recipient's mail server refused your message by its rules, for example those against unwanted mail.", askHelp},
	{7, 2}:  {"Only members may write to the mailing list behind this address.", "Please ask the list's owner to let you write to it."},
	{7, 4}:  {"The way to the recipient's mail server is not as safe as your message demands.", askHelp},
	{7, 10}: {"The recipient's mail server demands encryption that could not be agreed on.", askHelp},
	{7, 20}: {"Your message bears no valid signature of your domain, which the recipient's mail server demands.", askHelp},
	{7, 23}: {"The recipient's mail server does not believe that your message comes from your domain.", askHelp},
	{7, 25}: {"The recipient's mail server does not trust the address that our server sends from.", askHelp},
	{7, 26}: {"The recipient's mail server does not believe that your message comes from your domain.", askHelp},
	{7, 30}: {"The way to the recipient's mail server is not as safe as your message demands.", askHelp},
}

// explain gives the words for a report.
func explain(r *mail.Report) words {
	switch topicOf(r.Action) {
	case success:
		return words{}
	case delay:
		w := words{"The recipient's mail server could not be reached or asked for patience.", nothingToDo + "."}
		if !r.WillRetry.IsZero() {
			w.todo = nothingToDo + ", at the longest until " + r.WillRetry.UTC().Format(humanDate) + "."
		}
		return w
	}
	s := statusCode(r)
	if w, ok := meaning[[2]uint16{s[1], s[2]}]; ok {
		return w
	}
	if w, ok := meaning[[2]uint16{s[1], 0}]; ok { // what the subject alone says
		return w
	}
	switch {
	case r.Outcome.Host == "":
		return words{"The mail system could not do its work.", askHelp}
	case r.Outcome.Reply.Code == 552: // RFC 5321 section 4.2.2: exceeded storage allocation
		return words{"Your message is too large, or the recipient's mailbox is full.", "Please send a smaller message, or reach the recipient in another way."}
	case r.Outcome.Command == "RCPT":
		return words{"The recipient's mail server does not take mail for this address.", checkAddress}
	}
	return words{"The recipient's mail server refused your message.", askHelp}
}
