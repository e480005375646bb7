// Package setup tells people's mail programs how to reach their mailboxes, so
// that a person types an address and a password and nothing else.
//
// Four ways are in use, and all are answered without a login, from the
// listeners that are really configured, for the domains that live here only:
//
//   - autoconfig: Thunderbird, K-9, Evolution and KMail GET config-v1.1.xml from
//     autoconfig.DOMAIN (https://wiki.mozilla.org/Thunderbird:Autoconfiguration);
//   - autodiscover: Outlook POSTs an XML request to autodiscover.DOMAIN
//     ([MS-OXDSCLI], the "POX" schema of 2006a), and newer ones ask a JSON page
//     where to POST it;
//   - a configuration profile for Apple's programs, which a person downloads;
//   - SRV records (RFC 6186, RFC 8314), which Records lists among all that a
//     domain has to publish.
//
// The answers never tell whether an address exists. Handler serves them, and the
// MTA-STS policy of each domain (RFC 8461) besides. Records is pure.
package setup
