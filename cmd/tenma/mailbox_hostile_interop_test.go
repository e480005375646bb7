//go:build interop

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// hostileHouse is a relay that serves the mailboxes of ann, who behaves well all
// the time, and of eve, who does not.
type hostileHouse struct {
	*relayd
	imap, imaps, pop3, pop3s string
	sessions                 tls.ClientSessionCache
	crowd                    bool         // there is time
	worst                    atomic.Int64 // what ann waited longest for, in a phase
	served                   atomic.Int64 // her commands that were answered well, in a phase
}

const hostilePassword = "correct horse"

func startHostileHouse(t *testing.T) *hostileHouse {
	t.Helper()
	limit := syscall.Rlimit{}
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur < 15_000 { // for ourselves and, inherited, for the relay
		limit.Cur, limit.Max = 15_000, max(limit.Max, 15_000)
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Skipf("5,000 connections need as many open files: %v", err)
		}
	}
	dir, bin := t.TempDir(), binary(t)
	h := &hostileHouse{crowd: os.Getenv("TENMA_CROWD") != "", sessions: tls.NewLRUClientSessionCache(10), imap: freePort(t, "127.0.0.1"), imaps: freePort(t, "127.0.0.1"), pop3: freePort(t, "127.0.0.1"), pop3s: freePort(t, "127.0.0.1")}
	var extra strings.Builder
	for _, l := range [][3]string{{"imap", h.imap, "starttls"}, {"imap", h.imaps, "implicit"}, {"pop3", h.pop3, "starttls"}, {"pop3", h.pop3s, "implicit"}} {
		fmt.Fprintf(&extra, "[[listen]]\nprotocol = %q\naddress = %q\ntls = %q\nmax_connections_per_ip = 10000\n", l[0], l[1], l[2])
	}
	h.relayd = startRelay(t, bin, dir, freePort(t, "127.0.0.1"), extra.String()+"[[domain]]\nname = \"ours.test\"\n")
	for _, user := range []string{"ann", "eve"} {
		add := exec.Command(bin, "user", "add", user+"@ours.test", "-c", filepath.Join(dir, "tenma.toml"))
		add.Stdin = strings.NewReader(hostilePassword + "\n")
		if out, err := add.CombinedOutput(); err != nil {
			t.Fatalf("user add: %v\n%s", err, out)
		}
	}
	return h
}

// memory is what the relay holds, and held at most since the mark was reset, in MiB.
func (h *hostileHouse) memory() (now, peak int) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.cmd.Process.Pid))
	if err != nil {
		h.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kib int
		if _, err := fmt.Sscanf(line, "VmRSS: %d", &kib); err == nil {
			now = kib >> 10
		}
		if _, err := fmt.Sscanf(line, "VmHWM: %d", &kib); err == nil {
			peak = kib >> 10
		}
	}
	return now, peak
}

// phase runs a part of the test beside ann, and fails it if memory grew by more
// than most MiB, or if ann was not served.
func (h *hostileHouse) phase(t *testing.T, name string, most int, run func(t *testing.T)) {
	t.Run(name, func(t *testing.T) {
		// Begins VmHWM anew. Where that cannot be done an earlier peak is taken for
		// this one's, and shows nothing.
		reset := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", h.cmd.Process.Pid), []byte("5"), 0)
		before, mark := h.memory()
		h.worst.Store(0)
		h.served.Store(0)
		from := time.Now()
		run(t)
		now, peak := h.memory()
		if reset != nil && peak == mark {
			peak = now
		}
		for end := time.Now().Add(patience); h.served.Load() == 0 && time.Now().Before(end); { // the phase may have been short
			time.Sleep(10 * time.Millisecond)
		}
		t.Logf("%.1f s; memory %d MiB before, %d MiB at most; ann: %d commands, the slowest took %s",
			time.Since(from).Seconds(), before, peak, h.served.Load(), time.Duration(h.worst.Load()).Round(time.Millisecond))
		if peak-before > most {
			t.Errorf("memory grew by %d MiB, want %d at most", peak-before, most)
		}
		if h.served.Load() == 0 || time.Duration(h.worst.Load()) > patience/3 { // seconds, on a machine that is busy with other things
			t.Errorf("ann was not served: %d commands, the slowest took %s", h.served.Load(), time.Duration(h.worst.Load()))
		}
	})
}

