package source

import (
	"bufio"
	"context"
	"encoding/base64"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdg-go/scram"

	"tenma/bench/internet/fakenet"
	"tenma/bench/load"
)

// scripted runs a load against a server that is a function of a connection.
func scripted(t *testing.T, words string, talk func(c net.Conn, in *bufio.Scanner), check func(s *Source, r load.Result, err error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sv := &server{net: fakenet.New()}
		l, err := sv.net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				wg.Go(func() {
					defer c.Close()
					in := bufio.NewScanner(c)
					in.Buffer(nil, 1<<20)
					c.Write([]byte("220 hi\r\n"))
					talk(c, in)
				})
			}
		})
		s := sv.source(t, words)
		r, err := s.Run(t.Context())
		check(s, r, err)
		l.Close()
		wg.Wait()
	})
}

// answers is a server that answers each line by its beginning, the first that
// fits, and takes messages after 354. seen, if not nil, gets each command.
func answers(script [][2]string, seen func(line string)) func(net.Conn, *bufio.Scanner) {
	return func(c net.Conn, in *bufio.Scanner) {
		for in.Scan() {
			line := in.Text()
			if seen != nil {
				seen(line)
			}
			i := slices.IndexFunc(script, func(a [2]string) bool { return strings.HasPrefix(line, a[0]) })
			reply := "500 what"
			if i >= 0 {
				reply = script[i][1]
			}
			if reply == "drop" {
				return
			}
			c.Write([]byte(strings.ReplaceAll(reply, "|", "\r\n") + "\r\n"))
			if strings.HasPrefix(reply, "354") {
				for in.Scan() && in.Text() != "." {
				}
				c.Write([]byte("250 taken\r\n"))
			}
			if line == "QUIT" {
				return
			}
		}
	}
}

// Garbage has an end: nothing that a server says makes a session read on and
// on, or stop for ever.
func TestGarbage(t *testing.T) {
	for name, x := range map[string]struct{ ehlo, why string }{
		"endless line":    {strings.Repeat("2", 1<<20), "line of more than"},
		"endless reply":   {strings.Repeat("250-x|", 300) + "250 x", "more than 200 lines"},
		"no code":         {"hello yourself", "no reply"},
		"binary":          {"\x00\xff\x1b[2J", "no reply"},
		"code of letters": {"25o ok", "no reply"},
		"code too high":   {"650 ok", "no reply"},
		"empty line":      {"", "no reply"},
	} {
		t.Run(name, func(t *testing.T) {
			talk := answers([][2]string{{"EHLO", x.ehlo}}, nil)
			scripted(t, "sessions=2 count=5 patience=1s", talk, func(_ *Source, r load.Result, err error) {
				if err == nil || !strings.Contains(err.Error(), x.why) || len(err.Error()) > 500 {
					t.Errorf("%v, want %q", err, x.why)
				}
			})
		})
	}
}

// A DATA that is taken although every recipient was refused gets a lone dot
// (RFC 2920 section 3.1), and the message counts as refused, whatever comes.
func TestLoneDot(t *testing.T) {
	script := [][2]string{{"EHLO", "250-x|250 PIPELINING"}, {"RCPT", "550 5.1.1 no"}, {"DATA", "354 go"}, {"", "250 ok"}}
	for _, way := range []string{"pipeline=on", "pipeline=across"} {
		var mu sync.Mutex
		seen := ""
		talk := answers(script, func(line string) {
			mu.Lock()
			defer mu.Unlock()
			seen += line[:4] + " "
		})
		scripted(t, "sessions=1 count=2 "+way, talk, func(s *Source, r load.Result, err error) {
			if err != nil || r.HardErrors != 2 || r.Accepted != 0 || r.Extra["sent"] != 0 || s.acks.At(0) != 0 {
				t.Errorf("%+v: %v", r, err)
			}
			if seen != "EHLO MAIL RCPT DATA MAIL RCPT DATA QUIT " {
				t.Errorf("said %s", seen)
			}
		})
	}
}

