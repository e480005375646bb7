//go:build interop

package bounce

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"testing"
)

// reads is a reader of DSNs as scripts have it: the standard library's, strict
// about what it was given.
const reads = `
import email, email.policy, sys
for name in sys.argv[1:]:
    with open(name, 'rb') as f:
        m = email.message_from_binary_file(f, policy=email.policy.default)
    assert m.get_content_type() == 'multipart/report', name
    assert m['Auto-Submitted'] and m['Date'].datetime and m['Message-ID'] and m['From'].addresses, name
    parts = list(m.iter_parts())
    assert 2 <= len(parts) <= 3, name
    assert parts[0].get_content_type() == 'text/plain' and parts[0].get_content().strip(), name
    assert parts[1].get_content_type() in ('message/delivery-status', 'message/global-delivery-status'), name
    assert 'message/' + m.get_param('report-type') == parts[1].get_content_type(), name
    if parts[1].get_content_type() == 'message/delivery-status':
        blocks = parts[1].get_payload()
        assert blocks[0]['Reporting-MTA'].startswith('dns; '), name
        assert len(blocks) >= 2, name
        for b in blocks[1:]:
            assert b['Final-Recipient'] and b['Action'] and b['Status'], name
            assert b['Action'] in ('failed', 'delayed', 'delivered', 'relayed', 'expanded'), name
            assert b['Status'].split('.')[0] in '245', name
    if parts[-1].get_content_maintype() == 'message' and parts[-1]['Content-Transfer-Encoding'] == 'quoted-printable':
        parts.pop() # it looks for header fields without decoding (RFC 6533 section 6.3)
    for p in [m] + [q for p in parts for q in p.walk()]:
        assert not p.defects, (name, p.get_content_type(), p.defects)
    print(name, 'ok')
`

// TestPython has Python's email package read every golden DSN.
func TestPython(t *testing.T) {
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no DSNs: %v", err)
	}
	out, err := exec.CommandContext(t.Context(), "python3", append([]string{"-c", reads}, files...)...).CombinedOutput()
	if n := bytes.Count(out, []byte(" ok\n")); err != nil || n != len(files) {
		t.Errorf("%d of %d are understood: %v\n%s", n, len(files), err, out)
	}
}
