package pop3

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/door"
)

// A client that sends all it has to say in one packet hears all at once, and
// however its octets come it hears the same.
func TestPipelining(t *testing.T) {
	said := "STAT\r\nNOOP\r\nRETR 1\nTOP 2 0\r\nUIDL 2\r\nDELE 1\r\nbogus\r\nQUIT\r\nNOOP\r\n"
	var first string
	for piece := 1; piece <= len(said); piece++ {
		inWorld(t, func(t *testing.T, w *world) {
			w.box.put(short, dotted)
			c := w.login()
			synctest.Wait()
			before := w.writes
			go func() {
				for rest := said; rest != ""; rest = rest[min(piece, len(rest)):] {
					if _, err := io.WriteString(c, rest[:min(piece, len(rest))]); err != nil {
						return // it has quit
					}
					time.Sleep(time.Millisecond)
				}
			}()
			heard, err := io.ReadAll(c.r)
			if err != nil {
				t.Errorf("pieces of %d: %v", piece, err)
			}
			switch {
			case piece == 1:
				first = string(heard)
				if !strings.HasSuffix(first, "-ERR unknown command\r\n+OK bye, 1 deleted, 1 left\r\n") {
					t.Errorf("heard %q", heard)
				}
			case string(heard) != first:
				t.Errorf("pieces of %d: heard %q, want %q", piece, heard, first)
			}
			synctest.Wait()
			// One TLS record with the replies, one with close_notify.
			if n := w.writes - before; piece == len(said) && n > 2 {
				t.Errorf("%d writes", n)
			}
		})
	}
}

// Octets behind STLS, of whoever, are not taken for the client's.
func TestInjection(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.plain()
		c.raw("STLS\r\nUSER ann\r\n")
		c.gone()
		c = w.plain()
		c.talk("C: STLS\nS: +OK begin TLS\nTLS\nC: PASS se cret\nS: -ERR USER first")
		c = w.plain()
		c.ask("STLS", "+OK begin TLS")
		c.raw("USER ann\r\n") // no handshake
		c.gone()
	})
}

func TestWrongPorts(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.plain()
		c.raw("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") // no line end in it
		c.gone()
		if !w.logged("client begins with TLS") {
			t.Errorf("log:\n%s", w.log.String())
		}
		c = w.dial(hereTLS)
		c.raw("CAPA\r\n")
		c.want("-ERR this port begins with TLS")
	})
}

func TestTime(t *testing.T) {
	for name, tt := range map[string]struct {
		begin func(w *world) *client
		keep  string        // said every 5 seconds, or once if it is no line
		after time.Duration // when the session ends
	}{
		"no login":           {(*world).plain, "", loginTime},
		"no login, busy":     {(*world).plain, "CAPA\r\n", loginTime},
		"slow login":         {(*world).secure, "U", loginTime},
		"silence":            {(*world).login, "", minIdle},
		"a line without end": {(*world).login, "N", minIdle},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				start := time.Now()
				c := tt.begin(w)
				stop := make(chan struct{})
				go func() {
					defer close(stop)
					for tt.keep != "" {
						if _, err := io.WriteString(c, tt.keep); err != nil {
							return
						}
						time.Sleep(5 * time.Second)
						if time.Since(start) > time.Hour {
							return
						}
					}
				}()
				heard, _ := io.ReadAll(c.r)
				if d := time.Since(start); d.Round(5*time.Second) != tt.after {
					t.Errorf("it took %v, want %v", d, tt.after)
				}
				if bytes.Contains(heard, []byte("-ERR")) { // RFC 1939 section 3: without a word
					t.Errorf("heard %q", heard)
				}
				_ = c.Close()
				<-stop
			})
		})
	}
}

// A busy session is not idle, and may be as long as it likes.
func TestLongSession(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.login()
		for range 20 {
			time.Sleep(minIdle - time.Second)
			c.ask("NOOP", "+OK...")
		}
	})
}

func TestListenersIdle(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.login()
		time.Sleep(time.Hour - time.Second)
		c.ask("NOOP", "+OK...")
	}, func(c *Config, _ *Deps) { c.Listeners[1].MaxIdle = time.Hour })
}