// A transaction that a refusal left open is ended by RSET before the next.
func TestReset(t *testing.T) {
	for way, want := range map[string]string{
		"":                      "EHLO MAIL RCPT RSET MAIL RCPT QUIT ",
		"pipeline=on":           "EHLO MAIL RCPT DATA RSET MAIL RCPT DATA QUIT ",
		"bdat pipeline=on":      "EHLO MAIL RCPT BDAT RSET MAIL RCPT BDAT QUIT ",
		"bdat pipeline=off":     "EHLO MAIL RCPT RSET MAIL RCPT QUIT ",
		"pipeline=across":       "EHLO MAIL RCPT DATA RSET MAIL RCPT DATA QUIT ",
		"lmtp bdat pipeline=on": "LHLO MAIL RCPT BDAT RSET MAIL RCPT BDAT QUIT ",
	} {
		script := [][2]string{{"EHLO", "250-x|250-CHUNKING|250 PIPELINING"}, {"LHLO", "250-x|250-CHUNKING|250 PIPELINING"}, {"RCPT", "451 4.2.0 no"}, {"DATA", "503 no"}, {"BDAT", "503 no"}, {"", "250 ok"}}
		seen := ""
		talk := func(c net.Conn, in *bufio.Scanner) {
			for in.Scan() {
				line := in.Text()
				i := slices.IndexFunc(script, func(a [2]string) bool { return strings.HasPrefix(line, a[0]) })
				seen += line[:4] + " "
				if strings.HasPrefix(line, "BDAT") {
					for in.Scan() && !strings.HasPrefix(in.Text(), "end of chunk") {
					}
				}
				c.Write([]byte(strings.ReplaceAll(script[i][1], "|", "\r\n") + "\r\n"))
				if line == "QUIT" {
					return
				}
			}
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.eml"), []byte("A: b\n\nend of chunk\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		scripted(t, "sessions=1 count=2 corpus="+dir+" "+way, talk, func(_ *Source, r load.Result, err error) {
			if err != nil || r.SoftErrors != 2 || seen != want {
				t.Errorf("%s: said %s want %s; soft %d: %v", way, seen, want, r.SoftErrors, err)
			}
		})
	}
}

// A connection that the server closed while it was idle costs its message
// nothing; one that closes again costs it.
func TestIdleConnection(t *testing.T) {
	first := true
	var mu sync.Mutex
	script := [][2]string{{"EHLO", "250 x"}, {"DATA", "354 go"}, {"", "250 ok"}}
	talk := func(c net.Conn, in *bufio.Scanner) {
		mu.Lock()
		mine := first
		first = false
		mu.Unlock()
		if mine {
			taken := 0
			answers(append([][2]string{{"MAIL", "250 ok"}}, script...), func(line string) {
				if line == "DATA" {
					taken++
				}
				if taken == 1 && line == "DATA" {
					time.AfterFunc(5*time.Second, func() { c.Close() })
				}
			})(c, in)
			return
		}
		answers(script, nil)(c, in)
	}
	scripted(t, "sessions=1 rate=0.1 spacing=constant count=3 per-session=0", talk, func(_ *Source, r load.Result, err error) {
		if err != nil || r.Accepted != 3 || r.Extra["broken"] != 0 || r.ConnErrors != 1 {
			t.Errorf("accepted %d, broken %v, connection errors %d: %v", r.Accepted, r.Extra["broken"], r.ConnErrors, err)
		}
	})
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// Each mechanism logs in, and a wrong password is told.
func TestLogin(t *testing.T) {
	client, err := scram.SHA256.NewClient("ann", "secret", "")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt", Iters: 4096})
	if err != nil {
		t.Fatal(err)
	}
	mail := [][2]string{{"EHLO", "250-x|250 AUTH PLAIN LOGIN"}, {"DATA", "354 go"}, {"", "250 ok"}}
	logins := map[string]func(first string, c net.Conn, in *bufio.Scanner) bool{
		"plain": func(first string, c net.Conn, in *bufio.Scanner) bool {
			return first == "AUTH PLAIN "+b64("\x00ann\x00secret")
		},
		"login": func(first string, c net.Conn, in *bufio.Scanner) bool {
			ask := func(what string) string {
				c.Write([]byte("334 " + b64(what) + "\r\n"))
				in.Scan()
				return in.Text()
			}
			return first == "AUTH LOGIN" && ask("Username:") == b64("ann") && ask("Password:") == b64("secret")
		},
		"scram-sha-256": func(first string, c net.Conn, in *bufio.Scanner) bool {
			sv, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return keys, nil })
			if err != nil {
				return false
			}
			conv := sv.NewConversation()
			word := strings.TrimPrefix(first, "AUTH SCRAM-SHA-256 ")
			for !conv.Done() {
				text, err := base64.StdEncoding.DecodeString(word)
				if err != nil {
					return false
				}
				reply, err := conv.Step(string(text))
				if err != nil {
					return false
				}
				c.Write([]byte("334 " + b64(reply) + "\r\n"))
				in.Scan()
				word = in.Text()
			}
			return conv.Valid() && word == ""
		},
	}
	for mechanism, login := range logins {
		for _, password := range []string{"secret", "wrong"} {
			talk := func(c net.Conn, in *bufio.Scanner) {
				in.Scan()
				c.Write([]byte("250 x\r\n"))
				in.Scan()
				if !login(in.Text(), c, in) {
					c.Write([]byte("535 5.7.8 no\r\n"))
					return
				}
				c.Write([]byte("235 2.7.0 yes\r\n"))
				answers(mail, nil)(c, in)
			}
			scripted(t, "sessions=2 per-session=3 count=12 user=ann mechanism="+mechanism+" password="+password, talk, func(_ *Source, r load.Result, err error) {
				switch {
				case password == "secret" && (err != nil || r.Accepted != 12):
					t.Errorf("%s: accepted %d: %v", mechanism, r.Accepted, err)
				case password == "wrong" && (err == nil || !strings.Contains(err.Error(), "AUTH: 535 5.7.8 no")):
					t.Errorf("%s, wrong password: %v", mechanism, err)
				}
			})
		}
	}
}

