package tenant

import (
	"strings"
	"testing"
)

func TestParseFeedbackID(t *testing.T) {
	for text, ok := range map[string]bool{
		"{campaign}:{tenant}::shopmail":                             true,
		":::shopmail":                                               true,
		"a-{campaign}.x:b:c:Shop.Mail1":                             true,
		"::" + strings.Repeat("x", maxFeedbackPart) + ":shopmail":   true,
		"::" + strings.Repeat("x", maxFeedbackPart+1) + ":shopmail": false,
		"":                                 false,
		"a:b:shopmail":                     false,
		"a:b:c:d:shopmail":                 false,
		"a:b:c:shop":                       false,
		"a:b:c:" + strings.Repeat("x", 16): false,
		"a:b:c:{tenant}":                   false,
		"{unknown}:b:c:shopmail":           false,
		"a b::c:shopmail":                  false,
		"a::c:shop mail":                   false,
		"a::c:shopmail\r\nX: y":            false,
	} {
		if err := ParseFeedbackID(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestFeedback(t *testing.T) {
	shop := Tenant{Name: "shop", FeedbackID: "{campaign}:{tenant}::shopmail"}
	for campaign, want := range map[string]string{
		"":                        "Feedback-ID: :shop::shopmail\r\n",
		"spring":                  "Feedback-ID: spring:shop::shopmail\r\n",
		"a:b\r\nX: ü{tenant}":     "Feedback-ID: a_b__X___{tenant}:shop::shopmail\r\n",
		strings.Repeat("c", 1000): "Feedback-ID: " + strings.Repeat("c", maxFeedbackPart) + ":shop::shopmail\r\n",
	} {
		want = strings.ReplaceAll(want, "{tenant}", "_tenant_")
		if got := string(shop.Feedback(campaign)); got != want {
			t.Errorf("%q: %q, want %q", campaign, got, want)
		}
	}
	if got := (Tenant{Name: "shop"}).Feedback("spring"); got != nil {
		t.Errorf("%q", got)
	}
}
