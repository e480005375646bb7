package peer

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The test binary is the mail server of its own tests: it greets, and that is
// all.
func TestMain(m *testing.M) {
	if addr := os.Getenv("TENMA_TEST_GREET"); addr != "" {
		greet(addr)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func greet(addr string) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		fmt.Fprint(c, "220 ready\r\n")
		bufio.NewReader(c).ReadSlice('\n')
		c.Close()
	}
}

const greeter = `# A server that greets. NEEDS nothing.
INPUT=127.0.0.1:$PORT
SPOOL=$RUN/spool
mta_version() { echo 1.2.3; }
mta_config() { mkdir -p $SPOOL; env > $RUN/env; }
mta_start() { TENMA_TEST_GREET=$INPUT setsid $TENMA > $RUN/out.log 2>&1 < /dev/null & }
mta_stop() { :; }
mta_kick() { echo kicked > $RUN/kicked; }
`

func TestServer(t *testing.T) {
	for _, p := range []string{"bash", "setsid"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skip(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run := filepath.Join(t.TempDir(), "run")
	if err := os.MkdirAll(filepath.Join(run, "old"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := New(Driver{Name: "greeter", Script: greeter}, Setup{
		Run: run, Tenma: self, Route: "smarthost", Sink: "127.0.0.1:2525", Retry: 30 * time.Second, Extra: []string{"a = b", "c = d"},
	}, newTree())
	ctx := context.Background()
	version, err := s.Prepare(ctx)
	if err != nil || version != "1.2.3" || s.Spool() != filepath.Join(run, "spool") {
		t.Fatalf("version %q, spool %q: %v", version, s.Spool(), err)
	}
	if _, err := os.Stat(filepath.Join(run, "old")); err == nil {
		t.Error("the folder was not emptied")
	}
	env, err := os.ReadFile(filepath.Join(run, "env"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"SINK_HOST=127.0.0.1\n", "SINK_PORT=2525\n", "RETRY=30\n", "EXTRA=a = b\nc = d\n", "TLS_IN=\n", "CONNECTIONS=\n"} {
		if !strings.Contains(string(env), want) {
			t.Errorf("no %q in the driver's environment", want)
		}
	}
	for range 2 { // as in a restart
		if _, err := s.Start(ctx); err != nil {
			t.Fatal(err)
		}
		pids, err := s.Processes()
		if err != nil || len(pids) != 1 {
			t.Fatalf("processes %v: %v", pids, err)
		}
		u, err := s.Usage()
		if err != nil || u.Processes != 1 || u.RSS < 1<<20 {
			t.Errorf("%+v, %v", u, err)
		}
		if err := s.Kick(ctx); err != nil {
			t.Error(err)
		}
		if err := s.Kill(); err != nil {
			t.Error(err)
		}
		if err := greets(ctx, s.Input()); err == nil {
			t.Error("it greets after its death")
		}
	}
	if _, err := os.Stat(filepath.Join(run, "kicked")); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// What a server says when it does not start is in the error.
func TestServerErrors(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip(err)
	}
	for _, c := range []struct{ script, want string }{
		{"INPUT=a; SPOOL=b; mta_version() { :; }; mta_config() { :; }", "does not tell its version"},
		{"INPUT=a; SPOOL=b; mta_version() { echo 1; }; mta_config() { echo no such program >&2; false; }", "no such program"},
		{"INPUT=a; SPOOL=b; mta_version() { echo 1; }; mta_config() { :; }; mta_start() { echo the port is taken; exit 3; }", "the port is taken"},
	} {
		s := New(Driver{Name: "x", Script: c.script}, Setup{Run: filepath.Join(t.TempDir(), "run"), Sink: "127.0.0.1:1"}, newTree())
		_, err := s.Prepare(context.Background())
		if err == nil {
			_, err = s.Start(context.Background())
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

func TestFind(t *testing.T) {
	for _, d := range List() {
		if d.About() == "" || !strings.Contains(d.Script, "mta_kick") {
			t.Errorf("driver %s says of itself %q", d.Name, d.About())
		}
		if _, err := exec.LookPath("bash"); err == nil {
			if out, err := exec.Command("bash", "-n", "-c", d.Script).CombinedOutput(); err != nil {
				t.Errorf("driver %s: %v %s", d.Name, err, out)
			}
		}
		if needs := []string{"postfix", "exim", "opensmtpd"}; d.Root() != slices.Contains(needs, d.Name) {
			t.Errorf("driver %s: needs root: %v", d.Name, d.Root())
		}
	}
	if len(List()) != len(names()) {
		t.Errorf("%d drivers, %d names", len(List()), len(names()))
	}
	if d, err := Find("tenma-nosync"); err != nil || d.Variant != "nosync" {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := Find("sendmail"); err == nil || !strings.Contains(err.Error(), "postfix") {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "mine.sh")
	if _, err := Find(file); err == nil {
		t.Error("a driver that does not exist was found")
	}
	if err := os.WriteFile(file, []byte("#!/bin/bash\n# Mine.\nINPUT=x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := Find(file); err != nil || d.Name != "mine" || d.About() != "Mine." {
		t.Errorf("%+v %q, %v", d, d.About(), err)
	}
	if d, err := Find("tenma:" + file); err != nil || d.Tenma != file || d.Name != "tenma:mine.sh" {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := Find("tenma:/nowhere/tenma"); err == nil {
		t.Error("a binary that does not exist was found")
	}
}

func TestHierarchy(t *testing.T) {
	for mounts, want := range map[string]string{
		"": "",
		"cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n": "/sys/fs/cgroup/unified",
		"cgroup2 /sys/fs/my\\040cgroup cgroup2 rw 0 0":                                                 "/sys/fs/my cgroup",
		"cgroup2": "",
	} {
		if got := hierarchy(mounts); got != want {
			t.Errorf("%q: %q", mounts, got)
		}
	}
}

func TestStatMicros(t *testing.T) {
	const stat = "usage_usec 30\nuser_usec 1500000\nsystem_usec 250\n"
	if u, s := statMicros(stat, "user_usec"), statMicros(stat, "system_usec"); u != 1500*time.Millisecond || s != 250*time.Microsecond {
		t.Error(u, s)
	}
	if got := pss("55e-7ff ---p 00000000 00:00 0 [rollup]\nRss:  900 kB\nPss:  12 kB\nPss_Dirty: 4 kB\n"); got != 12<<10 {
		t.Error(got)
	}
}

func TestDescendants(t *testing.T) {
	all := []process{{id: 5, parent: 4}, {id: 2, parent: 1}, {id: 4, parent: 2}, {id: 3, parent: 1}, {id: 9, parent: 8}, {id: 8, parent: 9}}
	var ids []int
	for _, p := range descendants(2, all) {
		ids = append(ids, p.id)
	}
	if slices.Sort(ids); !slices.Equal(ids, []int{4, 5}) {
		t.Error(ids)
	}
}

// A program's name may hold anything, and /proc does not quote it.
func FuzzParseStat(f *testing.F) {
	f.Add("12 (a b) S 3 12 12 0 -1 4194304 100 200 0 0 7 8 9 10 20 0 1 0 5 6 7")
	f.Add("12 (a) R 1 (b) Z 3 12 12 0 -1 4194304 100 200 0 0 7 8 9 10 20 0 1 0 5 6 7")
	f.Add("12 )(")
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := parseStat(text)
		if !ok && p != (process{}) {
			t.Errorf("%q: %+v", text, p)
		}
	})
}

func TestParseStat(t *testing.T) {
	p, ok := parseStat("12 (a) R 1 (b) Z 3 12 12 0 -1 4194304 100 200 0 0 7 8 9 10 20 0 1 0 5 6 7")
	if want := (process{id: 12, parent: 3, zombie: true, user: 160 * time.Millisecond, system: 180 * time.Millisecond}); !ok || p != want {
		t.Errorf("%+v %v", p, ok)
	}
}

// A driver says why its server cannot do what is asked for, and that alone is the
// reason.
func TestCannot(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip(err)
	}
	script := strings.Replace(greeter, "mta_config() {", "mta_config() { [ $KIND != backlog ] || { echo no way >&2; exit 3; };", 1)
	s := New(Driver{Name: "x", Script: script}, Setup{Run: filepath.Join(t.TempDir(), "x"), Sink: "127.0.0.1:1", Kind: "backlog"}, newTree())
	if _, err := s.Prepare(t.Context()); err == nil || err.Error() != "cannot: no way" {
		t.Errorf("%v", err)
	}
}