// A server that puts something behind its reply to STARTTLS is not believed.
func TestInjection(t *testing.T) {
	talk := answers([][2]string{{"EHLO", "250-x|250 STARTTLS"}, {"STARTTLS", "220 go|250 injected"}}, nil)
	scripted(t, "count=1 sessions=1 patience=1s tls=starttls", talk, func(_ *Source, r load.Result, err error) {
		if err == nil || !strings.Contains(err.Error(), "more than its reply") {
			t.Errorf("%v", err)
		}
	})
}

// TLS sessions are resumed unless that is off, and a CA's word is enough.
func TestTLS(t *testing.T) {
	for words, resumed := range map[string]float64{"": 9, "resume=no": 0} {
		run(t, "tls", "tls=starttls sessions=1 per-session=1 count=10 "+words, func(_ *server, _ *Source, r load.Result, err error) {
			if err != nil || r.Accepted != 10 || r.Extra["tls_resumed"] != resumed {
				t.Errorf("accepted %d, resumed %v, want %v: %v", r.Accepted, r.Extra["tls_resumed"], resumed, err)
			}
		})
	}
	if _, err := Parse([]string{"tls=starttls", "ca=/does/not/exist"}); err != nil {
		t.Error(err) // New reads it
	}
	junk := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{junk, junk + "x"} {
		c := Default()
		c.TLS, c.CAFile = TLSStart, path
		if _, err := New(c); err == nil {
			t.Errorf("%s is taken for a certificate", path)
		}
	}
}

// Connections come from the addresses in turns.
func TestBind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sv := serve(t, "")
		s := sv.source(t, "sessions=1 per-session=1 count=6 bind=127.0.0.2-127.0.0.3,127.0.0.9")
		dial, from := s.cfg.Dial, ""
		s.cfg.Dial = func(ctx context.Context, local netip.Addr, address string) (net.Conn, error) {
			from += local.String() + " "
			return dial(ctx, local, address)
		}
		if r, err := s.Run(t.Context()); err != nil || r.Accepted != 6 {
			t.Errorf("accepted %d: %v", r.Accepted, err)
		}
		if want := strings.Repeat("127.0.0.2 127.0.0.3 127.0.0.9 ", 2); from != want {
			t.Errorf("from %s", from)
		}
	})
}
