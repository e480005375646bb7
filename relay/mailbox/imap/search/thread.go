package search

import (
	"cmp"
	"context"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	"tenma/relay/mailbox"
)

// Algorithm is a way to put messages into threads (RFC 5256 section 3).
type Algorithm uint8

// Ways.
const (
	OrderedSubject Algorithm = iota + 1
	References
)

// Thread is a message and the answers to it. Seq is 0 for a message that is not
// there, whose answers are.
type Thread struct {
	Seq     uint32
	Answers []*Thread
}

// Bounds of the references that are followed.
const (
	maxReferences = 32   // of one message: the first, and the last ones
	maxClimb      = 1000 // messages above one another, when looking for a loop
)

// Threads puts messages, as Run found them, into threads. It works with what
// the digests hold: hashes of the identifiers of messages, 32 of one message's
// references at most.
func Threads(ctx context.Context, v View, found []uint32, by Algorithm) ([]*Thread, error) {
	t := threader{
		nodes: make([]threadNode, len(found), 2*len(found)), byID: make(map[uint64]int32, len(found)),
		seed: maphash.MakeSeed(), limit: 4*len(found) + 1000,
	}
	links := make([][]uint64, len(found))
	ids := make([]uint64, len(found))
	err := each(ctx, v, found, func(i int, m *mailbox.Message) {
		base, reply := BaseSubject(m.Digest.Subject)
		var scratch []byte
		t.nodes[i] = threadNode{seq: found[i], sent: Sent(m).Unix(), subject: text(base, &scratch).s, reply: reply, parent: -1}
		if by == References {
			ids[i], links[i] = t.links(&m.Digest)
		}
	})
	if err != nil {
		return nil, err
	}
	if by == OrderedSubject {
		return t.orderedSubject(), nil
	}
	t.link(ids, links)
	return t.references(), nil
}

type threadNode struct {
	seq     uint32 // 0: a message that is not there
	reply   bool
	sent    int64
	subject string
	parent  int32 // -1: none
}

type threader struct {
	nodes []threadNode
	byID  map[uint64]int32
	seed  maphash.Seed
	limit int // of nodes
}

// orderedSubject: RFC 5256 section 3, ORDEREDSUBJECT.
func (t *threader) orderedSubject() []*Thread {
	nodes := t.nodes
	slices.SortStableFunc(nodes, func(a, b threadNode) int {
		return cmp.Or(strings.Compare(a.subject, b.subject), cmp.Compare(a.sent, b.sent))
	})
	type root struct {
		*Thread
		sent int64
	}
	var roots []root
	for i := range nodes {
		n := &Thread{Seq: nodes[i].seq}
		if i > 0 && nodes[i].subject == nodes[i-1].subject {
			r := roots[len(roots)-1]
			r.Answers = append(r.Answers, n)
			continue
		}
		roots = append(roots, root{n, nodes[i].sent})
	}
	slices.SortStableFunc(roots, func(a, b root) int { return cmp.Or(cmp.Compare(a.sent, b.sent), cmp.Compare(a.Seq, b.Seq)) })
	list := make([]*Thread, len(roots))
	for i, r := range roots {
		list[i] = r.Thread
	}
	return list
}

// links gives the hash of a message's identifier, 0 if it has none, and those
// of its references, or of what it answers (RFC 5256 section 3, REFERENCES (1)).
func (t *threader) links(d *mailbox.Digest) (id uint64, refs []uint64) {
	for _, h := range t.identifiers(d.MessageID) {
		id = h
		break
	}
	refs = t.identifiers(d.References)
	cut := strings.LastIndexByte(d.References, '<') > strings.LastIndexByte(d.References, '>')
	if len(refs) == 0 || cut {
		if r := t.identifiers(d.InReplyTo); len(r) > 0 && !slices.Contains(refs, r[0]) {
			refs = append(refs, r[0])
		}
	}
	return id, refs
}