func TestTooMany(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		count := func(c *client, line string) (n int) {
			t.Helper()
			for ; n < 1000; n++ {
				if _, err := io.WriteString(c, line+"\r\n"); err != nil {
					break
				}
				if c.line() == "" {
					break
				}
			}
			_ = c.Close()
			synctest.Wait()
			return n
		}
		if n := count(w.plain(), "NOOP"); n != maxEarly+1 {
			t.Errorf("%d commands before a login", n)
		}
		if n := count(w.plain(), "HELO"); n != maxBad+1 {
			t.Errorf("%d wrong commands before a login", n)
		}
		if n := count(w.login(), "RETR 9"); n != maxBad+1 {
			t.Errorf("%d wrong commands in a row", n)
		}
		if n := count(w.login(), "NOOP"); n != 1000 {
			t.Errorf("%d right commands", n)
		}
		c := w.login()
		for range 3 * maxBad {
			c.ask("RETR 9", "-ERR...")
			c.ask("NOOP", "+OK...")
		}
		c.raw(strings.Repeat("N", maxCommand+1) + "\r\n")
		c.want("-ERR line too long")
		c.gone()
		c = w.plain()
		c.raw(strings.Repeat("N", maxCommand+1)) // and no end of it
		c.want("-ERR line too long")
		c.gone()
		c = w.secure() // a password may be long
		c.ask("USER ann", "+OK...")
		c.ask("PASS "+strings.Repeat("x", 1024), "-ERR [AUTH] authentication failed")
	})
}

// A client that reads nothing is cut off, and holds up nobody else.
func TestSlowReader(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.box.put(strings.Repeat(strings.Repeat("x", 76)+"\r\n", 20000))
		c := w.login()
		c.raw("RETR 1\r\n")
		time.Sleep(pieceTime - lockTime - time.Second)
		w.secure().ask("AUTH PLAIN "+b64("\x00ann\x00se cret"), "-ERR [IN-USE]...")
		time.Sleep(2 * time.Second)
		w.secure().ask("AUTH PLAIN "+b64("\x00ann\x00se cret"), "+OK 1...")
		if left, _ := w.box.left(); left[0] < 0 || w.logged("cannot be read") {
			t.Error("it counts as read")
		}
	})
}

// A reader of 1 KB a second is served to the end.
func TestPatientReader(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.box.put(strings.Repeat(strings.Repeat("x", 76)+"\r\n", 20000))
		c := w.login()
		c.raw("RETR 1\r\n")
		n := 0
		for buf := make([]byte, 1024); ; time.Sleep(time.Second) {
			m, err := io.ReadFull(c.r, buf)
			if n += m; err != nil || strings.HasSuffix(string(buf[:m]), "\r\n.\r\n") {
				break
			}
			if n >= 20000*78 {
				break
			}
		}
		if n < 20000*78 {
			t.Errorf("%d octets", n)
		}
	})
}

// A drain comes between two commands: a message on its way arrives whole.
func TestDrain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.box.put(strings.Repeat("a line\r\n", 100000))
		idle, busy := w.plain(), w.login()
		busy.ask("DELE 1", "+OK...")
		busy.ask("RSET", "+OK...")
		busy.raw("RETR 1\r\nDELE 1\r\nQUIT\r\n")
		synctest.Wait() // it is blocked in the middle
		w.cancel()
		synctest.Wait()
		idle.want("-ERR [SYS/TEMP] the server is shutting down")
		idle.gone()
		heard, err := io.ReadAll(busy.r)
		if err != nil || !bytes.HasSuffix(heard, []byte("a line\r\n.\r\n-ERR [SYS/TEMP] the server is shutting down\r\n")) {
			t.Errorf("%v, %d octets, %q", err, len(heard), heard[max(0, len(heard)-100):])
		}
		synctest.Wait()
		if left, _ := w.box.left(); len(left) != 1 {
			t.Errorf("left: %v", left)
		}
	})
}

// Who does not come to an end is cut off.
func TestGrace(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.box.put(strings.Repeat("a line\r\n", 100000))
		w.login().raw("RETR 1\r\n")
		synctest.Wait()
		start := time.Now()
		w.stop()
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("it took %v", d)
		}
	}, func(c *Config, _ *Deps) { c.Grace = 3 * time.Second })
}

