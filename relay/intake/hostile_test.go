package intake

import (
	"io"
	"strings"
	"testing"

	"tenma/spool"
)

// A large text whose first line is no header field has no header section that
// could be too long.
func TestLargeWithoutHeader(t *testing.T) {
	s, f, _ := rig(Config{})
	text := strings.Repeat("Just text\r\n", spool.MaxInline/11+1)
	e := envelope()
	accept(t, s, e, text)
	if len(f.drafts) != 1 || f.drafts[0].Staged == nil || f.stages[0].String() != text {
		t.Errorf("%d drafts", len(f.drafts))
	}
	if !strings.HasSuffix(string(e.Prefix), "\r\n\r\n") {
		t.Errorf("prefix %q runs into the text", e.Prefix)
	}
}

// While a large body arrives it holds the memory of the stage's chunk, not the
// buffer of its beginning as well.
func TestStagedBodyHoldsOneChunk(t *testing.T) {
	s, _, _ := rig(Config{})
	r := s.begin(t.Context(), envelope())
	defer r.release()
	text := "A: b\r\n\r\n" + strings.Repeat("x", 2*spool.MaxInline)
	if _, err := io.WriteString(r, text); err != nil || r.err != nil {
		t.Fatal(err, r.err)
	}
	if r.stage == nil || cap(r.buf) != 0 || r.charged != spool.MaxInline {
		t.Errorf("buffer of %d octets, %d charged", cap(r.buf), r.charged)
	}
}
