//go:build interop

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestInteropMailboxKill kills the relay, with kill -9, while mail comes in by
// SMTP and LMTP for three people and an alias of two, IMAP sessions append,
// copy, move, mark and expunge, and POP3 sessions take mail away; starts it again,
// and compares all folders with what the clients were told. Of what was in flight
// all has happened, or nothing. It kills TENMA_KILLS times, 15 if that is not
// set.
func TestInteropMailboxKill(t *testing.T) {
	rounds := 15
	if text := os.Getenv("TENMA_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		rounds = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	k := &boxKill{
		t: t, bin: binary(t), dir: t.TempDir(), journal: newJournal(), random: rand.New(rand.NewPCG(seed, 1)),
		smtp: freePort(t, "127.0.0.1"), lmtp: freePort(t, "127.0.0.1"), imap: freePort(t, "127.0.0.1"), pop3: freePort(t, "127.0.0.1"),
	}
	k.start()
	for _, account := range killAccounts {
		add := exec.Command(k.bin, "user", "add", account, "-c", k.conf)
		add.Stdin = strings.NewReader(annsPassword + "\n")
		if out, err := add.CombinedOutput(); err != nil {
			t.Fatalf("user add: %v\n%s", err, out)
		}
	}
	k.prepare()
	done := 0
	// On a slow machine more rounds may be needed until there is enough to judge.
	for round := 0; round < rounds || round < 4*rounds && k.journal.rarest() < rounds/5; round++ {
		done++
		k.work(50*time.Millisecond + time.Duration(k.random.Int64N(int64(450*time.Millisecond))))
		k.start()
		k.verify(round)
		if t.Failed() {
			return
		}
	}
	k.term()
	k.start()
	k.verify(done) // nothing comes late, or twice
	k.term()
	j := k.journal
	t.Logf("%d kills; acknowledged: %v; in flight at a kill: %v, of which had happened: %v; %d messages left, %s for a start",
		done, j.done, j.open, j.took, len(j.letters), (k.starting / time.Duration(k.starts)).Round(time.Millisecond))
	if n := j.rarest(); n < rounds/5 {
		t.Errorf("of some only %d were acknowledged, which shows nothing: %v", n, j.done)
	}
}

var (
	killAccounts = []string{"ann@ours.test", "bob@ours.test", "pat@ours.test"}
	killFolders  = []string{"INBOX", "Archive", "Trash", "Work"}
)

type boxKill struct {
	*relayd
	t                      *testing.T
	bin, dir               string
	smtp, lmtp, imap, pop3 string
	journal                *journal
	random                 *rand.Rand
	starts                 int
	starting               time.Duration
}

func (k *boxKill) start() {
	begun := time.Now()
	extra := fmt.Sprintf(`[[listen]]
protocol = "lmtp"
address = %q
relay_from = ["127.0.0.0/8"]
[[listen]]
protocol = "imap"
address = %q
tls = "implicit"
max_connection_rate_per_ip = 100000
[[listen]]
protocol = "pop3"
address = %q
tls = "implicit"
max_connection_rate_per_ip = 100000
[mailbox]
quota = "1GB"
[[domain]]
name = "ours.test"
[[alias]]
address = "both@ours.test"
to = ["ann@ours.test", "bob@ours.test"]
`, k.lmtp, k.imap, k.pop3)
	k.relayd = startRelay(k.t, k.bin, k.dir, k.smtp, extra)
	k.conf = filepath.Join(k.dir, "tenma.toml")
	k.starts++
	k.starting += time.Since(begun)
}

// prepare makes the folders.
func (k *boxKill) prepare() {
	for _, account := range killAccounts {
		s, err := k.login(account)
		if err != nil {
			k.t.Fatal(err)
		}
		if _, err := s.ask("CREATE Work"); err != nil {
			k.t.Fatal(err)
		}
		s.Close()
	}
}

