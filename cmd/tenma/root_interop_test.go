//go:build interop

package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// scratchRoot makes a root directory that dpkg can install the relay into: copies of
// the few programs that the package's scripts call, with their libraries.
func scratchRoot(t *testing.T, bin string) string {
	t.Helper()
	root := t.TempDir()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	must(os.Chmod(root, 0o755))
	for _, dir := range []string{"usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "dev", "tmp", "var/lib/dpkg/updates", "var/lib/dpkg/info", "var/lib/dpkg/triggers"} {
		must(os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	for _, link := range []string{"bin", "sbin", "lib", "lib64"} {
		must(os.Symlink("usr/"+link, filepath.Join(root, link)))
	}
	libraries := regexp.MustCompile(`/\S+`)
	files := map[string]bool{}
	for _, name := range []string{"sh", "getent", "useradd", "userdel", "chown", "chmod", "stat", "tr", "install", "rm", "rmdir", "setpriv", bin} {
		path, err := exec.LookPath(name)
		if err != nil {
			path = "/usr/sbin/" + name // which is not in everybody's PATH
		}
		out, _ := exec.Command("ldd", path).Output() // fails for a static one
		for _, l := range libraries.FindAllString(string(out), -1) {
			files[l] = true
		}
		if name != bin {
			files[path] = true
		}
	}
	for f := range files {
		text, err := os.ReadFile(f)
		must(err)
		to := filepath.Join(root, f)
		must(os.MkdirAll(filepath.Dir(to), 0o755))
		must(os.WriteFile(to, text, 0o755))
	}
	for name, text := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "etc/group": "root:x:0:\n", "etc/shadow": "root:*:19000::::::\n", "etc/gshadow": "root:*::\n",
		"dev/null": "", "var/lib/dpkg/status": "", "var/lib/dpkg/available": "",
	} {
		must(os.WriteFile(filepath.Join(root, name), []byte(text), 0o644))
	}
	return root
}

// dpkg runs it on a root, and gives what it says.
func dpkg(t *testing.T, root string, args ...string) string {
	t.Helper()
	// What it depends on is there, though this dpkg does not know.
	cmd := exec.Command("dpkg", append([]string{"--root=" + root, "--log=/dev/null", "--force-depends"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("dpkg %s: %v\n%s", args, err, out)
	}
	return string(out)
}

// sh runs a command line in a root, and gives what it prints.
func sh(t *testing.T, root, line string) string {
	t.Helper()
	out, err := exec.Command("chroot", root, "/bin/sh", "-c", line).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// buildDeb makes the package around a binary.
func buildDeb(t *testing.T, bin, version string) string {
	t.Helper()
	cmd := exec.Command("../../deploy/package/build", t.TempDir())
	cmd.Env = append(os.Environ(), "BINARY="+bin, "VERSION="+version, "COMPRESSION=none", "MAINTAINER=Tester <tester@example.org>")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	deb := strings.TrimSpace(string(out))
	if out, err := exec.Command("dpkg-deb", "--info", deb).CombinedOutput(); err != nil || !strings.Contains(string(out), "Version: "+version+"\n") {
		t.Fatalf("dpkg-deb: %v\n%s", err, out)
	}
	return deb
}

// listenNotify listens as systemd does.
func listenNotify(t *testing.T, path string) (*net.UnixConn, <-chan string) {
	t.Helper()
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 16)
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := l.Read(b)
			if err != nil {
				return
			}
			told <- string(b[:n])
		}
	}()
	return l, told
}

// scrape gives the metrics of a relay.
func scrape(t *testing.T, addr string) string {
	t.Helper()
	r, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatal(r.Status, err)
	}
	return string(text)
}
