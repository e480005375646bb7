//go:build interop

package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestInteropPackage builds the Debian package, installs it with dpkg into a root
// of its own, runs what it brought as the user that it made, reloads and stops it
// as systemd would, upgrades, removes and purges it. Mail outlives all that.
func TestInteropPackage(t *testing.T) {
	bin := binary(t)
	root := scratchRoot(t, bin)
	deb := buildDeb(t, bin, "1.0")

	if out := dpkg(t, root, "--install", deb); strings.Contains(out, "nothing is started") {
		t.Errorf("the package's own configuration is not usable: %s", out)
	}
	if got := sh(t, root, "stat -c '%U:%G %a' /etc/tenma /etc/tenma/tenma.toml /var/lib/tenma | tr '\\n' ' '"); got != "root:tenma 750 root:tenma 640 tenma:tenma 750 " {
		t.Errorf("owners and modes: %s", got)
	}
	for _, f := range []string{"/lib/systemd/system/tenma.service", "/usr/share/tenma/prometheus/tenma.rules.yml", "/usr/share/tenma/grafana/tenma.json", "/usr/share/man/man8/tenma.8.gz"} {
		if _, err := os.Stat(filepath.Join(root, f)); err != nil {
			t.Error(err)
		}
	}
	own := filepath.Join(root, "etc/tenma/tenma.toml")
	smtp, http := freePort(t, "127.0.0.1"), freePort(t, "127.0.0.1")
	text := strings.NewReplacer("127.0.0.1:2525", smtp, "127.0.0.1:2580", http).Replace(read(t, own))
	if err := os.WriteFile(own, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	serveInstalled(t, root, smtp, http)

	// An upgrade keeps what the operator wrote, even what is wrong with it.
	if err := os.WriteFile(own, []byte("data_dir = \"/var/lib/tenma\"\nnonsense = 1\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	out := dpkg(t, root, "--force-confold", "--install", buildDeb(t, bin, "1.1"))
	if !strings.Contains(out, "nothing is started or restarted") || !strings.Contains(out, "nonsense") {
		t.Errorf("an upgrade onto a configuration with mistakes says: %s", out)
	}
	if !strings.Contains(read(t, own), "nonsense") {
		t.Error("the upgrade has put another configuration in place")
	}

	dpkg(t, root, "--remove", "tenma")
	if _, err := os.Stat(own); err != nil {
		t.Errorf("removal has taken the configuration: %v", err)
	}
	out = dpkg(t, root, "--purge", "tenma")
	if _, err := os.Stat(filepath.Join(root, "var/lib/tenma/spool")); err != nil || !strings.Contains(out, "stay in /var/lib/tenma") {
		t.Errorf("purging has taken the mail, or does not say where it is: %v, %s", err, out)
	}
	if _, err := os.Stat(own); err == nil {
		t.Error("purging has left the configuration")
	}
	t.Setenv("TENMA_PURGE", "yes")
	dpkg(t, root, "--install", deb)
	dpkg(t, root, "--purge", "tenma")
	if _, err := os.Stat(filepath.Join(root, "var/lib/tenma")); err == nil {
		t.Error("TENMA_PURGE=yes has left the data")
	}
	if got := sh(t, root, "getent passwd tenma || echo gone"); got != "gone\n" {
		t.Errorf("TENMA_PURGE=yes has left the user: %s", got)
	}
}

// serveInstalled runs the installed relay as the unit does: as its user, in its
// directory, with a socket to tell; then reloads it and stops it.
func serveInstalled(t *testing.T, root, smtp, web string) {
	t.Helper()
	unit := read(t, filepath.Join(root, "lib/systemd/system/tenma.service"))
	m := regexp.MustCompile(`(?m)^ExecStart=(.*)$`).FindStringSubmatch(unit)
	if m == nil || !strings.Contains(unit, "\nUser=tenma\n") {
		t.Fatalf("the unit starts nothing as tenma:\n%s", unit)
	}
	const inside = "/var/lib/tenma/notify"
	socket, told := listenNotify(t, filepath.Join(root, inside))
	defer socket.Close()
	sh(t, root, "chown tenma "+inside)
	cmd := exec.Command("chroot", "--userspec=tenma:tenma", root, "/bin/sh", "-c", "cd /var/lib/tenma && umask 077 && exec "+m[1])
	cmd.Env = []string{"PATH=/usr/bin:/bin", "NOTIFY_SOCKET=" + inside, "GOMEMLIMIT=1GiB"}
	out := newTranscript("\x00")
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	hears := func(want string) {
		t.Helper()
		select {
		case got := <-told:
			if !strings.HasPrefix(got, want+"\n") {
				t.Errorf("the service manager heard %q, want %s", got, want)
			}
		case <-time.After(patience):
			t.Fatalf("the service manager never heard %s: %s", want, out)
		}
	}
	hears("READY=1")
	r, err := http.Get("http://" + web + "/readyz")
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("ready, but not: %v, %v", r, err)
	}
	r.Body.Close()
	v, err := converse(smtp)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.send("a@src.test", "b@nowhere.test", "Subject: installed\r\n\r\ntext"); err != nil {
		t.Error(err)
	}
	v.Close()
	cmd.Process.Signal(syscall.SIGHUP)
	hears("RELOADING=1")
	hears("READY=1")
	cmd.Process.Signal(syscall.SIGTERM)
	hears("STOPPING=1")
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v: %s", err, out)
	}
	if got := sh(t, root, "stat -c '%U %a' /var/lib/tenma/spool"); !strings.HasPrefix(got, "tenma 7") || strings.TrimSpace(got)[len("tenma 7"):] != "00" {
		t.Errorf("the spool is of %s", got)
	}
}

// TestInteropUnit has systemd read the unit, and holds its rating.
func TestInteropUnit(t *testing.T) {
	text := strings.ReplaceAll(read(t, "../../deploy/systemd/tenma.service"), "/usr/bin/tenma", "/bin/true")
	text = strings.ReplaceAll(text, "man:tenma(8) ", "") // not installed here
	unit := filepath.Join(t.TempDir(), "tenma.service")
	if err := os.WriteFile(unit, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", "verify", unit).CombinedOutput()
	if err != nil || strings.Contains(string(out), "tenma.service:") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// 0 is locked up, 10 open to all; 1.6 with what a mail server needs: the
	// network, its ports, other hosts.
	out, err = exec.Command("systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=17", unit).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
	t.Logf("%s", out[max(0, strings.LastIndex(string(out), "Overall")):])
}

// TestInteropSystemCalls runs the relay under strace, with mail and a reload, and
// finds no system call that the unit's filter refuses but those whose refusal does
// no harm.
func TestInteropSystemCalls(t *testing.T) {
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace")
	http := freePort(t, "127.0.0.1")
	r := startRelay(t, binary(t), dir, freePort(t, "127.0.0.1"), fmt.Sprintf("[[listen]]\nprotocol = \"http\"\naddress = %q\n", http), "strace", "-f", "-qq", "-e", "signal=none", "-o", trace)
	v, err := converse(r.smtp)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := v.send("a@src.test", "b@nowhere.test", "Subject: traced\r\n\r\ntext"); err != nil {
			t.Fatal(err)
		}
	}
	v.Close()
	scrape(t, http)
	syscall.Kill(-r.cmd.Process.Pid, syscall.SIGHUP)
	r.term()

	allowed := map[string]bool{}
	set := func(name string, to bool) {
		out, err := exec.Command("systemd-analyze", "syscall-filter", "--no-pager", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		calls(t, string(out), to, allowed)
	}
	filters := regexp.MustCompile(`(?m)^SystemCallFilter=(~?)(.*)$`).FindAllStringSubmatch(read(t, "../../deploy/systemd/tenma.service"), -1)
	for _, f := range filters {
		for name := range strings.FieldsSeq(f[2]) {
			set(name, f[1] == "")
		}
	}
	// Raising the soft limit of descriptors, which the unit has done already.
	harmless := []string{"prlimit64", "setrlimit"}
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\d+ +([a-z_0-9]+)\(`).FindAllStringSubmatch(read(t, trace), -1) {
		if !seen[m[1]] && !allowed[m[1]] && !slices.Contains(harmless, m[1]) {
			t.Errorf("the unit refuses %s", m[1])
		}
		seen[m[1]] = true
	}
	// MemoryDenyWriteExecute.
	if m := regexp.MustCompile(`.*(PROT_WRITE\|PROT_EXEC|mprotect\(.*PROT_EXEC).*`).FindString(read(t, trace)); m != "" {
		t.Errorf("the unit refuses %s", m)
	}
	if len(seen) < 30 || len(filters) != 2 {
		t.Errorf("only %d system calls seen, %d filters", len(seen), len(filters))
	}
}

// calls notes the system calls that a set of systemd's lists, and those of the sets
// in it.
func calls(t *testing.T, listing string, to bool, into map[string]bool) {
	t.Helper()
	for line := range strings.Lines(listing) {
		name := strings.TrimSpace(line)
		switch {
		case !strings.HasPrefix(line, " ") || strings.HasPrefix(name, "#"):
		case strings.HasPrefix(name, "@"):
			out, err := exec.Command("systemd-analyze", "syscall-filter", "--no-pager", name).Output()
			if err != nil {
				t.Fatal(err)
			}
			calls(t, string(out), to, into)
		default:
			into[name] = to
		}
	}
}
