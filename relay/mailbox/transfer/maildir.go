package transfer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tenma/relay/mailbox"
	"tenma/relay/wire/imap"
)

// keywordFile is where Dovecot keeps the names of a Maildir's keywords: "N name"
// lines, N being the letter of the flag from "a" on.
const keywordFile = "dovecot-keywords"

// ImportMaildir reads the Maildir dir, which is INBOX, and the folders in it
// (Maildir++). A directory without cur and new is an error.
func ImportMaildir(ctx context.Context, box *mailbox.Mailbox, dir fs.FS, o Options) (Result, error) {
	im := &importer{box: box, o: o}
	if !isMaildir(dir, ".") {
		return im.result, errors.New("not a Maildir: there is neither cur nor new")
	}
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return im.result, err
	}
	if err := im.maildir(ctx, dir, ".", "INBOX"); err != nil {
		return im.result, err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") || !e.IsDir() || !isMaildir(dir, e.Name()) {
			continue
		}
		err := mailbox.ErrName
		if name, ok := folderName(e.Name()[1:]); ok {
			err = im.maildir(ctx, dir, e.Name(), name)
		}
		if errors.Is(err, mailbox.ErrName) && o.Problem != nil {
			o.Problem(fmt.Errorf("%s: %w", e.Name(), err))
			continue
		}
		if err != nil {
			return im.result, err
		}
	}
	return im.result, nil
}

func isMaildir(dir fs.FS, at string) bool {
	for _, sub := range []string{"cur", "new"} {
		if info, err := fs.Stat(dir, path.Join(at, sub)); err == nil && info.IsDir() {
			return true
		}
	}
	return false
}

// folderName reads the name of a directory: levels of modified UTF-7 (RFC 3501
// section 5.1.3) between dots. Dots in a level are encoded as well.
func folderName(s string) (string, bool) {
	var levels []string
	for level := range strings.SplitSeq(s, ".") {
		plain, err := imap.DecodeName(strings.ReplaceAll(level, dot, "\x00"))
		plain = strings.ReplaceAll(plain, "\x00", ".")
		if err != nil || plain == "" || strings.Contains(plain, "/") || !utf8.ValidString(plain) {
			return "", false
		}
		levels = append(levels, plain)
	}
	return strings.Join(levels, "/"), true
}

// dot is "." in modified UTF-7, though the standard wants it plain.
const dot = "&AC4-"

// folderDir is the other way round.
func folderDir(name string) string {
	var b strings.Builder
	for level := range strings.SplitSeq(name, "/") {
		b.WriteByte('.')
		b.WriteString(strings.ReplaceAll(imap.EncodeName(level), ".", dot))
	}
	return b.String()
}

// file is a message of a Maildir.
type file struct {
	path string
	time time.Time
	new  bool
}

// maildir imports one folder, in the order of arrival.
func (im *importer) maildir(ctx context.Context, dir fs.FS, at, folder string) error {
	if err := im.folder(ctx, folder); err != nil {
		return err
	}
	var files []file
	for _, sub := range []string{"new", "cur"} {
		entries, err := fs.ReadDir(dir, path.Join(at, sub))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") || !e.Type().IsRegular() {
				continue
			}
			info, err := e.Info()
			if err != nil {
				continue // gone meanwhile
			}
			files = append(files, file{path.Join(at, sub, e.Name()), info.ModTime(), sub == "new"})
		}
	}
	slices.SortStableFunc(files, func(a, b file) int {
		if c := a.time.Compare(b.time); c != 0 {
			return c
		}
		return strings.Compare(a.path, b.path)
	})
	keywords := readKeywords(dir, path.Join(at, keywordFile))
	for _, f := range files {
		m := message{where: f.path, date: f.time, source: func() (io.ReadCloser, error) { return dir.Open(f.path) }}
		if !f.new {
			m.flags = maildirFlags(path.Base(f.path), keywords)
		}
		if err := im.add(ctx, folder, m); err != nil {
			return err
		}
	}
	return nil
}

// maxKeywordFile bounds a dovecot-keywords, in octets.
const maxKeywordFile = 64 << 10

// readKeywords reads a dovecot-keywords, without which letters mean nothing.
func readKeywords(dir fs.FS, name string) map[byte]string {
	f, err := dir.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	keywords := map[byte]string{}
	for s := bufio.NewScanner(io.LimitReader(f, maxKeywordFile)); s.Scan(); {
		number, word, _ := strings.Cut(s.Text(), " ")
		n, err := strconv.Atoi(number)
		if err == nil && n >= 0 && n < 26 && isKeyword(word) {
			keywords['a'+byte(n)] = word
		}
	}
	return keywords
}

// maildirLetters are the flags of file names, in the order in which they stand.
var maildirLetters = [...]struct {
	letter byte
	flag   mailbox.Flags
	name   string
}{
	{'D', mailbox.Draft, `\Draft`},
	{'F', mailbox.Flagged, `\Flagged`},
	{'P', 0, "$Forwarded"}, // passed on: RFC 5788's keyword
	{'R', mailbox.Answered, `\Answered`},
	{'S', mailbox.Seen, `\Seen`},
	{'T', mailbox.Deleted, `\Deleted`},
}

// maildirFlags reads what stands behind ":2," in a file name; file systems that
// mind the colon have other marks there.
func maildirFlags(name string, keywords map[byte]string) (flags []string) {
	i := strings.LastIndex(name, "2,")
	if i < 1 || strings.IndexByte(":;!-", name[i-1]) < 0 {
		return nil
	}
	for _, c := range []byte(name[i+2:]) {
		for _, l := range maildirLetters {
			if l.letter == c {
				flags = append(flags, l.name)
			}
		}
		if word := keywords[c]; word != "" {
			flags = append(flags, word)
		}
	}
	return flags
}

