package intake

import (
	"tenma/relay/mail"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

// tenantField names the tenant of a message where its client is trusted to. It is
// for us alone: it goes out of every message before that is stored.
const tenantField = "X-Tenma-Tenant"

func isTenantField(f header.Field) bool { return f.Is(tenantField) }

// assign finds out whose mail the message is. What came by HTTP had its tenant
// settled there.
func (r *reception) assign(h header.Section) *smtp.Error {
	tenants := r.server.deps.Tenants
	if tenants == nil || r.e.Origin != mail.FromSMTP {
		return nil
	}
	var named []string
	if r.e.NamesTenant && r.e.Trusted && r.section.tenant {
		for f := range h.Fields() {
			if isTenantField(f) {
				named = append(named, f.Text())
			}
		}
	}
	var err *smtp.Error
	r.e.Tenant, err = tenants.Whose(r.e.Account, named)
	return err
}
