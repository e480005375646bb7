// Package bounce is the stage that tells senders what became of their mail: it
// composes delivery status notifications (RFC 3461, 3462, 3464).
//
// Composer.Compose turns the reports of one settlement into a spool draft
// with the null sender, which the settlement stores in the same atomic step.
// It never answers the null sender (promise 7 of package relay).
package bounce
