//go:build interop

package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestInteropSyncBeforeReply watches the system calls of the relay while 200
// sessions hand in mail, and pairs every 250 with a sync of the file that holds
// the message: one that began after the message's last write had ended, and
// ended before the reply was written. With sync turned off the same check must
// find the fault.
func TestInteropSyncBeforeReply(t *testing.T) {
	for name, sync := range map[string]bool{"sync": true, "no sync": false} {
		t.Run(name, func(t *testing.T) {
			trace, replies := traceAccepts(t, sync)
			paired, faults := pair(t, trace, replies)
			t.Logf("%d replies, %d paired with a sync, %d without", len(replies), paired, len(faults))
			if sync && (len(faults) > 0 || paired != len(replies)) {
				t.Errorf("not behind a sync: %v\n%s", faults[:min(len(faults), 20)], around(t, trace, faults))
			}
			if !sync && len(faults) == 0 {
				t.Error("sync is off and the check found nothing")
			}
		})
	}
}

// traceAccepts runs the relay under strace and sends 5 messages in each of 200
// sessions. It gives the trace and, by message marker, the queue id in its 250.
func traceAccepts(t *testing.T, sync bool) (trace string, ids map[string]string) {
	dir := t.TempDir()
	trace = filepath.Join(dir, "trace")
	extra := fmt.Sprintf("[spool]\nsync = %v\n[[route]]\ndomain = \"*\"\nto = \"smtp://%s\"\n", sync, freePort(t, "127.0.0.1")) // nobody listens there
	r := startRelay(t, binary(t), dir, freePort(t, "127.0.0.1"), extra,
		"strace", "-f", "-qq", "-yy", "-s", "100000", "-e", "trace=write,writev,pwrite64,sendto,sendmsg,fsync,fdatasync,sync,syncfs", "-o", trace)
	ids = acceptMany(t, r.smtp, 200, 5)
	r.term()
	return trace, ids
}

func acceptMany(t *testing.T, addr string, sessions, each int) map[string]string {
	t.Helper()
	ids := map[string]string{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for s := range sessions {
		wg.Go(func() {
			v, err := converse(addr)
			if err != nil {
				t.Errorf("session %d: %v", s, err)
				return
			}
			defer v.Close()
			for m := range each {
				marker := fmt.Sprintf("mark%04dx%02d.", s, m)
				// Several times, so that one is whole wherever a log block ends.
				reply, err := v.send("a@src.test", "b@dst.test", "Subject: x\r\n\r\n"+strings.Repeat(marker+"\r\n", 8))
				if err != nil {
					t.Errorf("session %d: %v", s, err)
					return
				}
				mu.Lock()
				ids[marker] = reply[strings.LastIndexByte(reply, ' ')+1:]
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(ids) != sessions*each {
		t.Fatalf("%d of %d messages were accepted", len(ids), sessions*each)
	}
	return ids
}

// around gives the trace from the write to the reply of the first fault.
func around(t *testing.T, trace string, faults []string) string {
	t.Helper()
	m := regexp.MustCompile(`at line (\d+) .* at line (\d+)`).FindStringSubmatch(strings.Join(faults, "\n"))
	if m == nil {
		return "none has both write and reply"
	}
	from, _ := strconv.Atoi(m[1])
	to, _ := strconv.Atoi(m[2])
	var b strings.Builder
	n := 0
	for line := range strings.Lines(read(t, trace)) {
		if n++; n >= from && n <= to && n < from+200 {
			fmt.Fprintf(&b, "%d: %.150s\n", n, strings.TrimSpace(line))
		}
	}
	return b.String()
}

// call is one system call: the lines of the trace at which it began and ended,
// and the file it was on. A call that strace shows on one line had ended before
// any other thread did anything.
type call struct {
	begin, end int
	path       string
}

var (
	callStart = regexp.MustCompile(`^(\d+) +(\w+)\((?:\d+<([^>]*)>)?`)
	callDone  = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>`)
	marks     = regexp.MustCompile(`mark\d{4}x\d\d\.`)
	queuedAs  = regexp.MustCompile(`250 2\.0\.0 [^\\]*?([0-9A-V]{26})`)
)

// pair reads the trace and checks every reply.
func pair(t *testing.T, trace string, ids map[string]string) (paired int, faults []string) {
	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lastWrite := map[string]call{} // by marker
	replied := map[string]call{}   // by queue id
	var syncs []call
	type open struct {
		call
		name  string
		marks []string
		ids   []string
	}
	running := map[string]*open{} // by thread
	finish := func(o *open) {
		switch {
		case strings.Contains(o.name, "sync"):
			syncs = append(syncs, o.call)
		default:
			for _, m := range o.marks {
				if w, ok := lastWrite[m]; !ok || o.end > w.end {
					lastWrite[m] = o.call
				}
			}
			for _, id := range o.ids {
				replied[id] = o.call
			}
		}
	}
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 64<<20)
	for n := 1; sc.Scan(); n++ {
		line := sc.Text()
		if m := callDone.FindStringSubmatch(line); m != nil {
			if o := running[m[1]]; o != nil {
				o.end = n
				finish(o)
				delete(running, m[1])
			}
			continue
		}
		m := callStart.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		o := &open{call: call{begin: n, end: n, path: m[3]}, name: m[2]}
		if strings.HasSuffix(o.path, ".log") { // the spool's write-ahead log
			o.marks = marks.FindAllString(line, -1)
		}
		for _, q := range queuedAs.FindAllStringSubmatch(line, -1) {
			if strings.HasPrefix(o.path, "TCP") || strings.HasPrefix(o.path, "socket") {
				o.ids = append(o.ids, q[1])
			}
		}
		if strings.Contains(line, "<unfinished ...>") {
			running[m[1]] = o
			continue
		}
		finish(o)
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	for marker, id := range ids {
		w, written := lastWrite[marker]
		reply, seen := replied[id]
		if !seen {
			faults = append(faults, marker+": its 250 is not in the trace")
			continue
		}
		ok := false
		for _, s := range syncs {
			if written && s.path == w.path && s.begin > w.end && s.end < reply.begin {
				ok = true
				break
			}
		}
		if ok {
			paired++
		} else {
			faults = append(faults, fmt.Sprintf("%s: last write at line %d (%v), 250 at line %d", marker, w.end, written, reply.begin))
		}
	}
	return paired, faults
}
