package letter

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tenma/bench/load"
)

// maxCorpus bounds what a Corpus may hold in memory, in octets.
const maxCorpus = 1 << 30

// file is one file of a Corpus.
type file struct {
	text  []byte
	eight bool // has octets above 127
}

// readCorpus reads the .eml files below a folder.
func readCorpus(dir string, stuffed bool) ([]file, error) {
	var all []file
	total := int64(0)
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.EqualFold(filepath.Ext(path), ".eml") {
			return err
		}
		info, err := d.Info()
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		if total += info.Size(); total > maxCorpus {
			return fmt.Errorf("the messages are larger than 1 GiB together")
		}
		b, err := os.ReadFile(filepath.Join(dir, path))
		if err == nil {
			all = append(all, newFile(b, stuffed))
		}
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the corpus: %w", err)
	case len(all) == 0:
		return nil, fmt.Errorf("reading the corpus: no .eml file in %s", dir)
	}
	return all, nil
}

// file is the file that message n is made of.
func (s *Set) file(n uint32) *file {
	return &s.files[mix(s.cfg.Seed, streamSize, n)%uint64(len(s.files))]
}

// newFile makes line ends CRLF and takes out the fields that each message of a
// load gets anew. Dots are doubled for DATA (RFC 5321 section 4.5.2).
func newFile(b []byte, stuffed bool) file {
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	b = bytes.ReplaceAll(b, []byte("\r"), []byte("\n"))
	var f file
	header, drop := true, false
	for line := range bytes.Lines(b) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		if header {
			if folded := len(line) > 0 && (line[0] == ' ' || line[0] == '\t'); !folded {
				drop = ours(line)
			}
			header = len(line) > 0
			if drop && header {
				continue
			}
		}
		if stuffed && len(line) > 0 && line[0] == '.' {
			f.text = append(f.text, '.')
		}
		f.text = append(append(f.text, line...), "\r\n"...)
	}
	for _, c := range f.text {
		f.eight = f.eight || c >= 0x80
	}
	return f
}

// ours reports whether a header line begins a field that the source writes.
func ours(line []byte) bool {
	name, _, ok := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	return ok && (bytes.EqualFold(name, []byte("Message-ID")) || bytes.EqualFold(name, []byte(load.Field)))
}