// ExportMaildir writes all folders into the directory dir, which is made. A
// folder that was exported there before gets only the messages that it has not,
// by UIDVALIDITY and UID. Nothing is written outside of dir, whatever links its
// owner may have put into it.
func ExportMaildir(ctx context.Context, box *mailbox.Mailbox, dir string, progress func(folder string, r Result)) (r Result, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return r, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return r, err
	}
	defer root.Close()
	for _, f := range box.Folders() {
		if f.NoSelect {
			continue
		}
		at := "."
		if f.Name != "INBOX" {
			at = folderDir(f.Name)
		}
		for _, sub := range []string{"cur", "new", "tmp"} {
			if err := root.MkdirAll(path.Join(at, sub), 0o700); err != nil {
				return r, err
			}
		}
		if at != "." { // says that the directory is a folder (Maildir++)
			if err := root.WriteFile(path.Join(at, "maildirfolder"), nil, 0o600); err != nil {
				return r, err
			}
		}
		e := &maildirExport{root: root, at: at, validity: f.UIDValidity, letters: map[string]byte{}}
		if err := e.look(); err != nil {
			return r, err
		}
		err := export(ctx, box, f.Name, func(v *mailbox.View, seq int, m *mailbox.Message) error {
			done, err := e.write(v, seq, m)
			switch {
			case err != nil:
				return err
			case done:
				r.Done++
			default:
				r.Skipped++
			}
			if progress != nil {
				progress(f.Name, r)
			}
			return nil
		})
		if err := errors.Join(err, e.finish()); err != nil {
			return r, err
		}
	}
	return r, nil
}

// maildirExport is one folder on its way out.
type maildirExport struct {
	root     *os.Root
	at       string // in root
	validity uint32
	there    map[string]bool // names without flags
	letters  map[string]byte // of keywords
	words    []string
}

// look finds what is there already.
func (e *maildirExport) look() error {
	e.there = map[string]bool{}
	for _, sub := range []string{"cur", "new"} {
		entries, err := fs.ReadDir(e.root.FS(), path.Join(e.at, sub))
		if err != nil {
			return err
		}
		for _, f := range entries {
			base, _, _ := strings.Cut(f.Name(), ":")
			e.there[base] = true
		}
	}
	for c, word := range readKeywords(e.root.FS(), path.Join(e.at, keywordFile)) {
		for len(e.words) <= int(c-'a') {
			e.words = append(e.words, "")
		}
		e.words[c-'a'] = word
		e.letters[word] = c
	}
	return nil
}

// write puts a message into tmp and then into cur.
func (e *maildirExport) write(v *mailbox.View, seq int, m *mailbox.Message) (done bool, err error) {
	base := fmt.Sprintf("%d.V%dU%d.tenma", m.Date.Unix(), e.validity, m.UID)
	if e.there[base] {
		return false, nil
	}
	c, err := v.Open(seq)
	if errors.Is(err, mailbox.ErrExpunged) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer c.Close()
	tmp := path.Join(e.at, "tmp", base)
	f, err := e.root.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return false, err
	}
	out := bufio.NewWriterSize(f, 64<<10)
	lines := &bareLF{out: out}
	_, err = c.WriteTo(lines)
	if err = errors.Join(err, lines.finish(), f.Close(), e.root.Chtimes(tmp, m.Date, m.Date)); err != nil {
		return false, errors.Join(err, e.root.Remove(tmp))
	}
	return true, e.root.Rename(tmp, path.Join(e.at, "cur", base+":2,"+e.flags(v, m.Flags)))
}

// flags writes the letters of a message, in the order of ASCII.
func (e *maildirExport) flags(v *mailbox.View, f mailbox.Flags) string {
	system, keywords := flagsOf(v, f)
	var letters []byte
	for _, l := range maildirLetters {
		if l.flag != 0 && system&l.flag != 0 || l.flag == 0 && slices.Contains(keywords, l.name) {
			letters = append(letters, l.letter)
		}
	}
	for _, word := range keywords {
		if word == "$Forwarded" {
			continue
		}
		c, ok := e.letters[word]
		if !ok && len(e.words) < 26 {
			c = 'a' + byte(len(e.words))
			e.words = append(e.words, word)
			e.letters[word] = c
		}
		if c != 0 {
			letters = append(letters, c)
		}
	}
	slices.Sort(letters)
	return string(letters)
}

// finish writes the names of keywords.
func (e *maildirExport) finish() error {
	if len(e.words) == 0 {
		return nil
	}
	var b strings.Builder
	for i, word := range e.words {
		if word != "" {
			fmt.Fprintf(&b, "%d %s\n", i, word)
		}
	}
	return e.root.WriteFile(path.Join(e.at, keywordFile), []byte(b.String()), 0o600)
}

// bareLF writes LF for CRLF, as files here have it.
type bareLF struct {
	out *bufio.Writer
	cr  bool // one is held back
}

// finish writes what is held back and what is buffered.
func (b *bareLF) finish() error {
	if b.cr {
		_ = b.out.WriteByte('\r')
	}
	return b.out.Flush()
}

func (b *bareLF) Write(p []byte) (int, error) {
	for _, c := range p {
		if b.cr && c != '\n' {
			_ = b.out.WriteByte('\r')
		}
		if b.cr = c == '\r'; !b.cr {
			_ = b.out.WriteByte(c) // its error is Flush's as well
		}
	}
	return len(p), nil
}
