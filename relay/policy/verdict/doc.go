// Package verdict is the adviser that judges where a stranger's message comes from:
// SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 7489) and ARC (RFC 8617).
//
//   - SPF: may the client's address send for the domain of MAIL, and for the name
//     that it said in EHLO?
//   - DKIM: which domains have signed what arrived?
//   - ARC: did the hosts that handed the message on vouch for what they saw?
//   - DMARC: did SPF or DKIM pass for the domain that people see in From, or for one
//     that belongs to the same organization? If not, what does that domain want done?
//
// What is found goes into one Authentication-Results field before the message (RFC
// 8601). By default that is all. SPF alone never decides anything: forwarding breaks
// it. DMARC decides where the operator says so (Config.DMARC), but for mail that a
// listed forwarder vouches for.
//
// Adviser.Begin gives an Inspection for one message, which reads it as it arrives;
// nothing is kept but the header and two hashes. The DNS is asked when the last octet
// is there, all questions at a time, within Config.Patience; what is not known by
// then is a temperror. Mail of those who may relay, and by LMTP from a relay of ours,
// is not looked at.
package verdict