// work lets all clients loose, and kills the relay after a while.
func (k *boxKill) work(span time.Duration) {
	var clients, ready sync.WaitGroup
	run := func(fn func(r *rand.Rand, ready func()) error) {
		r := rand.New(rand.NewPCG(k.random.Uint64(), 2))
		ready.Add(1)
		once := sync.OnceFunc(ready.Done)
		clients.Go(func() {
			defer once()
			var no refusal
			if err := fn(r, once); errors.As(err, &no) {
				k.t.Error(err)
			}
		})
	}
	for _, account := range killAccounts {
		for range 2 {
			run(func(r *rand.Rand, ready func()) error { return k.useIMAP(r, account, ready) })
		}
		run(func(r *rand.Rand, ready func()) error { return k.usePOP3(r, account, ready) })
	}
	for range 2 {
		run(func(r *rand.Rand, ready func()) error { return k.send(r, "SMTP", k.smtp, ready) })
	}
	run(func(r *rand.Rand, ready func()) error { return k.send(r, "LMTP", k.lmtp, ready) })
	ready.Wait()
	<-time.After(span) // the moment is to be any
	k.kill()
	clients.Wait()
}

// killText is a message with an identity and the hash of its body; some are
// large enough to be kept in chunks.
func killText(r *rand.Rand, id string) string {
	var body strings.Builder
	for range 1 + r.IntN(40) {
		fmt.Fprintf(&body, "%016x%016x%016x\r\n", r.Uint64(), r.Uint64(), r.Uint64())
	}
	if r.IntN(12) == 0 {
		body.WriteString(strings.Repeat(body.String()[:50], 6000+r.IntN(6000)))
	}
	sum := sha256.Sum256([]byte(body.String()))
	return "From: x@far.test\r\nSubject: " + id + "\r\nX-Sum: " + hex.EncodeToString(sum[:]) + "\r\n\r\n" + body.String()
}

// readText finds the identity, and whether the octets are those of killText.
func readText(text string) (id string, whole bool) {
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	sum := sha256.Sum256([]byte(body))
	return killMarkOf(head), strings.Contains(head+"\r\n", "\r\nX-Sum: "+hex.EncodeToString(sum[:])+"\r\n")
}

func killMarkOf(head string) string {
	_, rest, _ := strings.Cut("\r\n"+head, "\r\nSubject: ")
	id, _, _ := strings.Cut(rest, "\r\n")
	return id
}

// send hands in messages until the relay goes.
func (k *boxKill) send(r *rand.Rand, how, addr string, ready func()) error {
	greet := converse
	if how == "LMTP" {
		greet = greetLMTP
	}
	v, err := greet(addr)
	if err != nil {
		return err
	}
	defer v.Close()
	ready()
	for {
		var rcpts, accounts []string
		switch r.IntN(3) {
		case 0:
			rcpts, accounts = []string{"both@ours.test"}, killAccounts[:2]
		case 1:
			rcpts, accounts = killAccounts, killAccounts
		default:
			one := killAccounts[r.IntN(len(killAccounts))]
			rcpts, accounts = []string{one}, []string{one}
		}
		if slices.ContainsFunc(accounts, k.journal.full) {
			if line, err := v.ask("NOOP\r\n"); err != nil {
				return replyError(line, err)
			}
			<-time.After(time.Millisecond) // until the others have cleared away
			continue
		}
		id := k.journal.newID()
		k.journal.expect(id, accounts...)
		replies := 1
		text := "MAIL FROM:<x@far.test>\r\n"
		for _, to := range rcpts {
			text += "RCPT TO:<" + to + ">\r\n"
		}
		if _, err := io.WriteString(v, text+"DATA\r\n"); err != nil {
			return err
		}
		for range len(rcpts) + 2 {
			if line, err := v.reply(); err != nil {
				return replyError(line, err)
			}
		}
		if how == "LMTP" {
			replies = len(rcpts)
		}
		if _, err := io.WriteString(v, killText(r, id)+".\r\n"); err != nil {
			return err
		}
		for range replies {
			if line, err := v.reply(); err != nil {
				return replyError(line, err)
			}
		}
		k.journal.accepted(id, how)
	}
}

