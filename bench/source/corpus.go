package source

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

// letter is one file of a Corpus.
type letter struct {
	plain   []byte
	stuffed []byte // for DATA: dots doubled; plain where there are none
	eight   bool   // has octets above 127
}

// readCorpus reads the .eml files below a folder.
func readCorpus(dir string) ([]letter, error) {
	var all []letter
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
			all = append(all, newLetter(b))
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

// letter is the file that message n is made of.
func (s *Source) letter(n uint32) *letter {
	return &s.corpus[mix(s.cfg.Seed, streamSize, n)%uint64(len(s.corpus))]
}

// newLetter makes line ends CRLF and takes out the fields that each message of
// a load gets anew.
func newLetter(b []byte) letter {
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	b = bytes.ReplaceAll(b, []byte("\r"), []byte("\n"))
	var l letter
	header, drop, dots := true, false, false
	for line := range bytes.Lines(b) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		if header {
			if folded := len(line) > 0 && (line[0] == ' ' || line[0] == '\t'); !folded {
				drop = ours(line)
			}
			header = len(line) > 0
			if drop {
				continue
			}
		}
		dots = dots || len(line) > 0 && line[0] == '.'
		l.plain = append(append(l.plain, line...), "\r\n"...)
	}
	if l.stuffed = l.plain; dots { // RFC 5321 section 4.5.2
		l.stuffed = bytes.ReplaceAll(append([]byte("\r\n"), l.plain...), []byte("\r\n."), []byte("\r\n.."))[2:]
	}
	for _, c := range l.plain {
		l.eight = l.eight || c >= 0x80
	}
	return l
}

// ours reports whether a header line begins a field that the source writes.
func ours(line []byte) bool {
	name, _, ok := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	return ok && (bytes.EqualFold(name, []byte("Message-ID")) || bytes.EqualFold(name, []byte(load.Field)))
}
