package imap

import (
	"errors"
	"log/slog"
	"math"
	"net"
	"sync"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"tenma/relay/mailbox"
	"tenma/relay/mailbox/imap/front"
	wire "tenma/relay/wire/imap"
	"tenma/relay/wire/mime"
	"tenma/relay/wire/sasl"
)

// session is one client's conversation. The library and the front call its
// methods in one goroutine, one after the other, but for Idle, which runs beside
// a waiting read: mu is held by whatever looks at what stands below it.
type session struct {
	l    *listener
	lib  *imapserver.Conn
	conn *front.Conn
	id   string

	mu       sync.Mutex
	out      *wire.Writer // to the client
	account  string
	exchange *sasl.Exchange
	box      *mailbox.Mailbox // from login to the end
	view     *mailbox.View    // from SELECT to CLOSE
	keywords int              // of the view, as the client knows
	saved    goimap.UIDSet    // what SEARCH saved (RFC 5182)
	// condstore: the client has shown that it knows mod-sequences (RFC 7162
	// section 3.1), and hears of them from then on.
	condstore bool
	literal8  bool   // the message of this APPEND may hold NUL
	tree      treeOf // the last message whose structure was found
	contexts  []*searchContext
	touched   []uint32 // UIDs whose flags the session itself changed, for contexts

	began    time.Time
	commands int
	appended int
}

// treeOf is the structure of one message of the view: clients ask for a
// structure, and then for one part after the other.
type treeOf struct {
	uid  uint32
	tree *mime.Part
}

func newSession(l *listener, c *imapserver.Conn, fc *front.Conn, id string) *session {
	return &session{l: l, lib: c, conn: fc, id: id, out: wire.NewWriter(fc.Writer()), began: time.Now()}
}

func (s *session) log() *slog.Logger {
	log := s.l.s.deps.Log.With("session", s.id, "listener", s.l.cfg.Address, "client", s.conn.Client())
	if s.account != "" {
		log = log.With("account", s.account)
	}
	return log
}

func (s *session) client() net.Addr { return net.TCPAddrFromAddrPort(s.conn.Client()) }

// Close ends the session. Nothing of the connection is left when it returns, but
// perhaps an Idle that has been told to stop.
func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exchange != nil {
		s.exchange.Cancel() // a login that was given up half-way
		s.exchange = nil
	}
	s.unselect()
	if s.box != nil {
		s.box.Close()
		s.box = nil
	}
	s.l.s.deps.Metrics.Octets.Add(float64(s.out.Written()))
	s.log().Debug("imap session ended", "seconds", int(time.Since(s.began).Seconds()), "commands", s.commands, "appended", s.appended, "octets", s.out.Written())
	return nil
}

func (s *session) unselect() {
	if s.view != nil {
		s.view.Close()
		s.view = nil
	}
	s.saved, s.tree = nil, treeOf{}
	s.contexts, s.touched = nil, nil
}

// AppendLimit is how many octets a message may have (RFC 7889).
func (s *session) AppendLimit() uint32 { return uint32(min(s.l.s.cfg.MessageSize, math.MaxUint32)) }

// Poll tells the client what has changed, before the tagged response of a command
// that the library answers.
func (s *session) Poll(_ *imapserver.UpdateWriter, expunge bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tell(expunge, false)
}

// Idle tells the client what changes as it happens, until stop is closed (RFC
// 9051 section 6.3.13).
func (s *session) Idle(_ *imapserver.UpdateWriter, stop <-chan struct{}) error {
	for {
		s.mu.Lock()
		var changed <-chan struct{} // never, without a mailbox selected
		if s.view != nil {
			changed = s.view.Changed()
		}
		err := s.tell(true, false)
		s.mu.Unlock()
		if err != nil {
			return err
		}
		_, _ = s.conn.Write(nil) // in IDLE the front sends what it has collected at each write of the library's; this is none
		select {
		case <-stop:
			return nil
		case <-changed:
			select {
			case <-stop: // the session may be gone
				return nil
			default:
			}
		}
	}
}

// tell brings the view up to date and tells the client (RFC 9051 section 7.5.1
// says when EXPUNGE may not be told). withUID adds UIDs to changed flags, as is
// usual in a command that speaks of UIDs.
func (s *session) tell(expunge, withUID bool) error {
	if s.view == nil {
		return s.out.Flush()
	}
	u := s.view.Update(expunge)
	w := s.out
	if u.Gone {
		s.conn.Bye("The mailbox that you had selected was deleted")
		return w.Flush()
	}
	if len(u.Expunged) > 0 {
		s.tree = treeOf{}
	}
	s.leaveContexts(&u)
	for _, n := range u.Expunged {
		w.Raw("* ")
		w.Number(int64(n))
		w.Raw(" EXPUNGE\r\n")
	}
	s.tellKeywords()
	if u.Grown {
		w.Raw("* ")
		w.Number(int64(u.Len))
		w.Raw(" EXISTS\r\n")
		if !s.rev2() {
			w.Raw("* ")
			w.Number(int64(u.Recent))
			w.Raw(" RECENT\r\n")
		}
	}
	for _, n := range u.Flags {
		s.writeState(n, withUID, true)
	}
	s.updateContexts(&u)
	return w.Flush()
}

