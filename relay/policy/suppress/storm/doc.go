// Package storm tells a storm of false failures from a bad list.
//
// Both look alike at first: a provider says "no such user" far more often than
// it does. In a storm that is the provider's fault, as when its directory of
// users cannot be reached; it ends by itself, and what was said meanwhile is not
// to be believed. With a bad list the provider is right. What differs is whose
// mail it is: a storm hits senders that had hardly any failures there before. So
// failures are counted by provider and sender (a stream), and each stream is
// compared with itself:
//
//   - A stream whose normal share of failures is known has jumped when its share
//     within the window is Factor times as high, and a fifth at least.
//   - A stream that is new has no normal share. It has jumped only at four fifths:
//     the worst lists that people buy have a third or half of their addresses
//     dead, while a directory that is down knows nobody at all.
//
// There is a storm at a provider when streams that jumped have enough failures
// within the window. It is over when that has not been so for a whole window.
// While it lasts no stream learns what is normal.
//
// Guard is a plain value of counts that is told what happens and when: it has no
// clock, no lock and no goroutine.
package storm
