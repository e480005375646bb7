package flame

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// A node is a function as called by those above it, with all it called.
type node struct {
	function string
	kind     Kind
	cpu      time.Duration
	samples  int64
	callees  []*node // after arrange: the most costly first
	index    map[string]*node
}

// callee finds the node of a function called by n, or makes it.
func (n *node) callee(function string) *node {
	at := n.index[function]
	if at == nil {
		at = &node{function: function, kind: kindOf(function)}
		if n.kind == Collector || n.kind == Crypto && begins(function, []string{"runtime.cgocall", "runtime.asmcgocall"}) {
			at.kind = n.kind // whatever it does, it does it for that
		}
		if n.index == nil {
			n.index = map[string]*node{}
		}
		n.index[function] = at
		n.callees = append(n.callees, at)
	}
	return at
}

func (n *node) add(s *Stack) {
	n.cpu += s.CPU
	n.samples += s.Samples
}

// merge makes one tree of all stacks, of what costs at least least: what is
// narrower cannot be seen.
func (p *Profile) merge(least time.Duration) *node {
	root := &node{function: "all", kind: Other}
	for i := range p.Stacks {
		s := &p.Stacks[i]
		at := root
		at.add(s)
		for _, c := range s.Calls {
			at = at.callee(c)
			at.add(s)
		}
	}
	root.arrange(least)
	return root
}

// arrange sorts, and drops what costs too little. It recurs maxDepth deep at
// most.
func (n *node) arrange(least time.Duration) {
	n.index = nil
	n.callees = slices.DeleteFunc(n.callees, func(c *node) bool { return c.cpu < least })
	slices.SortFunc(n.callees, func(a, b *node) int {
		return cmp.Or(cmp.Compare(b.cpu, a.cpu), strings.Compare(a.function, b.function))
	})
	for _, c := range n.callees {
		c.arrange(least)
	}
}

// depth is the number of rows that the tree needs.
func (n *node) depth() int {
	most := 0
	for _, c := range n.callees {
		most = max(most, c.depth())
	}
	return 1 + most
}
