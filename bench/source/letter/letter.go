// Package letter makes the messages of a load: for each number a recipient, a
// size and octets, all a function of the number and a seed, so that sessions
// share one Set without a lock and a load can be repeated.
//
// The mix of recipient domains (ParseDomains) and of sizes (ParseSizes) is
// written as text. New makes a Set of them, and each session takes a Writer of
// its own, which gives a message as pieces to be written one after the other:
// only the header is made anew.
package letter

import (
	"strconv"
	"time"

	"tenma/bench/load"
)

// Config is what messages are made of.
type Config struct {
	Run     string // in their load.Tag
	Seed    uint64
	From    string // in their header
	Users   int    // local parts: u0 to u(Users-1)
	Domains Domains
	Sizes   Sizes
	Corpus  string // folder of .eml files to take instead of made-up text; "": none
	Stuffed bool   // dots at the beginning of lines are doubled, as DATA wants it
}

// Set is the messages of a load. Its methods may be called at any time.
type Set struct {
	cfg   Config
	book  *addressBook
	sizes chooser
	files []file
	text  []byte
}

// New makes what all messages share; it reads the Corpus.
func New(c Config) (s *Set, err error) {
	s = &Set{cfg: c, book: newAddressBook(c.Domains, c.Users, c.Seed)}
	for _, z := range c.Sizes {
		s.sizes.add(z.Weight)
	}
	if c.Corpus == "" {
		s.text = newText(c.Seed)
		return s, nil
	}
	s.files, err = readCorpus(c.Corpus, c.Stuffed)
	return s, err
}

// AppendRecipient appends the address of one of message n's recipients, from 0
// on. All recipients of a message are in the same domain.
func (s *Set) AppendRecipient(b []byte, n uint32, i int) []byte {
	return s.book.appendAddress(b, n, i)
}

// Eight reports whether message n has octets above 127.
func (s *Set) Eight(n uint32) bool { return len(s.files) > 0 && s.file(n).eight }

// Writer makes messages. It belongs to one goroutine.
type Writer struct {
	set    *Set
	head   []byte // reused
	date   []byte
	second int64 // of date
}

// Writer makes a Writer.
func (s *Set) Writer() *Writer { return &Writer{set: s} }

// Message is a message in pieces. All but Head may be kept.
type Message struct {
	Head []byte // valid until the Writer's next message

	first  []byte
	rounds int // how often text follows
	text   []byte
	last   []byte // then
	tail   []byte
}

// Size is the message's length in octets.
func (m *Message) Size() int {
	return len(m.Head) + len(m.first) + m.rounds*len(m.text) + len(m.last) + len(m.tail)
}

// Body gives what follows the Head, piece by piece.
func (m *Message) Body(piece func([]byte)) {
	piece(m.first)
	for range m.rounds {
		piece(m.text)
	}
	piece(m.last)
	piece(m.tail)
}

// Message makes message n. Its lines end with CRLF, the last one too.
func (w *Writer) Message(n uint32, now time.Time) Message {
	s := w.set
	b := load.Tag{Run: s.cfg.Run, N: n}.Append(w.head[:0])
	b = append(b, "Message-ID: <"...)
	b = append(b, s.cfg.Run...)
	b = append(b, '.')
	b = strconv.AppendUint(b, uint64(n), 10)
	b = append(b, "@source.test>\r\n"...)
	if len(s.files) > 0 {
		w.head = b
		return Message{Head: b, first: s.file(n).text}
	}
	if sec := now.Unix(); sec != w.second || len(w.date) == 0 {
		w.second, w.date = sec, now.AppendFormat(w.date[:0], "Mon, 02 Jan 2006 15:04:05 -0700") // RFC 5322 section 3.3
	}
	b = append(b, "Date: "...)
	b = append(b, w.date...)
	b = append(b, "\r\nFrom: Load <"...)
	b = append(b, s.cfg.From...)
	b = append(b, ">\r\nTo: <"...)
	b = s.book.appendAddress(b, n, 0)
	b = append(b, ">\r\nSubject: message "...)
	b = strconv.AppendUint(b, uint64(n), 10)
	b = append(b, " of load "...)
	b = append(b, s.cfg.Run...)
	b = append(b, "\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"...)
	w.head = b

	size := s.cfg.Sizes[0].Octets
	if len(s.cfg.Sizes) > 1 {
		size = s.cfg.Sizes[s.sizes.pick(mix(s.cfg.Seed, streamSize, n))].Octets
	}
	return s.cut(b, size, int(mix(s.cfg.Seed, streamText, n)%textLines))
}
