package intake

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/relay/policy/tenant"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

func withTenants(s *Server) *Server {
	s.deps.Tenants = tenant.New(tenant.Config{Tenants: []tenant.Tenant{
		{Name: "shop", Domains: []smtp.Domain{"shop.test"}, Accounts: []string{"app@ours.test", "@shop.test"}},
		{Name: "club", Domains: []smtp.Domain{"club.test"}},
	}})
	return s
}

// The field that names a tenant is in no stored message, whoever brings it, however
// it is written, and however it arrives.
func TestTenantFieldGoes(t *testing.T) {
	const with = "X-TENMA-tenant: shop\r\nFrom: a@a.test\r\nx-tenma-tenant : shop,\r\n\t\xfe\xff\r\n more\r\nSubject: x\r\nX-Tenma-Tenant:\r\nX-Tenma-Tenants: stays\r\n"
	const without = "From: a@a.test\r\nSubject: x\r\nX-Tenma-Tenants: stays\r\n"
	for _, size := range []int{1, 7, 4096, 1 << 20} {
		for _, body := range []string{"", "\r\nX-Tenma-Tenant: in the body\r\n", "\r\n" + strings.Repeat("x", 2*spool.MaxInline), "\r\nü"} {
			if size < 4096 && len(body) > 1<<17 {
				continue
			}
			for _, by := range []mail.Envelope{{}, {Trusted: true}, {Submission: true}, {Account: "a@a.test", Trusted: true}, {Origin: mail.FromHTTP}, {NamesTenant: true}, {LMTP: true}} {
				s, f, _ := rig(Config{Sender: SenderAny, SubmissionSender: SenderAny})
				e := envelope()
				e.Submission, e.Origin, e.Account, e.Trusted, e.NamesTenant, e.LMTP = by.Submission, by.Origin, by.Account, by.Trusted, by.NamesTenant, by.LMTP
				if _, err := withTenants(s).Accept(t.Context(), e, pieces{text: with + body, size: size}); err != nil {
					t.Fatal(err)
				}
				got := string(f.drafts[0].Body)
				if f.drafts[0].Staged != nil {
					got = f.stages[0].String()
				}
				if got != without+body {
					t.Fatalf("parts of %d, %+v: %.200q", size, by, got)
				}
				if e.Tenant != "" || e.EightBit != strings.Contains(body, "ü") || e.Size != int64(len(e.Prefix)+len(got)) {
					t.Errorf("tenant %q, eight-bit %v, size %d", e.Tenant, e.EightBit, e.Size)
				}
			}
		}
	}
}

