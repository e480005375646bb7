// Package metrics declares every Prometheus collector of the relay, in one
// place for names: one struct per stage, all made by New on a registry that is
// passed in. No collector has a label that grows with recipients, domains or
// messages.
package metrics
