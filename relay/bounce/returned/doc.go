// Package returned is the stage at which mail about our mail ends: reports that
// come back to signed return paths hours after a host took a message (out of band,
// OOB), complaints of mailbox providers, answers by machines.
//
// Such mail enters by the same door as any other, and lies in the spool before
// anybody reads it: Desk.Deliver is what the queue calls instead of a delivery. A
// message is read (package bounce), traced to the copy of our message that it is
// about, written down in the mail log, and where it says for certain that a
// recipient is to be left alone, that goes to the suppression list. Then it is gone.
// A crash in between repeats all of this, under the same event ids.
//
// Nothing that comes back is ever answered: not by a DSN, not by anything. Two
// machines that answer each other never end. And nothing is concluded without a
// proof that the message is about one of ours (Tracer), since anybody can write a
// report:
//
//	a failure, hard, of the recipient itself     OOB; the recipient is suppressed
//	any other failure, delay, delivery, answer   OOB
//	a complaint                                  Feedback; the recipient is suppressed
//	without a proof                              OOB or Feedback, without consequence
//	anything else at a return path               counted, and dropped
//	anything else at postmaster, abuse, or the
//	address of complaints                        sent on to the relay's postmaster
package returned
