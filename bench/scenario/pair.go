package scenario

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"tenma/bench/load"
)

// pairing is what a trace tells about a run's messages.
type pairing struct {
	replies int // messages that were read from a connection and answered 250 there
	paired  int // of these, those with a completed sync in between
	faults  []string
	calls   map[string]int // sync calls by name, and opens of files that sync by themselves
}

// callText is the calls for people.
func (p pairing) callText() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(p.calls)) {
		all = append(all, fmt.Sprintf("%s %d", name, p.calls[name]))
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

// call is one system call: the lines of the trace at which it began and ended,
// and what it was on. A call that strace shows on one line had ended before any
// other thread did anything.
type call struct {
	begin, end int
	name, path string
	tags       []string // message numbers in its data
	ok         bool     // its data begins with 250
}

func (c *call) sync() bool {
	switch c.name {
	case "fsync", "fdatasync", "sync", "syncfs", "msync":
		return true
	}
	return false
}

func (c *call) read() bool {
	return strings.HasPrefix(c.name, "read") || strings.HasPrefix(c.name, "recv")
}

func (c *call) write() bool {
	return strings.Contains(c.name, "write") || strings.HasPrefix(c.name, "send")
}
func (c *call) socket() bool { return strings.HasPrefix(c.path, "TCP") }
func (c *call) file() bool   { return strings.HasPrefix(c.path, "/") }

// durable reports whether the sync makes what w wrote durable, if it began
// after it: one of the same file, or one of everything.
func (c *call) durable(w *call) bool {
	return c.path == w.path || c.name == "sync" || c.name == "syncfs" || c.name == "msync"
}

var (
	callStart = regexp.MustCompile(`^(\d+) +(\w+)\((?:(?:\d+|AT_FDCWD)<((?:->|\\.|[^>\\])*)>)?`)
	callDone  = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>`)
	opened    = regexp.MustCompile(`O_D?SYNC.* = \d+<([^>]*)>`)
	okReply   = regexp.MustCompile(`"250[ -]`)
)

// maxTraceLine is longer than any line of our traces: 64 KiB of data, each
// octet as \ooo.
const maxTraceLine = 1 << 20

// pairSyncs reads what strace wrote and looks, for every message of the run, for
// the write that put it into a file, a sync that began after that write had
// ended, and the 250 on the connection that the message came from, begun after
// the sync had ended. Messages are known by their load.Tag. A message whose tag is
// seen in no file, since it is packed or copied by the kernel, counts as not paired.
func pairSyncs(r io.Reader, run string) (pairing, error) {
	p := pairing{calls: map[string]int{}}
	// What follows the number depends on how the server keeps lines.
	tag := regexp.MustCompile(regexp.QuoteMeta(load.Field+": "+run+" ") + `(\d+)`)
	var calls []*call
	own := map[string]bool{} // files that are opened so that each write is durable
	running := map[string]*call{}
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 64<<10), maxTraceLine)
	for n := 1; sc.Scan(); n++ {
		line := sc.Text()
		var c *call
		if m := callDone.FindStringSubmatch(line); m != nil {
			c = running[m[1]]
			if c == nil || c.name != m[2] {
				continue // it began before the trace did
			}
			delete(running, m[1])
			c.end = n
		} else if m := callStart.FindStringSubmatch(line); m != nil {
			c = &call{begin: n, end: n, name: m[2], path: m[3]}
			calls = append(calls, c)
			if strings.Contains(line, "<unfinished ...>") {
				running[m[1]] = c
				c.end = 1 << 60
			}
			if c.sync() || c.name == "sync_file_range" {
				p.calls[c.name]++
			}
		} else {
			continue
		}
		if o := opened.FindStringSubmatch(line); o != nil && c.name == "openat" {
			p.calls["open_sync"]++
			own[o[1]] = true
		}
		for _, t := range tag.FindAllStringSubmatch(line, -1) {
			c.tags = append(c.tags, t[1])
		}
		c.ok = c.ok || c.write() && okReply.MatchString(line)
	}
	if err := sc.Err(); err != nil {
		return p, err
	}
	p.pair(calls, own)
	return p, nil
}

// pair fills in the replies.
func (p *pairing) pair(calls []*call, own map[string]bool) {
	type message struct{ in, kept, reply *call }
	all := map[string]*message{}
	waiting := map[string][]*message{} // by connection, in order
	for _, c := range calls {
		for _, number := range c.tags {
			m := all[number]
			switch {
			case m == nil && c.read() && c.socket():
				m = &message{in: c}
				all[number] = m
				waiting[c.path] = append(waiting[c.path], m)
			case m != nil && m.reply == nil && m.kept == nil && c.write() && c.file():
				m.kept = c
			}
		}
		if q := waiting[c.path]; c.ok && c.socket() && len(q) > 0 && c.begin >= q[0].in.end {
			q[0].reply = c
			waiting[c.path] = q[1:]
		}
	}
	for _, number := range slices.Sorted(maps.Keys(all)) {
		m := all[number]
		if m.reply == nil {
			continue
		}
		p.replies++
		switch {
		case m.kept == nil:
			p.faults = append(p.faults, fmt.Sprintf("message %s: it was in no file when its 250 was sent", number))
			continue
		case own[m.kept.path] && m.kept.end < m.reply.begin:
			p.paired++
			continue
		}
		if slices.ContainsFunc(calls, func(s *call) bool {
			return s.sync() && s.durable(m.kept) && s.begin > m.kept.end && s.end < m.reply.begin
		}) {
			p.paired++
			continue
		}
		p.faults = append(p.faults, fmt.Sprintf("message %s: written to %s at line %d of the trace, 250 at line %d, no sync in between", number, m.kept.path, m.kept.begin, m.reply.begin))
	}
}