// behaveWell is ann, reading mail, looking for new mail and connecting anew, until
// stop is closed. No command may fail.
func (h *hostileHouse) behaveWell(stop <-chan struct{}) {
	for {
		c, err := h.connect(h.imaps, true, "127.0.0.1")
		if err != nil {
			h.t.Errorf("ann cannot connect: %v", err)
			return
		}
		for _, say := range []string{"LOGIN ann@ours.test \"" + hostilePassword + "\"", "SELECT INBOX", "NOOP", "FETCH 1:* (FLAGS ENVELOPE)", "STATUS Sent (MESSAGES)"} {
			from := time.Now()
			if _, tagged, err := c.ask(say); err != nil || !strings.HasPrefix(tagged, "OK") {
				h.t.Errorf("ann says %s: %q, %v", say, tagged, err)
				c.Close()
				return
			}
			took := int64(time.Since(from))
			h.worst.Store(max(h.worst.Load(), took))
			h.served.Add(1)
			select {
			case <-stop:
				c.Close()
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
		c.Close()
	}
}

// mailConn is a client of IMAP or POP3 that says what it likes.
type mailConn struct {
	net.Conn
	in *bufio.Reader
	n  int
}

// connect makes a client, from an address of this machine, and reads the greeting.
func (h *hostileHouse) connect(addr string, implicit bool, from string) (*mailConn, error) {
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	nc, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = nc.SetDeadline(time.Now().Add(patience))
	if implicit {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, ServerName: "relay.test", ClientSessionCache: h.sessions})
	}
	c := &mailConn{Conn: nc, in: bufio.NewReaderSize(nc, 1024)}
	if _, err := c.in.ReadString('\n'); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

func (h *hostileHouse) dial(t *testing.T, addr string, implicit bool) *mailConn {
	t.Helper()
	c, err := h.connect(addr, implicit, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ask says a command of IMAP and reads up to its tagged response: that, without
// the tag, and how much came before.
func (c *mailConn) ask(text string) (size int, tagged string, err error) {
	c.n++
	tag := fmt.Sprintf("t%d ", c.n)
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, tag+text+"\r\n"); err != nil {
		return 0, "", err
	}
	return c.answer(tag)
}

func (c *mailConn) answer(tag string) (size int, tagged string, err error) {
	_ = c.SetDeadline(time.Now().Add(patience))
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return size, "", err
		}
		if rest, ok := bytes.CutPrefix(line, []byte(tag)); ok {
			return size, strings.TrimRight(string(rest), "\r\n"), nil
		}
		if bytes.HasPrefix(line, []byte("* BYE")) {
			return size, strings.TrimSpace(string(line)), nil
		}
		size += len(line)
	}
}

// eve logs in.
func (h *hostileHouse) eve(t *testing.T) *mailConn {
	t.Helper()
	c := h.dial(t, h.imaps, true)
	h.want(t, c, `LOGIN eve@ours.test "`+hostilePassword+`"`, "OK")
	return c
}

// want asks, and fails the test unless the answer begins as it should. It gives
// the size of what came before it.
func (h *hostileHouse) want(t *testing.T, c *mailConn, say, want string) int {
	t.Helper()
	from := time.Now()
	size, tagged, err := c.ask(say)
	t.Logf("%.60q (%d octets): %d octets and %.120q in %s", say, len(say), size, tagged, time.Since(from).Round(time.Millisecond))
	if err != nil || !strings.HasPrefix(tagged, want) {
		t.Errorf("%.60q: %.200q, %v, want %q", say, tagged, err, want)
	}
	return size
}

// hears sends octets and gives all that comes back until the relay closes or, if
// it does not, until a line begins with until.
func (c *mailConn) hears(octets, until string) (heard string, closed bool) {
	_ = c.SetDeadline(time.Now().Add(patience))
	go io.WriteString(c, octets)
	var all strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		all.WriteString(line)
		if err != nil {
			return all.String(), true
		}
		if until != "" && strings.HasPrefix(line, until) {
			return all.String(), false
		}
	}
}

