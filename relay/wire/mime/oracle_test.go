package mime

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-message"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden file anew")

// Of messages that are not broken, another reader of MIME finds the same parts
// with the same contents.
func TestAgainstGoMessage(t *testing.T) {
	// Their headers have lines that are no fields, at which it gives up.
	without := []string{"multipart-digest.txt", "issue358.txt", "feedback-report.txt"}
	compared := 0
	for name, msg := range messages(t) {
		t.Run(name, func(t *testing.T) {
			e, err := message.Read(bytes.NewReader(msg))
			if e == nil { // other errors are of charsets that it does not know
				if !slices.Contains(without, name) {
					t.Error(err)
				}
				return
			}
			compared += compare(t, parse(t, msg), e, msg)
		})
	}
	if compared < 50 {
		t.Errorf("only %d parts were compared", compared)
	}
}

func compare(t *testing.T, p *Part, e *message.Entity, msg []byte) (parts int) {
	typ, params, err := e.Header.ContentType()
	if err == nil && !strings.EqualFold(typ, p.Type+"/"+p.Subtype) {
		if strings.Contains(typ, "/") && e.Header.Has("Content-Type") { // the default in digests is not known to it
			t.Errorf("%s/%s, want %s", p.Type, p.Subtype, typ)
		}
		return 0
	}
	if file := params["name"]; file != "" && p.Param("name") == file && p.Disposition == "" && p.Filename() != file {
		t.Errorf("name %q, want %q", p.Filename(), file)
	}
	if mr := e.MultipartReader(); mr != nil {
		for i := 0; ; i++ {
			part, err := mr.NextPart()
			if err != nil {
				if errors.Is(err, io.EOF) && i != len(p.Children) && i > 0 {
					t.Errorf("%d parts, want %d", len(p.Children), i)
				}
				return parts + 1 // or it gives up on what is broken
			}
			if i < len(p.Children) {
				parts += compare(t, p.Children[i], part, msg)
			}
		}
	}
	want, err := io.ReadAll(e.Body)
	if err != nil {
		return parts // what it cannot read
	}
	r, _ := DecodeTransfer(bytes.NewReader(msg[p.Body.Start:p.Body.End]), p.Encoding)
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(unix(got), unix(want)) {
		t.Errorf("%s: %q (%v), want %q", typ, got, err, want)
	}
	return parts + 1
}

func unix(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }

// TestGolden keeps the trees of all messages as they were once looked at.
func TestGolden(t *testing.T) {
	const file = "testdata/trees.txt"
	var b strings.Builder
	all := messages(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "-- %s --\n", name)
		write(&b, parse(t, all[name]), "")
	}
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Error(d)
	}
}

func write(b *strings.Builder, p *Part, indent string) {
	fmt.Fprintf(b, "%s%s/%s %s %s header %d+%d body %d+%d lines %d", indent, p.Type, p.Subtype, params(p.Params), p.Encoding,
		p.Header.Start, p.Header.Len(), p.Body.Start, p.Body.Len(), p.Lines)
	if p.Disposition != "" {
		fmt.Fprintf(b, " %s %s", p.Disposition, params(p.DispositionParams))
	}
	b.WriteByte('\n')
	if e := p.Envelope; e != nil {
		fmt.Fprintf(b, "%s  date %s subject %s from %s to %s id %s\n", indent, deref(e.Date), deref(e.Subject), show(e.From), show(e.To), deref(e.MessageID))
	}
	for _, c := range p.Children {
		write(b, c, indent+"  ")
	}
}

func deref(s *string) string {
	if s == nil {
		return "NIL"
	}
	return fmt.Sprintf("%q", *s)
}
