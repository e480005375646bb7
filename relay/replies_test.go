package relay

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tenma/metrics"
	"tenma/relay/bounce/classify"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// Rules that cannot be read leave those in force that were.
func TestRepliesApply(t *testing.T) {
	r := replies{metrics: metrics.NewBounce(nil)}
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

// Each failure counts once, by what it meant; what was sent does not.
func TestRepliesCount(t *testing.T) {
	registry := prometheus.NewRegistry()
	r := replies{metrics: metrics.NewBounce(registry)}
	if err := r.apply(classify.Config{}); err != nil {
		t.Fatal(err)
	}
	for _, o := range []mail.Outcome{
		{Reply: smtp.Reply{Code: 250}},
		{Reply: smtp.Reply{Code: 452, Text: "mailbox full"}},
		{Reply: smtp.Reply{Code: 552, Text: "mailbox full"}},
		{Reply: smtp.Reply{Code: 552, Text: "mailbox full"}, Untried: true},
	} {
		r.Outcome(&o)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0.0
	for _, f := range families {
		if f.GetName() == "tenma_bounce_failures_total" {
			for _, m := range f.GetMetric() {
				n += m.GetCounter().GetValue()
			}
		}
	}
	if n != 2 {
		t.Errorf("%v failures counted", n)
	}
}
