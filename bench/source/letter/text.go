package letter

import "math/rand/v2"

// lineLength of made-up text, without the line's end (RFC 5322 section 2.1.1
// asks for 78 at most; base64 has 76).
const lineLength = 76

// lineOctets is a line with its end.
const lineOctets = lineLength + 2

// textLines is the length of the text that bodies are cut from: about a MiB.
const textLines = 13_443

// text is what bodies are cut from: half of its lines are words of a made-up
// language of 4,096 words, half are base64, in runs of 1 to 16 lines, as in
// mail with text and attachments. gzip makes about 70 % of it. Each message
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

// cut makes a message of size octets, or of the header alone if that is more.
// The body begins at a line of the text and goes round it as often as it must.
func (s *Set) cut(head []byte, size, line int) Message {
	rest := size - len(head) - len("\r\n")
	if rest < 0 {
		return Message{Head: head}
	}
	m := Message{Head: head, text: s.text, tail: tailEnd}
	if rest%lineOctets == lineOctets-1 { // the cut would part a CR from its LF
		rest--
		m.tail = tailFill
	}
	from := line * lineOctets
	m.first = s.text[from:min(len(s.text), from+rest)]
	rest -= len(m.first)
	m.rounds = rest / len(s.text)
	m.last = s.text[:rest%len(s.text)]
	return m
}

// Ends of a body.
var (
	tailEnd  = []byte("\r\n")
	tailFill = []byte("=\r\n")
)
