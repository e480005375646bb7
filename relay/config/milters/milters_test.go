package milters

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tenma/relay/config/document"
	"tenma/relay/ingress"
	"tenma/relay/policy/milter"
)

func read(t *testing.T, text string) (milter.Config, document.Errors) {
	t.Helper()
	root, p := document.Parse("t.toml", []byte(text))
	if p != nil {
		t.Fatal(p)
	}
	r := document.NewReader("t.toml")
	c := Read(r.Section("", root), "mx.test", []ingress.Listener{{Address: "127.0.0.1:25"}})
	return c, r.Errs
}

func TestRead(t *testing.T) {
	c, errs := read(t, `
[[milter]]
name = "rspamd"
address = "inet:[::1]:11332"
for = "strangers"
default = "accept"
listeners = ["127.0.0.1:25"]
connect_timeout = "1s"
command_timeout = "2s"
end_timeout = "30s"
max_size = "25MiB"
max_connections = 10
max_headers = 5
max_header_size = "1KiB"
[[milter]]
name = "clamav"
address = "unix:/run/clamav/clamav-milter.ctl"
`)
	want := milter.Config{Hostname: "mx.test", Filters: []milter.Filter{
		{
			Name: "rspamd", Network: "tcp", Address: "[::1]:11332", For: milter.Strangers, Default: milter.Take, Listeners: []string{"127.0.0.1:25"},
			Connect: time.Second, Command: 2 * time.Second, End: 30 * time.Second, MaxSize: 25 << 20, MaxConnections: 10, MaxHeaders: 5, MaxHeaderSize: 1024,
		},
		{Name: "clamav", Network: "unix", Address: "/run/clamav/clamav-milter.ctl"},
	}}
	if diff := cmp.Diff(want, c); diff != "" || len(errs) != 0 {
		t.Errorf("%v\n%s", errs, diff)
	}
}

// Each filter has its own series in the metrics, so there are not many.
func TestTooMany(t *testing.T) {
	var b strings.Builder
	for i := range maxMilters + 2 {
		b.WriteString("[[milter]]\nname = \"m" + string(rune('a'+i)) + "\"\naddress = \"unix:/m\"\n")
	}
	if _, errs := read(t, b.String()); len(errs) != 1 || !strings.Contains(errs[0].Text, "more than 16") {
		t.Error(errs)
	}
}
