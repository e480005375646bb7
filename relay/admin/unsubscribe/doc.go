// Package unsubscribe serves the links by which people leave a mailing.
//
// Mail that many get has to offer a way out, and the large mailbox providers want
// one that a program can take (RFC 8058, on the field of RFC 2369):
//
//	List-Unsubscribe: <https://u.sender.test/TOKEN>
//	List-Unsubscribe-Post: List-Unsubscribe=One-Click
//
// A program that finds both, signed, shows a button, and posts what the second
// field says to the address in the first. That is all: no login, no cookie, no
// question. The token is the authority: it is sealed by the relay, and names one
// recipient's copy of one message.
//
// People come by the same address, with a browser, by GET. So do the scanners that
// follow every link of a message before anybody has seen it (RFC 8058 section 3.1),
// which is why a GET changes nothing and shows a page with a button instead, whose
// POST is the same as a program's. It works without a script.
//
// The pages are for the world: they say nothing to who has no valid token, and to
// who has one no more than that mail to such an address ends. Handler answers; the
// listeners of package admin lead to it.
package unsubscribe
