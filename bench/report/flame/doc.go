// Package flame shows where a program's processor time went: it reads a CPU
// profile as Go's runtime and pprof write them, sums it up into a few costs that
// have names, and draws it.
//
// A profile is samples: a hundred times per second of processor time the stack of
// whatever runs is noted. Stacks with the same functions are merged from the
// outermost call inwards, and each function becomes a box as wide as its share of
// the samples, below the box of its caller: a flame graph, here hanging, so that
// it reads from the top (Brendan Gregg, "The Flame Graph", CACM 59:6, 2016). The
// order from left to right means nothing.
//
// A box tells how much, but the same cost stands in many of them: each place that
// writes to a socket ends in the same system call. Costs therefore sorts the
// samples by rules (rules.go), an ordered list in which the first that fits takes
// the sample, so that the shares add up to the whole; what no rule takes counts
// for its package.
//
// What the kernel does for a program is in the samples, as time of the system
// call. What it does by itself, such as taking packets from the network in an
// interrupt, may be counted for whoever was interrupted, or not at all.
//
// Read, then Profile.Costs and Profile.SVG.
package flame
