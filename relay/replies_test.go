package relay

import (
	"testing"

	"tenma/relay/bounce/classify"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// Rules that cannot be read leave those in force that were.
func TestRepliesApply(t *testing.T) {
	var r replies
	own := "[[rule]]\nname = \"ours\"\nclass = \"SpamRelated\"\nseverity = \"admin\"\naction = \"slow down\"\ntext = [\"no luck\"]\n"
	if err := r.apply(classify.Config{Rules: own}); err != nil {
		t.Fatal(err)
	}
	if err := r.apply(classify.Config{Rules: "nonsense"}); err == nil {
		t.Error("nonsense was taken")
	}
	o := &mail.Outcome{Reply: smtp.Reply{Code: 550, Text: "no luck"}, Command: "RCPT", Host: "mx.test"}
	if d := r.Outcome(o); d.Rule != "ours" {
		t.Errorf("%+v", d)
	}
	if err := r.apply(classify.Config{}); err != nil {
		t.Fatal(err)
	}
	if d := r.Outcome(o); d.Rule == "ours" {
		t.Errorf("%+v", d)
	}
}
