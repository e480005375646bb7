// Package classify tells what a reply means.
//
// A mail server that does not take a message says so by a reply code (RFC 5321
// section 4.2), mostly an enhanced status code (RFC 3463), and a text. The codes
// are few and used loosely: 550 5.7.1 is said of spam, of wrong passwords and
// of unknown people. What happened stands in the text, which every system words
// in its own way. So the text is looked at first, for phrases that many systems
// use, then the status, then the code and the command that was answered.
//
// The knowledge is data: rules.toml, which is part of the program, is read from
// the top, and the first rule that fits decides. A site adds rules of its own
// before these, or leaves some out (Load).
//
// A diagnosis has three parts. The class says what is wrong (mail.Class). The
// severity says what that means for the recipient: hard means that the address
// will never work, and is what a suppression list takes; so a rule makes hard
// only what is clear about the address itself, and a reply that is temporary
// never is. The remedy is what a sender does best.
//
// "User unknown" shows why the command matters. A server that says so to RCPT
// has no such user. One that took the RCPT and says so to the message has a
// filter that would rather not be seen: the address is good.
//
// Wait finds the wait that a greylister states.
//
// New and Load make a Classifier, Classify asks it.
package classify
