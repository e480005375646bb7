package service

import (
	"bytes"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestManager(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := func() string {
		b := make([]byte, 1000)
		n, err := l.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	m := Find(env("NOTIFY_SOCKET", path), slog.New(slog.DiscardHandler))
	m.Ready()
	if got := heard(); got != "READY=1\nSTATUS=relaying mail" {
		t.Errorf("%q", got)
	}
	m.Reloading()
	if got := heard(); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") || runtime.GOOS == "linux" && strings.Contains(got, "USEC=0\n") {
		t.Errorf("%q", got)
	}
	m.Stopping()
	if got := heard(); !strings.HasPrefix(got, "STOPPING=1\n") {
		t.Errorf("%q", got)
	}
}

// A manager that is not there is none of the relay's business; one that does not
// listen is in the log.
func TestNoManager(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(&b, nil))
	Find(env(), log).Ready()
	Manager{}.Stopping()
	if b.Len() > 0 {
		t.Errorf("%s", &b)
	}
	Find(env("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody")), log).Ready()
	if !strings.Contains(b.String(), "cannot be told") {
		t.Errorf("%s", &b)
	}
}

func TestLimitMemory(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	const gib = 1 << 30
	for name, c := range map[string]struct {
		root fstest.MapFS
		env  []string
		want int64
	}{
		"a service with MemoryMax": {root: fstest.MapFS{
			"proc/self/cgroup": file("0::/system.slice/tenma.service\n"),
			"sys/fs/cgroup/system.slice/tenma.service/memory.max":  file("4294967296\n"),
			"sys/fs/cgroup/system.slice/tenma.service/memory.high": file("max\n"),
		}, want: 3 * gib},
		"a narrower slice around it": {root: fstest.MapFS{
			"proc/self/cgroup": file("0::/mail.slice/tenma.service\n"),
			"sys/fs/cgroup/mail.slice/tenma.service/memory.max": file("4294967296\n"),
			"sys/fs/cgroup/mail.slice/memory.max":               file("2147483648\n"),
		}, want: gib * 3 / 2},
		"MemoryHigh comes first": {root: fstest.MapFS{
			"proc/self/cgroup":           file("0::/x\n"),
			"sys/fs/cgroup/x/memory.max": file("4294967296\n"), "sys/fs/cgroup/x/memory.high": file("1073741824\n"),
		}, want: gib * 3 / 4},
		"a container": {root: fstest.MapFS{
			"proc/self/cgroup": file("12:cpuset:/\n0::/\n"), "sys/fs/cgroup/memory.max": file("1073741824"),
		}, want: gib * 3 / 4},
		"a path from outside the namespace": {root: fstest.MapFS{
			"proc/self/cgroup": file("0::/../../x\n"), "sys/fs/cgroup/memory.max": file("1073741824"),
		}, want: gib * 3 / 4},
		"no limit":           {root: fstest.MapFS{"proc/self/cgroup": file("0::/x\n"), "sys/fs/cgroup/x/memory.max": file("max\n")}},
		"nonsense":           {root: fstest.MapFS{"proc/self/cgroup": file("0::/x\n"), "sys/fs/cgroup/x/memory.max": file("-5\n")}},
		"cgroup v1":          {root: fstest.MapFS{"proc/self/cgroup": file("4:memory:/x\n")}},
		"no Linux":           {root: fstest.MapFS{}},
		"the operator's":     {root: fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("1073741824")}, env: []string{"GOMEMLIMIT", "1GiB"}},
		"switched off by it": {root: fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("1073741824")}, env: []string{"GOMEMLIMIT", "off"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got int64
			var log bytes.Buffer
			LimitMemory(c.root, env(c.env...), func(n int64) int64 { got = n; return 0 }, slog.New(slog.NewTextHandler(&log, nil)))
			if got != c.want {
				t.Errorf("limit %d, want %d", got, c.want)
			}
			if said := log.Len() > 0; said != (c.want > 0 || c.env != nil) {
				t.Errorf("log: %s", &log)
			}
		})
	}
}
