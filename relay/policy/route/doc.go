// Package route is the adviser that answers where mail of a domain goes and
// from which source: configured routes first, then the domains of our own,
// then the MX records (RFC 5321 section 5). The host set names the site, and
// source and site name the lane.
package route