func TestDoors(t *testing.T) {
	one := door.Limits{Connections: 1}
	inWorld(t, func(t *testing.T, w *world) {
		c := w.plain()
		w.dial(here).want("-ERR [SYS/TEMP] too many connections, try later")
		w.secure() // has limits of its own
		w.srv.Apply(Config{Hostname: "mx.test", Listeners: []Listener{{Address: here, Limits: &door.Limits{Connections: 2, ConnectionsPerIP: 1}}, {Address: "192.0.2.1:111"}}})
		if !w.logged("stays open until a restart") || !w.logged("opened at the next restart") {
			t.Errorf("log:\n%s", w.log.String())
		}
		w.dial(here).want("-ERR [SYS/TEMP] too many connections from your address, try later")
		_ = c.Close()
		synctest.Wait()
		w.plain()
		if a := w.srv.Addrs(); len(a) != 2 || a[0].String() != here {
			t.Errorf("addresses %v", a)
		}
	}, func(c *Config, _ *Deps) { c.Limits, c.Listeners[1].Limits = one, &door.Limits{} })
}

func TestListenFails(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := New(Config{Listeners: []Listener{{Address: "192.0.2.1:1110"}, {Address: here}}}, Deps{Listen: w.net.Listen})
		if err := s.Listen(); err == nil || len(s.Addrs()) != 0 {
			t.Errorf("%v, %v", err, s.Addrs())
		}
		if l, err := w.net.Listen("tcp", "192.0.2.1:1110"); err != nil {
			t.Errorf("the first listener is still open: %v", err)
		} else {
			_ = l.Close()
		}
		s = New(Config{Listeners: []Listener{{Address: "192.0.2.1:1995", TLS: door.TLSImplicit}}}, Deps{Listen: w.net.Listen})
		if err := s.Listen(); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Error(err)
		}
	})
}

// FuzzSession says whatever it likes, logged in or not, and hangs up. The session
// ends; nothing is deleted unless QUIT was answered with it; a reply is a reply.
func FuzzSession(f *testing.F) {
	for _, s := range []string{
		"STAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nTOP 2 1\r\nDELE 1\r\nRSET\r\nDELE 2\r\nQUIT\r\n",
		"USER ann\r\nPASS x\r\nAUTH PLAIN\r\n*\r\nAUTH PLAIN AGFubgBzZSBjcmV0\r\nSTAT\r\n",
		"AUTH SCRAM-SHA-256 biwsbj1hbm4scj14\r\nAAAA\r\nCAPA\r\nLANG\r\nUTF8\r\nNOOP\r\n",
		"STLS\r\n\x16\x03\x01", "\x16\x03\x01\x00", "DELE 1\nDELE 1\nDELE 99999999999999999999\nTOP 1 -1\n\x00\r\n \r\n\r\nQUIT",
	} {
		for mode := range uint8(3) {
			f.Add(s, mode, uint8(255))
			f.Add(s, mode, uint8(2))
		}
	}
	f.Fuzz(func(t *testing.T, said string, mode, piece uint8) {
		if len(said) > 4000 {
			return
		}
		inWorld(t, func(t *testing.T, w *world) {
			w.box.put(short, dotted)
			c := []func() *client{w.plain, w.secure, w.login}[mode%3]()
			go func() {
				for len(said) > 0 {
					n := min(1+int(piece), len(said))
					if _, err := io.WriteString(c, said[:n]); err != nil {
						return
					}
					said = said[n:]
				}
				_ = c.Conn.(interface{ CloseWrite() error }).CloseWrite()
			}()
			gone := 0
			for {
				l, err := c.r.ReadString('\n')
				if err != nil || l[0] == 0x15 { // a TLS alert: it said STLS and then no hello
					break
				}
				if !strings.HasSuffix(l, "\r\n") {
					t.Fatalf("reply %q", l)
				}
				_, _ = fmt.Sscanf(l, "+OK bye, %d deleted", &gone)
			}
			_ = c.Close()
			synctest.Wait()
			if left, _ := w.box.left(); len(left) != 2-gone {
				t.Errorf("left: %v, %d were said to be deleted", left, gone)
			}
		})
	})
}
