// Package dsn holds the words of delivery status notifications: xtext, NOTIFY,
// ORCPT and RET parameters (RFC 3461), and the fields of a report (RFC 3464).
package dsn
