package route

import (
	"fmt"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// The outcomes, one function each. Text is for the sender's DSN; Detail is for
// our log.

func outcome(code int, status smtp.Status, text, detail string) *mail.Outcome {
	return &mail.Outcome{Command: "DNS", Reply: smtp.Reply{Code: code, Status: status, Text: text}, Detail: detail}
}

func noSuchDomain(d smtp.Domain, err error) *mail.Outcome {
	return outcome(550, smtp.Status{5, 1, 2}, fmt.Sprintf("the domain %s does not exist", d), err.Error())
}

func neitherMXNorAddress(d smtp.Domain, err error) *mail.Outcome {
	return outcome(550, smtp.Status{5, 1, 2}, fmt.Sprintf("the domain %s has neither a mail exchanger nor an address", d), err.Error())
}

func takesNoMail(d smtp.Domain) *mail.Outcome {
	return outcome(556, smtp.Status{5, 1, 10}, fmt.Sprintf("the domain %s takes no mail (null MX)", d), "") // RFC 7505 section 4.2
}

func noAnswer(d smtp.Domain, err error) *mail.Outcome {
	return outcome(451, smtp.Status{4, 4, 3}, fmt.Sprintf("the DNS does not answer for %s", d), err.Error())
}

func loops(d smtp.Domain, why string) *mail.Outcome {
	return outcome(554, smtp.Status{5, 4, 6}, fmt.Sprintf("mail for %s loops back to myself", d), why)
}

func unusable(d smtp.Domain, why string) *mail.Outcome {
	return outcome(550, smtp.Status{5, 4, 4}, fmt.Sprintf("the domain %s names no mail exchanger that can be used", d), why)
}

func privateAddress(d smtp.Domain) *mail.Outcome {
	return outcome(550, smtp.Status{5, 4, 4}, fmt.Sprintf("%s is not an address on the Internet", d), "private destinations are not allowed")
}

func notAnAddress(d smtp.Domain) *mail.Outcome {
	return outcome(550, smtp.Status{5, 1, 3}, fmt.Sprintf("%s is not an address literal", d), "")
}

// noHosts is our own mistake, so the mail waits for us to mend it.
func noHosts(d smtp.Domain) *mail.Outcome {
	return outcome(451, smtp.Status{4, 3, 5}, fmt.Sprintf("no host is configured for %s", d), "the route that matches names no host")
}
