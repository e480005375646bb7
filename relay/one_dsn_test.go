package relay_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/relaytest"
)

// crowd runs f in a world of n domains, each with a host of its own that refuses
// everybody, the later the higher its number, and gives f their recipients.
func crowd(t *testing.T, n int, f func(t *testing.T, w *relaytest.World, conf string, to []string)) {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "relay.toml")
	if err := os.WriteFile(conf, []byte(crashConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		zone := crashZone
		var to []string
		for i := range n {
			zone += fmt.Sprintf("d%[1]d.test. 300 IN MX 10 mx%[1]d.test.\nmx%[1]d.test. 300 IN A 203.0.114.%[1]d\n", i+1)
			to = append(to, fmt.Sprintf("x@d%d.test", i+1))
		}
		w := relaytest.New(t, dir, zone)
		defer w.Close()
		w.Receive("mx.src.test", "203.0.113.1:25")
		w.Receive("mx.good.test", "203.0.113.2:25")
		for i := range n {
			w.Receive(fmt.Sprintf("mx%d.test", i+1), fmt.Sprintf("203.0.114.%d:25", i+1), "say:rcpt=550_5.1.1_no", fmt.Sprintf("wait:rcpt=%dms", 50*i))
		}
		f(t, w, conf, to)
	})
}

var finals = regexp.MustCompile(`(?m)^Final-Recipient: rfc822; (\S+)`)

// told gives the recipients of each DSN that the sender got.
func told(w *relaytest.World) (all [][]string) {
	for _, m := range w.Got("mx.src.test") {
		var of []string
		for _, f := range finals.FindAllSubmatch(m.Data, -1) {
			of = append(of, string(f[1]))
		}
		slices.Sort(of)
		all = append(all, of)
	}
	return all
}

// TestOneDSN sends one message to fifty domains that refuse it one after the other:
// its sender hears of all at once (RFC 3461 section 5.2.8), as soon as nothing is
// under way any more.
func TestOneDSN(t *testing.T) {
	crowd(t, 50, func(t *testing.T, w *relaytest.World, conf string, to []string) {
		w.Start(conf)
		if err := bdat(t.Context(), w, append(slices.Clone(to), "b@good.test"), []byte("Subject: x\r\n\r\nx\r\n")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		slices.Sort(to)
		if got := told(w); len(got) != 1 || !slices.Equal(got[0], to) {
			t.Errorf("the sender was told of %v", got)
		}
		log, err := w.MailLog()
		if n := bytes.Count([]byte(log), []byte(`"type":"Bounce"`)); err != nil || n != len(to) {
			t.Errorf("%d records of failures, %v", n, err)
		}
	})
}

// TestOneDSNWaitsNoLonger has one host of them hang: the sender hears of the others
// within the minute, and of that one when its time has come.
func TestOneDSNWaitsNoLonger(t *testing.T) {
	crowd(t, 10, func(t *testing.T, w *relaytest.World, conf string, to []string) {
		w.Receive("mx10.test", "203.0.114.10:25", "say:rcpt=550_5.1.1_no", "wait:rcpt=90s")
		w.Start(conf)
		if err := bdat(t.Context(), w, to, []byte("Subject: x\r\n\r\nx\r\n")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Second)
		synctest.Wait()
		if got := told(w); len(got) != 0 {
			t.Errorf("told at once of %v", got)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if got := told(w); len(got) != 1 || len(got[0]) != 9 {
			t.Errorf("told of %v", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := told(w); len(got) != 2 || len(got[1]) != 1 {
			t.Errorf("told of %v", got)
		}
	})
}

// TestOwedDSNSurvives cuts the power, or stops the relay, while failures wait for
// others: what is owed is told after the restart, once, and nobody is tried again
// whose failure was settled. Broken by a State without RecipientState.Owed.
func TestOwedDSNSurvives(t *testing.T) {
	for name, end := range map[string]func(w *relaytest.World){
		"crash": func(w *relaytest.World) { w.Crash(0) },
		"stop": func(w *relaytest.World) {
			if err := w.Stop(); err != nil {
				panic(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			crowd(t, 10, func(t *testing.T, w *relaytest.World, conf string, to []string) {
				w.Receive("mx10.test", "203.0.114.10:25", "say:rcpt=550_5.1.1_no", "wait:rcpt=20s")
				w.Start(conf)
				if err := bdat(t.Context(), w, to, []byte("Subject: x\r\n\r\nx\r\n")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second)
				end(w)
				w.Start(conf)
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				seen := map[string]int{}
				for _, of := range told(w) {
					for _, r := range of {
						seen[r]++
					}
				}
				for _, r := range to {
					if seen[r] != 1 {
						t.Errorf("the sender heard %d times of %s", seen[r], r)
					}
				}
				log, err := w.MailLog()
				if n := bytes.Count([]byte(log), []byte(`"type":"Bounce"`)); err != nil || n != len(to) {
					t.Errorf("%d records of failures, %v", n, err)
				}
				if n := len(told(w)); n > 2 {
					t.Errorf("%d DSNs", n)
				}
			})
		})
	}
}
