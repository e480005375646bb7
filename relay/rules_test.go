package relay_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/config"
	"tenma/relay/relaytest"
)

// TestReloadRules: rules of one's own are in force from a reload on.
func TestReloadRules(t *testing.T) {
	promised(t, "", func(t *testing.T, w *relaytest.World, conf string) {
		w.Receive("mx.good.test", "203.0.113.2:25", "user:b=451_4.3.0_no_luck_today")
		w.Start(conf)
		text, err := os.ReadFile(conf)
		if err != nil {
			t.Fatal(err)
		}
		send(t, w, "a@src.test", "b@good.test", "C: Subject: x\nC:\nC: x\n")
		time.Sleep(time.Second)
		rules := filepath.Join(t.TempDir(), "rules.toml")
		own := "[[rule]]\nname = \"ours\"\nclass = \"QuotaIssues\"\nseverity = \"soft\"\naction = \"retry\"\ntext = [\"no luck\"]\n"
		if err := os.WriteFile(rules, []byte(own), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(conf, []byte(string(text)+"\n[bounce]\nrules = \""+rules+"\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, _, err := config.Load(conf)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Relay().Reload(c); err != nil {
			t.Fatal(err)
		}
		send(t, w, "a@src.test", "b@good.test", "C: Subject: y\nC:\nC: y\n")
		time.Sleep(time.Second)
		synctest.Wait()
		log, err := w.MailLog()
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(log, `"bounce_rule":"ours"`); n != 1 || strings.Count(log, `"type":"TransientFailure"`) != 2 {
			t.Errorf("%d of two failures by the new rule:\n%s", n, log)
		}
	})
}
