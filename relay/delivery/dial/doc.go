// Package dial decides which addresses of which hosts a connection is tried to,
// in which order, and which of several answers first.
//
// Hosts come by preference, equal ones at random (Ordered, RFC 5321 section
// 5.1). A host's addresses are sorted so that IPv6 and IPv4 alternate (Sorted,
// RFC 8305 section 4), and First begins with one of them and adds the next
// where the one before fails, or is silent for longer than Delay: a network in
// which one of the two families leads nowhere then costs a second and not a
// time-out. Public tells what a stranger's DNS may lead us to.
package dial
