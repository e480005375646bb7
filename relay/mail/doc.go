// Package mail holds the words that the stages of the relay share. It does
// nothing: no I/O, no goroutine, no clock.
//
// Read Envelope and Recipient (who gets what, fixed when the mail is accepted),
// then State (how far each recipient has come, rewritten by every settlement),
// Route and Lane (where mail goes and in which queue it waits), Attempt (what
// the queue asks of delivery), Outcome (the one value that tells what
// happened) and Event (a line of the mail log).
//
// Envelope and State are stored in the spool; package stored is their encoding.
package mail
