package source

import (
	"math/rand/v2"
	"strconv"
	"time"

	"tenma/bench/load"
)

// lineLength of made-up text, without the line's end (RFC 5322 section 2.1.1
// asks for 78 at most; base64 has 76).
const lineLength = 76

// lineOctets is a line with its end.
const lineOctets = lineLength + 2

// textLines is the length of the text that bodies are cut from: about a MiB.
const textLines = 13_443

// text is what bodies are cut from: half of its lines are words of a made-up
// language of 4,096 words, half are base64, in runs of 1 to 16 lines, as in
// mail with text and attachments. gzip makes about 60 % of it. Each message
// begins at a line of its own choice, so that messages that lie next to each
// other on a disk do not compress against each other either. No line begins
// with a dot, so that DATA and BDAT carry the same octets.
func newText(seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 3))
	const letters = "eeeetttaaaooiinnssrrhhddlluucmfywgpbvk"
	words := make([][]byte, 4096)
	for i := range words {
		w := make([]byte, 2+random.IntN(9))
		for k := range w {
			w[k] = letters[random.IntN(len(letters))]
		}
		words[i] = w
	}
	const base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	b := make([]byte, 0, textLines*lineOctets+16)
	prose, run := false, 0
	for line := range textLines {
		if run == 0 {
			prose, run = !prose, 1+random.IntN(16)
		}
		run--
		end := (line + 1) * lineOctets
		for prose && len(b) < end-2 {
			b = append(b, words[random.IntN(len(words))]...)
			b = append(b, ' ')
		}
		for bits := uint64(0); len(b) < end-2; bits >>= 6 {
			if bits == 0 {
				bits = random.Uint64()
			}
			b = append(b, base64[bits&63])
		}
		b = append(b[:end-2], "\r\n"...)
	}
	return b
}

// writer makes messages. One belongs to a session.
type writer struct {
	s      *Source
	head   []byte // reused
	rcpt   []byte // reused: the first recipient
	date   []byte
	second int64 // of date
}

// message gives the header of message n and what follows it: a piece of the
// text that is sent wrap times between first and tail, or a file of the
// Corpus. All belong to the writer until the next call.
func (w *writer) message(n uint32, now time.Time) body {
	s := w.s
	b := load.Tag{Run: s.cfg.Run, N: n}.Append(w.head[:0])
	b = append(b, "Message-ID: <"...)
	b = append(b, s.cfg.Run...)
	b = append(b, '.')
	b = strconv.AppendUint(b, uint64(n), 10)
	b = append(b, "@source.test>\r\n"...)
	if len(s.corpus) > 0 {
		f := s.letter(n)
		w.head = b
		if s.cfg.BDAT {
			return body{head: b, first: f.plain}
		}
		return body{head: b, first: f.stuffed}
	}
	if sec := now.Unix(); sec != w.second || len(w.date) == 0 {
		w.second, w.date = sec, now.AppendFormat(w.date[:0], "Mon, 02 Jan 2006 15:04:05 -0700") // RFC 5322 section 3.3
	}
	b = append(b, "Date: "...)
	b = append(b, w.date...)
	b = append(b, "\r\nFrom: Load <"...)
	b = append(b, s.author...)
	b = append(b, ">\r\nTo: <"...)
	b = s.book.appendAddress(b, n, 0)
	b = append(b, ">\r\nSubject: message "...)
	b = strconv.AppendUint(b, uint64(n), 10)
	b = append(b, " of load "...)
	b = append(b, s.cfg.Run...)
	b = append(b, "\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"...)
	w.head = b

	size := s.cfg.Size[0].Octets
	if len(s.cfg.Size) > 1 {
		size = s.cfg.Size[s.sizes.pick(mix(s.cfg.Seed, streamSize, n))].Octets
	}
	return s.cut(b, size, int(mix(s.cfg.Seed, streamText, n)%textLines))
}

// body is a message in the pieces that it is written in.
type body struct {
	head, first []byte
	rounds      int    // how often the whole text follows
	last, tail  []byte // then
}

func (b *body) size(text []byte) int {
	return len(b.head) + len(b.first) + b.rounds*len(text) + len(b.last) + len(b.tail)
}

// cut makes a message of size octets, or of the header alone if that is more.
// The body begins at a line of the text and goes round it as often as it must.
func (s *Source) cut(head []byte, size, line int) body {
	rest := size - len(head) - len("\r\n")
	if rest < 0 {
		return body{head: head}
	}
	b := body{head: head, tail: tailEnd}
	if rest%lineOctets == lineOctets-1 { // the cut would part a CR from its LF
		rest--
		b.tail = tailFill
	}
	from := line * lineOctets
	b.first = s.text[from:min(len(s.text), from+rest)]
	rest -= len(b.first)
	b.rounds = rest / len(s.text)
	b.last = s.text[:rest%len(s.text)]
	return b
}

// Ends of a body.
var (
	tailEnd  = []byte("\r\n")
	tailFill = []byte("=\r\n")
)