// counted tells what a registry has counted, by the value of one label.
func counted(t *testing.T, from prometheus.Gatherer, name, label string) float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func TestWhoseMail(t *testing.T) {
	const field = "X-Tenma-Tenant: "
	for _, c := range []struct {
		name           string
		e              mail.Envelope
		header, tenant string
		refused        bool
	}{
		{name: "nobody's"},
		{name: "the account's", e: mail.Envelope{Account: "app@ours.test", Trusted: true}, tenant: "shop"},
		{name: "named", e: mail.Envelope{Trusted: true, NamesTenant: true}, header: field + "Shop\r\n", tenant: "shop"},
		{name: "folded", e: mail.Envelope{Trusted: true, NamesTenant: true}, header: "x-tenma-TENANT\t:\r\n\tshop\r\n \r\n", tenant: "shop"},
		{name: "where it is not believed", e: mail.Envelope{Trusted: true}, header: field + "shop\r\n"},
		{name: "by a stranger", e: mail.Envelope{NamesTenant: true}, header: field + "shop\r\n"},
		{name: "by an account that is nobody's", e: mail.Envelope{Account: "bob@ours.test", Trusted: true, NamesTenant: true}, header: field + "shop\r\n", tenant: "shop"},
		{name: "another than the account's", e: mail.Envelope{Account: "app@ours.test", Trusted: true, NamesTenant: true}, header: field + "club\r\n", refused: true},
		{name: "another, not believed", e: mail.Envelope{Account: "app@ours.test", Trusted: true}, header: field + "club\r\n", tenant: "shop"},
		{name: "unknown", e: mail.Envelope{Trusted: true, NamesTenant: true}, header: field + "nobody\r\n", refused: true},
		{name: "empty", e: mail.Envelope{Trusted: true, NamesTenant: true}, header: field + "\r\n", refused: true},
		{name: "twice", e: mail.Envelope{Trusted: true, NamesTenant: true}, header: field + "shop\r\n" + field + "shop\r\n", refused: true},
		{name: "behind what is no header", e: mail.Envelope{Trusted: true, NamesTenant: true}, header: "Hello world\r\n" + field + "shop\r\n"},
		{name: "by HTTP, settled there", e: mail.Envelope{Origin: mail.FromHTTP, Tenant: "club"}, header: field + "shop\r\n", tenant: "club"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, f, l := rig(Config{})
			registry := prometheus.NewRegistry()
			s.deps.Metrics = metrics.New(registry).Intake
			c.e.Recipients = envelope().Recipients
			_, err := withTenants(s).Accept(t.Context(), &c.e, pieces{text: c.header + "Subject: x\r\n\r\nx\r\n", size: 1 << 15})
			if refused := strings.HasPrefix(reply(err), "550 5.7.1"); refused != c.refused || (err != nil) != refused {
				t.Fatalf("%v", err)
			}
			if c.refused {
				if len(f.drafts) > 0 || counted(t, registry, "tenma_intake_refused_total", "sender") != 1 {
					t.Error("a refused message was stored, or not counted")
				}
				return
			}
			if c.e.Tenant != c.tenant || l.all[0].Envelope.Tenant != c.tenant {
				t.Errorf("tenant %q", c.e.Tenant)
			}
			if c.tenant != "" && counted(t, registry, "tenma_intake_tenant_messages_total", c.tenant) != 1 {
				t.Error("not counted for the tenant")
			}
		})
	}
}

// Promise 9: a tenant sends as its domains, an account of it as itself besides,
// and nobody as those of another.
func TestMaySendForTenant(t *testing.T) {
	for _, c := range []struct {
		account, tenant, sender, header string
		rule                            SenderRule
		submission, ok                  bool
	}{
		{tenant: "shop", sender: "a@shop.test", header: "From: b@news.shop.test\r\n", ok: true},
		{tenant: "shop", header: "From: b@shop.test\r\n", ok: true},
		{tenant: "shop", sender: "a@club.test", header: "From: b@shop.test\r\n"},
		{tenant: "shop", sender: "a@shop.test", header: "From: b@club.test\r\n"},
		{tenant: "shop", sender: "a@shop.test", header: "From: b@shop.test\r\nSender: c@club.test\r\n"},
		{tenant: "shop", sender: "a@workshop.test"},
		{tenant: "shop", sender: "a@shop.test", header: "From: b@shop.test\r\nFrom: b@club.test\r\n"},
		{tenant: "shop", rule: SenderAny, sender: "a@club.test"},
		{tenant: "gone", sender: "a@shop.test"},
		{account: "app@ours.test", tenant: "shop", sender: "app@ours.test", header: "From: a@shop.test\r\n", ok: true},
		{account: "app@ours.test", tenant: "shop", sender: "a@shop.test", header: "From: a@club.test\r\n"},
		{account: "app@ours.test", tenant: "shop", submission: true, sender: "a@shop.test", header: "From: app@ours.test\r\n", ok: true},
		{account: "app@ours.test", tenant: "shop", submission: true, sender: "bob@ours.test"},
		{account: "app@ours.test", tenant: "shop", rule: SenderAny, sender: "bob@ours.test", ok: true},
		{account: "app@ours.test", tenant: "shop", rule: SenderAny, sender: "a@club.test"},
		{account: "app@ours.test", rule: SenderAny, sender: "a@club.test", ok: true},
		{sender: "a@shop.test", header: "From: a@shop.test\r\n", ok: true}, // nobody's, by its network
	} {
		e := &mail.Envelope{Account: c.account, Tenant: c.tenant, Submission: c.submission, Trusted: true}
		if c.sender != "" {
			e.Sender, _ = smtp.ParseMailbox(c.sender)
		}
		s, _, _ := rig(Config{Sender: c.rule, SubmissionSender: c.rule})
		if err := withTenants(s).begin(t.Context(), e).maySend(header.Section(c.header)); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