// writeState writes a FETCH response of what can change in a message: its flags,
// if they are to be told, and where it is known what that is its mod-sequence.
func (s *session) writeState(seq int, withUID, withFlags bool) {
	flags, modSeq := s.view.Flags(seq)
	w := s.out
	w.Raw("* ")
	w.Number(int64(seq))
	w.Raw(" FETCH (")
	space := ""
	if withUID {
		w.Raw("UID ")
		w.Number(int64(s.view.UID(seq)))
		space = " "
	}
	if withFlags {
		w.Raw(space)
		w.Raw("FLAGS ")
		s.writeFlagsOf(seq, flags)
		space = " "
	}
	if s.condstore {
		w.Raw(space)
		w.Raw("MODSEQ (")
		w.Unsigned(modSeq)
		w.Raw(")")
	}
	w.Raw(")\r\n")
}

func (s *session) writeFlagsOf(seq int, flags mailbox.Flags) {
	names := s.view.Names(flags)
	if s.view.Recent(seq) && !s.rev2() {
		names = append(names, `\Recent`)
	}
	s.out.FlagList(names)
}

// tellKeywords tells which flags there are if there are more than were told.
func (s *session) tellKeywords() {
	if n := len(s.view.Keywords()); n != s.keywords {
		s.keywords = n
		s.writeFlags()
	}
}

// writeFlags tells which flags the mailbox has (RFC 9051 sections 7.3.5, 7.1).
func (s *session) writeFlags() {
	w := s.out
	w.Raw("* FLAGS ")
	w.FlagList(append(systemFlags(), s.view.Keywords()...))
	w.Raw("\r\n* OK [PERMANENTFLAGS ")
	w.FlagList(s.permanentFlags())
	w.Raw("] Flags that can be changed\r\n")
}

func systemFlags() []string {
	return []string{`\Answered`, `\Flagged`, `\Deleted`, `\Seen`, `\Draft`}
}

func (s *session) permanentFlags() []string {
	if s.view.ReadOnly() {
		return nil
	}
	flags := append(systemFlags(), s.view.Keywords()...)
	if len(s.view.Keywords()) < mailbox.MaxKeywords {
		flags = append(flags, `\*`)
	}
	return flags
}

// rev2 says that the client has enabled IMAP4rev2: it hears no RECENT.
func (s *session) rev2() bool { return s.lib.EnabledCaps().Has(goimap.CapIMAP4rev2) }

// utf8 says that mailbox names are UTF-8 (RFC 6855 section 3, RFC 9051 section
// 5.1).
func (s *session) utf8() bool {
	caps := s.lib.EnabledCaps()
	return caps.Has(goimap.CapIMAP4rev2) || caps.Has(goimap.CapUTF8Accept)
}

var errLibrary = errors.New("imap: the library was given a command that the session answers")

// The library demands these; the session has these commands from the front.

// Search is not called.
func (s *session) Search(imapserver.NumKind, *goimap.SearchCriteria, *goimap.SearchOptions) (*goimap.SearchData, error) {
	return nil, errLibrary
}

// Fetch is not called.
func (s *session) Fetch(*imapserver.FetchWriter, goimap.NumSet, *goimap.FetchOptions) error {
	return errLibrary
}

// Store is not called.
func (s *session) Store(*imapserver.FetchWriter, goimap.NumSet, *goimap.StoreFlags, *goimap.StoreOptions) error {
	return errLibrary
}

// Copy is not called.
func (s *session) Copy(goimap.NumSet, string) (*goimap.CopyData, error) { return nil, errLibrary }

// Move is not called.
func (s *session) Move(*imapserver.MoveWriter, goimap.NumSet, string) error { return errLibrary }

// List is not called.
func (s *session) List(*imapserver.ListWriter, string, []string, *goimap.ListOptions) error {
	return errLibrary
}

// Status is not called.
func (s *session) Status(string, *goimap.StatusOptions) (*goimap.StatusData, error) {
	return nil, errLibrary
}

var (
	_ imapserver.SessionIMAP4rev2   = (*session)(nil)
	_ imapserver.SessionSASL        = (*session)(nil)
	_ imapserver.SessionAppendLimit = (*session)(nil)
)