// identifiers reads message identifiers, with quotes removed and nothing else
// (RFC 5256 section 2.1 wants "normalized" ones).
func (t *threader) identifiers(s string) []uint64 {
	var ids []uint64
	for {
		from := strings.IndexByte(s, '<')
		if from < 0 {
			return ids
		}
		s = s[from+1:]
		to := strings.IndexByte(s, '>')
		if to < 0 {
			return ids
		}
		if id := s[:to]; strings.IndexByte(id, '@') > 0 {
			if strings.IndexByte(id, '"') >= 0 {
				id = strings.NewReplacer(`"`, "", `\`, "").Replace(id)
			}
			if len(ids) == maxReferences {
				ids = slices.Delete(ids, 1, 2)
			}
			ids = append(ids, maphash.String(t.seed, id)|1)
		}
		s = s[to+1:]
	}
}

// link builds the tree of who refers to whom: step (1).
func (t *threader) link(ids []uint64, links [][]uint64) {
	// All identifiers first: (1)(A) gives the second of two that are the same
	// one of its own.
	for i, id := range ids {
		if _, taken := t.byID[id]; id != 0 && !taken {
			t.byID[id] = int32(i)
		}
	}
	for i, refs := range links {
		last := int32(-1)
		for _, id := range refs {
			n, ok := t.byID[id]
			if !ok {
				if len(t.nodes) >= t.limit {
					continue
				}
				n = int32(len(t.nodes))
				t.nodes = append(t.nodes, threadNode{parent: -1})
				t.byID[id] = n
			}
			// A link that is there already stays.
			if last >= 0 && t.nodes[n].parent < 0 && !t.under(last, n) {
				t.nodes[n].parent = last
			}
			last = n
		}
		// The message's own last reference counts more than what others said.
		t.nodes[i].parent = -1
		if last >= 0 && !t.under(last, int32(i)) {
			t.nodes[i].parent = last
		}
	}
}

// under tells whether n is top or below it, or so deep that it might be.
func (t *threader) under(n, top int32) bool {
	for range maxClimb {
		if n == top {
			return true
		}
		if n = t.nodes[n].parent; n < 0 {
			return false
		}
	}
	return true
}

// branch is a node of the tree while it is put in order.
type branch struct {
	Thread
	sent    int64
	subject string
	reply   bool
	kids    []*branch
}

// references does the steps from (2) on.
func (t *threader) references() []*Thread {
	all := make([]branch, len(t.nodes))
	var roots []*branch
	for i := range t.nodes {
		n := &t.nodes[i]
		all[i].Seq, all[i].sent, all[i].subject, all[i].reply = n.seq, n.sent, n.subject, n.reply
		if n.parent < 0 {
			roots = append(roots, &all[i])
		} else {
			p := &all[n.parent]
			p.kids = append(p.kids, &all[i])
		}
	}
	roots = prune(roots, true)
	order(roots)
	roots = bySubject(roots)
	order(roots)
	return finish(roots)
}

// prune removes messages that are not there (3): those without answers, and
// those below others, whose answers take their place; at the top only one with
// a single answer.
func prune(list []*branch, top bool) []*branch {
	var kept []*branch
	for _, b := range list {
		b.kids = prune(b.kids, false)
		if b.Seq != 0 || top && len(b.kids) > 1 {
			kept = append(kept, b)
		} else {
			kept = append(kept, b.kids...)
		}
	}
	return kept
}

// order sorts by date, all the way down (4). A message that is not there has
// the date of its first answer.
func order(list []*branch) {
	for _, b := range list {
		order(b.kids)
		if b.Seq == 0 && len(b.kids) > 0 {
			b.sent = b.kids[0].sent
		}
	}
	slices.SortStableFunc(list, func(a, b *branch) int {
		return cmp.Or(cmp.Compare(a.sent, b.sent), cmp.Compare(a.first(), b.first()))
	})
}

func (b *branch) first() uint32 {
	if b.Seq == 0 && len(b.kids) > 0 {
		return b.kids[0].Seq
	}
	return b.Seq
}

// about gives the subject of a thread, and whether it answers one.
func (b *branch) about() (subject string, reply bool) {
	if b.Seq == 0 && len(b.kids) > 0 {
		b = b.kids[0]
	}
	return b.subject, b.reply
}

// bySubject joins threads with the same subject (5).
func bySubject(roots []*branch) []*branch {
	table := map[string]*branch{}
	for _, b := range roots {
		subject, reply := b.about()
		if subject == "" {
			continue
		}
		old, ok := table[subject]
		if !ok {
			table[subject] = b
			continue
		}
		_, oldReply := old.about()
		if b.Seq == 0 && old.Seq != 0 || old.Seq != 0 && oldReply && !reply {
			table[subject] = b
		}
	}
	var kept []*branch
	for _, b := range roots {
		subject, reply := b.about()
		in := table[subject]
		if subject == "" || in == b {
			kept = append(kept, b)
			continue
		}
		_, inReply := in.about()
		switch {
		case in.Seq == 0 && b.Seq == 0:
			in.kids = append(in.kids, b.kids...)
		case in.Seq == 0, reply && !inReply:
			in.kids = append(in.kids, b)
		default: // both are answers, or neither: a thread without a first message
			was := &branch{Thread: in.Thread, sent: in.sent, subject: in.subject, reply: in.reply, kids: in.kids}
			*in = branch{kids: []*branch{was, b}, sent: in.sent}
		}
	}
	return kept
}

func finish(list []*branch) []*Thread {
	out := make([]*Thread, len(list))
	for i, b := range list {
		b.Answers = finish(b.kids)
		out[i] = &b.Thread
	}
	return out
}

// AppendThreads appends threads as THREAD tells them (RFC 5256 section 4), with
// number of each message: its sequence number or UID.
func AppendThreads(to []byte, list []*Thread, number func(seq uint32) uint32) []byte {
	for _, t := range list {
		to = append(to, '(')
		for first := true; ; first = false {
			if t.Seq != 0 {
				if !first {
					to = append(to, ' ')
				}
				to = strconv.AppendUint(to, uint64(number(t.Seq)), 10)
			}
			if len(t.Answers) != 1 {
				break
			}
			t = t.Answers[0]
		}
		if len(t.Answers) > 0 {
			if t.Seq != 0 {
				to = append(to, ' ')
			}
			to = AppendThreads(to, t.Answers, number)
		}
		to = append(to, ')')
	}
	return to
}