// verify reads everything and holds it against the journal.
func (k *boxKill) verify(round int) {
	k.t.Helper()
	for _, account := range killAccounts {
		s, err := k.login(account)
		if err != nil {
			k.t.Fatalf("round %d: %v\n%s", round, err, k.out)
		}
		// What was accepted before the kill is delivered after it.
		for end := time.Now().Add(patience); len(k.journal.missing(account)) > 0 && time.Now().Before(end); <-time.After(10 * time.Millisecond) {
			if err := s.learn(); err != nil {
				k.t.Fatal(err)
			}
		}
		now, used, err := s.stable()
		if err != nil {
			k.t.Fatalf("round %d: %v", round, err)
		}
		k.journal.judge(account, now, used)
		s.Close()
	}
	for _, f := range k.journal.faults {
		k.t.Errorf("round %d: %s", round, f)
	}
	k.journal.faults = nil
	if len(k.journal.deeds) > 0 {
		k.t.Errorf("round %d: %d deeds were not looked at", round, len(k.journal.deeds))
	}
}

// usePOP3 takes mail away until the relay goes, a few messages a session.
func (k *boxKill) usePOP3(r *rand.Rand, account string, ready func()) error {
	for {
		c, err := dialTLS(k.pop3)
		if err != nil {
			return err
		}
		err = k.fetchPOP3(r, c, account, ready)
		c.Close()
		if err != nil {
			return err
		}
	}
}

func (k *boxKill) fetchPOP3(r *rand.Rand, c *tlsLines, account string, ready func()) error {
	for _, say := range []string{"", "USER " + account, "PASS " + annsPassword} {
		if _, err := c.pop(say, false); err != nil {
			return err
		}
	}
	ready()
	list, err := c.pop("UIDL", true)
	if err != nil {
		return err
	}
	for i := range list { // in any order
		j := r.IntN(i + 1)
		list[i], list[j] = list[j], list[i]
	}
	d := &deed{}
	for _, line := range list {
		if len(d.of) == 3 {
			break
		}
		n, uidl, _ := strings.Cut(line, " ")
		_, text, _ := strings.Cut(uidl, ".") // UIDVALIDITY and UID
		uid, _ := strconv.ParseUint(text, 10, 32)
		one := k.journal.pick(account, "INBOX", 1, func(l *letter) bool { return l.uid == uint32(uid) })
		if len(one.of) == 0 {
			continue // it is in other hands, or nobody has seen it
		}
		d.of, d.ids = append(d.of, one.of...), append(d.ids, one.ids...)
		mail, err := c.pop("RETR "+n, true)
		if err == nil {
			if id, whole := readText(strings.Join(mail, "\r\n") + "\r\n"); !whole || id != one.of[0].id {
				return refusal(fmt.Sprintf("%s: RETR of %s gives %q, whole: %v", account, one.of[0].id, id, whole))
			}
			_, err = c.pop("DELE "+n, false)
		}
		if err != nil {
			k.journal.release(d) // without QUIT nothing is deleted
			return err
		}
	}
	if len(d.of) == 0 {
		_, err := c.pop("QUIT", false)
		return err
	}
	d.what, d.leave = "QUIT", true
	k.journal.begin(d)
	if _, err = c.pop("QUIT", false); err == nil {
		k.journal.answered(d, nil)
	}
	return err
}

// useIMAP does this and that until the relay goes.
func (k *boxKill) useIMAP(r *rand.Rand, account string, ready func()) error {
	s, err := k.login(account)
	if err != nil {
		return err
	}
	defer s.Close()
	ready()
	for err == nil {
		if err = s.open(killFolders[r.IntN(len(killFolders))]); err == nil && s.folder == "INBOX" {
			err = s.learn()
		}
		into := killFolders[r.IntN(len(killFolders))]
		switch n := r.IntN(20); {
		case err != nil:
		case n < 5 && !s.j.full(account):
			err = s.append(r, into)
		case n < 9:
			err = s.mark(r)
		case n < 11:
			err = s.bring("COPY", into, r)
		case n < 16:
			err = s.bring("MOVE", into, r)
		default:
			err = s.expunge(r)
		}
	}
	return err
}

