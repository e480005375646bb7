//go:build interop

package relay_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOpenDKIM asks Debian's opendkim about every signature of TestSignatureSurvives.
func TestInteropOpenDKIM(t *testing.T) {
	program, err := exec.LookPath("opendkim")
	if err != nil {
		t.Fatal("opendkim is needed: ", err)
	}
	all, records := survivors(t, specimens(t))
	dir := t.TempDir()
	var keys strings.Builder
	for name, record := range records {
		fmt.Fprintf(&keys, "%s %s\n", name, record[0])
	}
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	conf := write("opendkim.conf", fmt.Appendf(nil, "TestPublicKeys %s\nMode v\nBackground no\n", write("keys", []byte(keys.String()))))
	good, unread := 0, 0
	for i, s := range all {
		if head, _, _ := strings.Cut(strings.ToLower(string(s.data)), "\r\n\r\n"); s.name == "no body" || !strings.Contains(head, "\nfrom:") {
			unread++ // it wants an empty line, and From (RFC 6376 section 5.4)
			continue
		}
		file := write(fmt.Sprintf("%d.eml", i), s.data)
		out, err := exec.CommandContext(t.Context(), program, "-x", conf, "-t", file).CombinedOutput()
		// It knows RSA for sure and Ed25519 by the way that it was built; the last
		// signature is the first of the header.
		if strings.Contains(string(out), "header malformed") || strings.Contains(string(out), "too large") {
			unread++
			continue
		}
		if err != nil || !strings.Contains(string(out), "succeeded") {
			t.Errorf("%s through %s: %v: %s", s.name, s.hop, err, out)
			continue
		}
		good++
	}
	t.Logf("%d signatures are good, %d messages it cannot read", good, unread)
	if good < 200 {
		t.Errorf("only %d signatures were looked at", good)
	}
}