// TestInteropHostileClients is what no client should do, to a running relay. The
// relay refuses in plain words, its memory stays bounded, and another client is
// served all the time. With TENMA_CROWD set messages and clients are as many as the
// mailboxes are made for, 102,400 and 5,000, which takes minutes.
func TestInteropHostileClients(t *testing.T) {
	h := startHostileHouse(t)
	for n := range 20 {
		v, err := converse(h.smtp)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.send("x@far.test", "ann@ours.test", fmt.Sprintf("Subject: %d\r\n\r\nhello", n)); err != nil {
			t.Fatal(err)
		}
		v.Close()
	}
	stop := make(chan struct{})
	var ann sync.WaitGroup
	ann.Go(func() { h.behaveWell(stop) })
	h.phase(t, "strangers by IMAP", 60, h.strangersIMAP)
	h.phase(t, "strangers by POP3", 40, h.strangersPOP3)
	h.phase(t, "who exists is not told", 80, h.nothingIsTold)
	h.phase(t, "login flood", 150, h.loginFlood) // 19 MiB for each hash at work
	h.phase(t, "messages", 150, h.messages)
	h.phase(t, "commands", 60, h.commands)
	h.phase(t, "folders", 80, h.folders)
	doublings, idle := 6, 2000
	if h.crowd {
		doublings, idle = 9, 5000
	}
	most := 200 << doublings
	h.phase(t, "very many messages", 100+most/340, func(t *testing.T) { h.manyMessages(t, doublings) }) // 3 KiB each
	h.phase(t, "reads nothing", 200, h.readsNothing)
	h.phase(t, "idle clients", idle*6/100, func(t *testing.T) { h.idleClients(t, idle) }) // 60 KiB each
	close(stop)
	ann.Wait()
	for line := range strings.Lines(h.out.String()) {
		if strings.Contains(line, "panic") || strings.Contains(line, "ERROR") {
			t.Errorf("in the log: %s", line)
		}
	}
	h.term()
}