// pick takes some messages of the folder that is open, none if there are none or
// if the relay is gone.
func (s *imapKill) pick(r *rand.Rand) (*deed, error) {
	d := s.j.pick(s.account, s.folder, 1+r.IntN(4), func(*letter) bool { return true })
	// Another session may have brought them here just now. This one does not
	// know their UIDs until it is told, and a UID that it does not know is
	// passed over (RFC 9051 section 6.4.9).
	_, err := s.ask("NOOP")
	return d, err
}

// idle says whether there is nothing to do.
func (d *deed) idle() bool { return len(d.of) == 0 }

// uidSet is how IMAP names the messages of a deed.
func (d *deed) uidSet() string {
	var set []string
	for _, l := range d.of {
		set = append(set, strconv.Itoa(int(l.uid)))
	}
	return strings.Join(set, ",")
}

// append adds a message.
func (s *imapKill) append(r *rand.Rand, into string) error {
	flags := someFlags(r)
	id := s.j.newID()
	text := killText(r, id)
	d := &deed{what: "APPEND", into: into, of: []*letter{{account: s.account, folder: into, id: id, flags: flagText(flags)}}}
	s.j.begin(d)
	answer, err := s.ask(fmt.Sprintf("APPEND %s (%s) {%d+}\r\n%s", into, strings.Join(flags, " "), len(text), text))
	if err == nil {
		s.j.answered(d, codeUIDs(answer, "APPENDUID", 2))
	}
	return err
}

// mark changes flags.
func (s *imapKill) mark(r *rand.Rand) error {
	d, err := s.pick(r)
	if err != nil || d.idle() {
		return err
	}
	flags := someFlags(r)
	d.what, d.flags = "STORE", slices.Repeat([]string{flagText(flags)}, len(d.of))
	s.j.begin(d)
	_, err = s.ask("UID STORE " + d.uidSet() + " FLAGS.SILENT (" + strings.Join(flags, " ") + ")")
	if err == nil {
		s.j.answered(d, nil)
	}
	return err
}

// bring copies or moves.
func (s *imapKill) bring(how, into string, r *rand.Rand) error {
	if into == s.folder {
		return nil
	}
	d, err := s.pick(r)
	if err != nil || d.idle() {
		return err
	}
	d.what, d.into, d.leave = how, into, how == "MOVE"
	s.j.begin(d)
	answer, err := s.ask("UID " + how + " " + d.uidSet() + " " + into)
	if err == nil {
		s.j.answered(d, codeUIDs(answer, "COPYUID", 3))
	}
	return err
}

// expunge marks some messages as deleted and removes them.
func (s *imapKill) expunge(r *rand.Rand) error {
	d, err := s.pick(r)
	if err != nil || d.idle() {
		return err
	}
	d.what = "STORE"
	for _, l := range d.of {
		d.flags = append(d.flags, flagText(append(strings.Fields(l.flags), `\Deleted`)))
	}
	marked := *d
	marked.ids = nil // they stay ours
	s.j.begin(&marked)
	if _, err := s.ask("UID STORE " + d.uidSet() + ` +FLAGS.SILENT (\Deleted)`); err != nil {
		return err
	}
	s.j.answered(&marked, nil)
	gone := &deed{what: "EXPUNGE", of: d.of, ids: d.ids, leave: true}
	s.j.begin(gone)
	_, err = s.ask("UID EXPUNGE " + d.uidSet())
	if err == nil {
		s.j.answered(gone, nil)
	}
	return err
}

func someFlags(r *rand.Rand) (flags []string) {
	for _, f := range []string{`\Seen`, `\Flagged`, `\Answered`, "$Later", "Project" + strconv.Itoa(r.IntN(3))} {
		if r.IntN(3) == 0 {
			flags = append(flags, f)
		}
	}
	return flags
}
