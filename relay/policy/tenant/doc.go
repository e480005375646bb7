// Package tenant is the adviser that answers whose mail a message is, and what
// that customer or department of the operator's may do.
//
// A relay that sends for several must keep them apart: one may not use the name
// of another, and what one does (a complaint, an unsubscription) is not to be held
// against the others. So a tenant has a list of domains. It sends only as these,
// in the envelope and in From, and only for it the keys of these domains sign:
// promise 9 of package relay.
//
// Mail gets its tenant in one of two ways. An account that a tenant lists sends as
// that tenant always. On listeners that trust the header field X-Tenma-Tenant, a
// client that may relay names the tenant there, message by message; intake takes
// the field out in any case. All other mail is nobody's: it is treated as on a
// relay without tenants, but that no key signs it for a domain that some tenant
// has.
//
// Adviser.Of gives the tenant of an account, Whose that of a message, MaySend what
// it may send as, and Get the rest of its settings.
package tenant