func (h *hostileHouse) strangersIMAP(t *testing.T) {
	for _, c := range []struct {
		name, say string
		plain     bool
		until     string // the answer after which the connection stays; "": it ends
		want      string
	}{
		{"2 GB literal", "a LOGIN {2147483648}\r\n", false, "a ", "a NO [TOOBIG]"},
		{"2 GB literal, in the open", "a LOGIN {2147483648}\r\n", true, "a ", "a NO"},
		{"2 GB literal without waiting", "a LOGIN {2147483648+}\r\n" + strings.Repeat("x", 1<<20), false, "", "a NO [TOOBIG]"},
		{"literal beyond all numbers", "a LOGIN {99999999999999999999999}\r\n", false, "a ", "a NO [TOOBIG]"},
		{"10 GB message", "a APPEND INBOX {10737418240}\r\n", false, "a ", "a BAD"},
		{"line without an end", strings.Repeat("x", 4<<20), false, "", "* BYE [TOOBIG]"},
		{"NUL", "a NOOP\x00\r\n", false, "a ", "a BAD"},
		{"another protocol", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", true, "", "BYE"},
		{"password in the open", "a LOGIN x y\r\n", true, "a ", "a NO [PRIVACYREQUIRED]"},
		{"commands before STARTTLS is done", "a STARTTLS\r\nb LOGIN x y\r\n", true, "", "a BAD"},
		{"no base64", "a AUTHENTICATE PLAIN !!!!\r\n", false, "a ", "a BAD"},
		{"no base64, later", "a AUTHENTICATE PLAIN\r\n!!!!\r\n", false, "a ", "a "},
		{"1 MB of SASL", "a AUTHENTICATE PLAIN\r\n" + strings.Repeat("A", 1<<20) + "\r\n", false, "", "BYE [TOOBIG]"},
		{"20,000 commands", strings.Repeat("a CAPABILITY\r\n", 20_000), false, "", "* BYE"},
		{"3,000 brackets", "a SEARCH " + strings.Repeat("(", 3000) + "\r\n", false, "a ", "a BAD"},
	} {
		conn := h.dial(t, h.imap, false)
		if !c.plain {
			conn = h.dial(t, h.imaps, true)
		}
		heard, closed := conn.hears(c.say, c.until)
		t.Logf("%s: %.150q", c.name, heard)
		if !strings.Contains(heard, c.want) || closed != (c.until == "") {
			t.Errorf("%s: %.200q, closed %v, want %q", c.name, heard, closed, c.want)
		}
		conn.Close()
	}
	h.slowly(t, h.imap, h.imaps)
}

// slowly leaves clients behind that take their time: some say nothing where TLS
// comes first, some an octet at a time.
func (h *hostileHouse) slowly(t *testing.T, plain, implicit string) {
	for range 200 {
		c, err := net.Dial("tcp", implicit)
		if err != nil {
			t.Fatal(err)
		}
		h.t.Cleanup(func() { c.Close() })
		io.WriteString(c, "\x16\x03\x01\x02\x00\x01")
	}
	for range 200 {
		c := h.dial(h.t, plain, false)
		io.WriteString(c, "a")
	}
}

func (h *hostileHouse) strangersPOP3(t *testing.T) {
	for _, c := range []struct {
		name, say string
		plain     bool
		until     string
		want      string
	}{
		{"line without an end", strings.Repeat("x", 4<<20), false, "", "-ERR line too long"},
		{"10,000 bad commands", strings.Repeat("XYZZY\r\n", 10_000), false, "", "-ERR"},
		{"NUL", "NOOP\x00\r\n", false, "-ERR", "-ERR"},
		{"password in the open", "USER x\r\n", true, "-ERR", "-ERR [AUTH]"},
		{"commands before STLS is done", "STLS\r\nUSER x\r\n", true, "", ""},
		{"no base64", "AUTH PLAIN !!!!\r\n", false, "-ERR", "-ERR"},
		{"1 MB of SASL", "AUTH PLAIN\r\n" + strings.Repeat("A", 1<<20) + "\r\n", false, "", "-ERR line too long"},
		{"20,000 commands", strings.Repeat("CAPA\r\n", 20_000), false, "", "+OK"},
		{"before the login", "RETR 1\r\n", false, "-ERR", "-ERR"},
	} {
		conn := h.dial(t, h.pop3, false)
		if !c.plain {
			conn = h.dial(t, h.pop3s, true)
		}
		heard, closed := conn.hears(c.say, c.until)
		t.Logf("%s: %.120q", c.name, heard)
		if !strings.Contains(heard, c.want) || closed != (c.until == "") || c.want == "" && heard != "" {
			t.Errorf("%s: %.200q, closed %v, want %q", c.name, heard, closed, c.want)
		}
		conn.Close()
	}
	h.slowly(t, h.pop3, h.pop3s)
}

// nothingIsTold: a name that exists and one that does not are refused in the same
// words and the same time, by every way in.
func (h *hostileHouse) nothingIsTold(t *testing.T) {
	plain := func(user string) string {
		return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00wrong" + user))
	}
	type told struct {
		words string
		took  time.Duration
	}
	try := func(pop bool, say func(user string) string, user string) told {
		addr := h.imaps
		if pop {
			addr = h.pop3s
		}
		c, err := h.connect(addr, true, "127.0.0.1")
		if err != nil {
			return told{err.Error(), 0}
		}
		defer c.Close()
		from := time.Now()
		until := "a "
		if pop {
			until = "-ERR"
		}
		heard, _ := c.hears(say(user), until)
		return told{heard, time.Since(from)}
	}
	for name, way := range map[string]struct {
		pop bool
		say func(user string) string
	}{
		"IMAP LOGIN": {false, func(u string) string { return "a LOGIN " + u + " \"wrong " + u + "\"\r\n" }},
		"IMAP PLAIN": {false, func(u string) string { return "a AUTHENTICATE PLAIN " + plain(u) + "\r\n" }},
		"POP3 PASS":  {true, func(u string) string { return "USER " + u + "\r\nPASS wrong " + u + "\r\n" }},
		"POP3 PLAIN": {true, func(u string) string { return "AUTH PLAIN " + plain(u) + "\r\n" }},
	} {
		// The machine may keep one of the two waiting: that tells nothing unless it
		// is always the same.
		for again := 4; ; again-- {
			var known, unknown told
			var both sync.WaitGroup
			both.Go(func() { known = try(way.pop, way.say, "eve@ours.test") })
			both.Go(func() { unknown = try(way.pop, way.say, "eva@ours.test") })
			both.Wait()
			t.Logf("%s: %q in %s, %q in %s", name, known.words, known.took.Round(time.Millisecond), unknown.words, unknown.took.Round(time.Millisecond))
			if known.words != unknown.words {
				t.Errorf("%s tells who exists: %q and %q", name, known.words, unknown.words)
			}
			if (known.took - unknown.took).Abs() <= 500*time.Millisecond {
				break
			}
			if again == 0 {
				t.Errorf("%s tells who exists: %s and %s", name, known.took, unknown.took)
				break
			}
		}
	}
}

// loginFlood guesses at names and passwords from other addresses, 100 at a time.
func (h *hostileHouse) loginFlood(t *testing.T) {
	until := time.Now().Add(2 * time.Second)
	var guesses atomic.Int64
	var wg sync.WaitGroup
	for n := range 100 {
		wg.Go(func() {
			for time.Now().Before(until) {
				c, err := h.connect([]string{h.imaps, h.pop3s}[n%2], true, fmt.Sprintf("127.0.%d.2", n%50+1))
				if err != nil {
					continue
				}
				for i := range 2 {
					say, until := fmt.Sprintf("a LOGIN u%d@ours.test guess%d\r\n", n*100+i, n), "a "
					if n%2 == 1 {
						say, until = fmt.Sprintf("USER u%d\r\nPASS guess%d\r\n", n*100+i, n), "-ERR"
					}
					if heard, closed := c.hears(say, until); closed {
						break
					} else if strings.Contains(heard, "a OK") {
						t.Error("guessed")
					}
					guesses.Add(1)
				}
				c.Close()
			}
		})
	}
	wg.Wait()
	t.Logf("%d guesses", guesses.Load())
}
