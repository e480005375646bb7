package callout

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// server answers each RCPT with what replies say of its local part.
type server struct {
	t       *testing.T
	replies map[string]string
	asked   int
	down    bool
	mute    bool // takes connections and says nothing
}

func (s *server) dial(context.Context, netip.Addr, netip.AddrPort) (net.Conn, error) {
	if s.down {
		return nil, errors.New("connection refused")
	}
	ours, theirs := net.Pipe()
	s.asked++
	mute := s.mute
	go func() {
		defer theirs.Close()
		in := bufio.NewReader(theirs)
		if mute {
			_, _ = in.ReadString('\n')
			return
		}
		fmt.Fprint(theirs, "220 store\r\n")
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			answer := "250 ok"
			switch {
			case strings.HasPrefix(line, "EHLO"):
				s.t.Error("EHLO to an LMTP server")
			case strings.HasPrefix(line, "MAIL FROM:<x"), strings.HasPrefix(line, "DATA"):
				s.t.Errorf("%q", line)
			case strings.HasPrefix(line, "RCPT TO:<"):
				local, _, _ := strings.Cut(line[len("RCPT TO:<"):], "@")
				answer = s.replies[local]
			}
			fmt.Fprint(theirs, answer+"\r\n")
		}
	}()
	return ours, nil
}

func TestAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{t: t, replies: map[string]string{"ann": "250 2.1.5 ok", "gone": "550 5.1.1 no such user", "full": "452 4.2.2 full"}}
		k := New("mx.test", Deps{Dial: s.dial})
		to := Target{Hosts: []mail.Host{{Name: "store", Port: 24, Addr: netip.MustParseAddr("203.0.113.9")}}, LMTP: true}
		ask := func(local string) string {
			t.Helper()
			err := k.Ask(t.Context(), to, smtp.Address{Local: local, Domain: "corp.test"})
			if e, ok := errors.AsType[*smtp.Error](err); ok {
				return fmt.Sprint(e.Reply.Code, " ", e.Reply.Status)
			} else if err != nil {
				t.Fatal(err)
			}
			return ""
		}
		expect := func(local, want string, asked int) {
			t.Helper()
			before := s.asked
			if got := ask(local); got != want || s.asked-before != asked {
				t.Errorf("%s after %v: %q and %d questions, want %q and %d", local, time.Now(), got, s.asked-before, want, asked)
			}
		}
		expect("ann", "", 1)
		expect("ann", "", 0)
		expect("gone", "550 5.1.1", 1)
		expect("gone", "550 5.1.1", 0)
		expect("full", "452 4.2.2", 1)
		expect("full", "452 4.2.2", 1) // not remembered
		time.Sleep(BadFor)
		expect("gone", "550 5.1.1", 1)
		time.Sleep(GoodFor)
		expect("ann", "", 1)

		s.down = true
		time.Sleep(GoodFor)
		expect("ann", "", 0) // was there lately
		expect("new", "451 4.4.1", 0)
		expect("gone", "451 4.4.1", 0)
		time.Sleep(StaleFor)
		expect("ann", "451 4.4.1", 0)

		s.down, s.mute = false, true
		start := time.Now()
		expect("ann", "451 4.4.1", 1)
		if took := time.Since(start); took > Timeout+time.Second {
			t.Errorf("a mute host held the sender up for %v", took)
		}
		start = time.Now() // and for a while nobody waits for it again
		expect("ann", "451 4.4.1", 0)
		expect("new", "451 4.4.1", 0)
		if took := time.Since(start); took > 0 {
			t.Errorf("a host known to be mute held the sender up for %v", took)
		}
		time.Sleep(coolDown)
		s.mute = false
		expect("ann", "", 1)
		time.Sleep(GoodFor)
		s.mute = true
		expect("ann", "", 1)
		expect("ann", "", 0)
	})
}

// What a stranger tries does not fill the memory.
func TestBounded(t *testing.T) {
	k := New("mx.test", Deps{})
	for i := range remember + 10 {
		k.note(smtp.Address{Local: fmt.Sprint(i), Domain: "corp.test"}, answer{time.Now(), smtp.Reply{Code: 550}})
	}
	if len(k.known) != remember {
		t.Errorf("%d remembered", len(k.known))
	}
}
