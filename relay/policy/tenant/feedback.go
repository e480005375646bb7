package tenant

import (
	"errors"
	"fmt"
	"strings"
)

// FeedbackField is the header field by which Gmail tells a sender how many people
// call which of its mailings spam (Gmail Help, "Feedback Loop"): up to three names,
// and behind them who sends, apart by colons. It counts only in signed mail.
//
//	Feedback-ID: spring:shop::shopmail
const FeedbackField = "Feedback-ID"

// What a template of the field has: all names and the sender, of which Gmail says
// that it should have 5 to 15 characters and never change.
const (
	feedbackParts   = 4
	minFeedbackSend = 5
	maxFeedbackSend = 15
	// maxFeedbackPart bounds a name that comes from a message, in octets: with four
	// of them the field stays one line of well below 998.
	maxFeedbackPart = 64
)

// ParseFeedbackID checks a template: four parts apart by colons, of which the last,
// the sender, is 5 to 15 letters, digits, "-", "_" or "."; the others are such
// characters too, or empty, or have {campaign} or {tenant} in them, which each
// message fills in.
func ParseFeedbackID(s string) error {
	parts := strings.Split(s, ":")
	if len(parts) != feedbackParts {
		return fmt.Errorf("it must have four parts, such as \"{campaign}:{tenant}::sender1\", not %d", len(parts))
	}
	for i, p := range parts {
		last := i == feedbackParts-1
		if !last {
			p = strings.NewReplacer("{campaign}", "", "{tenant}", "").Replace(p)
		}
		switch {
		case strings.Map(feedbackRune, p) != p:
			return fmt.Errorf("%q may have letters, digits, \"-\", \"_\" and \".\", and besides {campaign} and {tenant} in the first three parts", p)
		case len(p) > maxFeedbackPart:
			return fmt.Errorf("%q is longer than %d octets", p, maxFeedbackPart)
		case last && (len(p) < minFeedbackSend || len(p) > maxFeedbackSend):
			return errors.New("the last part, which names the sender, must have 5 to 15 characters")
		}
	}
	return nil
}

// feedbackRune makes "_" of what would end a part or the field.
func feedbackRune(c rune) rune {
	if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' {
		return c
	}
	return '_'
}

// Feedback gives the field for a message of a campaign, with its line end; nil
// where the tenant wants none. A campaign is cut to 64 octets.
func (t Tenant) Feedback(campaign string) []byte {
	if t.FeedbackID == "" {
		return nil
	}
	campaign = strings.Map(feedbackRune, campaign)
	campaign = campaign[:min(len(campaign), maxFeedbackPart)]
	value := strings.NewReplacer("{campaign}", campaign, "{tenant}", t.Name).Replace(t.FeedbackID)
	return []byte(FeedbackField + ": " + value + "\r\n")
}
