package imap

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	goimap "github.com/emersion/go-imap/v2"

	"tenma/relay/mailbox/imap/front"
	wire "tenma/relay/wire/imap"
)

// commands are the session as the front sees it: it answers those commands that
// the library does not know or would not answer well, and puts the finishing
// touch to some of the others.
type commands struct{ *session }

// command is one command that the session answers itself. Its function writes
// untagged responses and gives nil for OK, or an error for session.answer.
type command struct {
	tag  string
	name string // without UID
	uid  bool   // numbers are UIDs
	p    *wire.Parser
	done *reply // in place of a plain OK
}

// own is how a command is answered.
type own struct {
	do       func(*session, *command) error
	early    bool // also before login
	selected bool // wants a mailbox selected
	// renumber: EXPUNGE may be told before the tagged response (RFC 9051 section
	// 7.5.1 forbids it for FETCH, STORE and SEARCH by number).
	renumber bool
}

// find gives what answers a command, nil for those of the library.
func find(name string) *own {
	sub, uid := strings.CutPrefix(name, "UID ")
	switch sub {
	case "FETCH":
		return &own{do: (*session).cmdFetch, selected: true, renumber: uid}
	case "STORE":
		return &own{do: (*session).cmdStore, selected: true, renumber: uid}
	case "SEARCH":
		return &own{do: (*session).cmdSearch, selected: true, renumber: uid}
	case "SORT":
		return &own{do: (*session).cmdSort, selected: true, renumber: uid}
	case "THREAD":
		return &own{do: (*session).cmdThread, selected: true, renumber: uid}
	case "COPY":
		return &own{do: (*session).cmdCopy, selected: true, renumber: true}
	case "MOVE":
		return &own{do: (*session).cmdMove, selected: true, renumber: true}
	case "EXPUNGE":
		return &own{do: (*session).cmdExpunge, selected: true, renumber: true}
	}
	switch name {
	case "ID":
		return &own{do: (*session).cmdID, early: true}
	case "CANCELUPDATE":
		return &own{do: (*session).cmdCancelUpdate, selected: true, renumber: true}
	case "LIST":
		return &own{do: (*session).cmdList, renumber: true}
	case "LSUB":
		return &own{do: (*session).cmdLSub, renumber: true}
	case "STATUS":
		return &own{do: (*session).cmdStatus, renumber: true}
	case "GETQUOTA":
		return &own{do: (*session).cmdGetQuota, renumber: true}
	case "GETQUOTAROOT":
		return &own{do: (*session).cmdGetQuotaRoot, renumber: true}
	case "SETQUOTA":
		return &own{do: (*session).cmdSetQuota, renumber: true}
	}
	return nil
}

// ownCommands is find as the front wants it.
func ownCommands() map[string]bool {
	list := map[string]bool{}
	for _, name := range []string{"FETCH", "STORE", "SEARCH", "SORT", "THREAD", "COPY", "MOVE", "EXPUNGE"} {
		list[name], list["UID "+name] = false, false
	}
	for _, name := range []string{"ID", "CANCELUPDATE", "LIST", "LSUB", "STATUS", "GETQUOTA", "GETQUOTAROOT", "SETQUOTA"} {
		list[name] = find(name).early
	}
	return list
}

// Handle answers a command of ours.
func (s commands) Handle(_ *front.Writer, cmd *front.Command) (status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// The second line of defence: what reads messages and arguments is made not to
	// panic, whatever they hold. A response may be half written then, so that
	// the connection cannot go on.
	defer func() {
		if v := recover(); v != nil {
			s.log().Error("panic in a command", "command", cmd.Name, "panic", v, "stack", string(debug.Stack()))
			_ = s.conn.Close()
			status = "NO [SERVERBUG] Internal error"
		}
	}()
	r := s.handle(cmd)
	s.count(cmd.Name, r.kind)
	return r.String()
}

func (s commands) handle(cmd *front.Command) *reply {
	o := find(cmd.Name)
	if o == nil {
		return bad("", "Unknown command")
	}
	if o.selected && s.view == nil {
		return bad("CLIENTBUG", "Select a mailbox first")
	}
	s.out.UTF8 = s.utf8()
	c := &command{tag: cmd.Tag, p: wire.NewParser(cmd.Args)}
	c.name, c.uid = strings.CutPrefix(cmd.Name, "UID ")
	c.p.UTF8 = s.out.UTF8
	err := o.do(s.session, c)
	if s.box != nil {
		if tellErr := s.tell(o.renumber, c.uid); err == nil {
			err = tellErr
		}
	}
	if flushErr := s.out.Flush(); flushErr != nil {
		return no("", "The connection is lost") // nobody hears it
	}
	switch {
	case err != nil:
		return s.answer(err)
	case c.done != nil:
		return c.done
	}
	return ok("", cmd.Name+" completed")
}

// count counts a command by its name, of which there are as many as the server
// knows.
func (s *session) count(name, kind string) {
	s.commands++
	s.l.s.deps.Metrics.Commands.WithLabelValues(strings.ToLower(name), strings.ToLower(kind)).Inc()
}

// Rewrite changes commands before the library reads them.
func (s commands) Rewrite(cmd *front.Command) (status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !known(cmd.Name) {
		s.count("unknown", "BAD")
		return ""
	}
	switch cmd.Name {
	case "ENABLE":
		if slices.ContainsFunc(strings.Fields(cmd.Args), func(w string) bool { return strings.EqualFold(w, "CONDSTORE") }) {
			s.enableCondstore()
			if s.out.Flush() != nil {
				return "NO"
			}
		}
	case "SELECT", "EXAMINE":
		return s.rewriteSelect(cmd)
	case "CREATE", "DELETE", "SUBSCRIBE", "UNSUBSCRIBE":
		return s.rewriteNames(cmd, 1)
	case "APPEND":
		s.literal8 = strings.HasSuffix(cmd.Args, "~") // what announces the message comes next
		return s.rewriteNames(cmd, 1)
	case "RENAME":
		return s.rewriteNames(cmd, 2)
	}
	return ""
}

// known are the library's commands.
func known(name string) bool {
	switch name {
	case "CAPABILITY", "NOOP", "CHECK", "LOGOUT", "STARTTLS", "AUTHENTICATE", "LOGIN", "ENABLE", "SELECT", "EXAMINE", "CREATE", "DELETE",
		"RENAME", "SUBSCRIBE", "UNSUBSCRIBE", "NAMESPACE", "IDLE", "CLOSE", "UNSELECT", "APPEND", "UNAUTHENTICATE":
		return true
	}
	return false
}

// rewriteSelect takes the parameters from SELECT and EXAMINE (RFC 7162 section
// 3.1.8), which the library does not know.
func (s commands) rewriteSelect(cmd *front.Command) (status string) {
	p := wire.NewParser(cmd.Args)
	p.UTF8 = s.utf8()
	name := p.Mailbox()
	condstore := false
	if p.Take(' ') {
		p.List(func() {
			if word := p.Keyword(); word != "CONDSTORE" {
				p.Fail("unknown parameter %.40s", word)
			}
			condstore = true
		})
	}
	if err := p.End(); err != nil {
		r := s.answer(err)
		s.count(cmd.Name, r.kind)
		return r.String()
	}
	s.condstore = s.condstore || condstore
	cmd.Args = quote(wire.EncodeName(name))
	return ""
}

// rewriteNames puts mailbox names that are UTF-8, as the client has enabled, into
// modified UTF-7, which the library always takes them for, and refuses what is no
// name.
func (s commands) rewriteNames(cmd *front.Command, n int) (status string) {
	if !strings.ContainsFunc(cmd.Args, func(r rune) bool { return r == '&' || r >= 0x80 }) {
		return ""
	}
	p := wire.NewParser(cmd.Args)
	p.UTF8 = s.utf8()
	var names []string
	for i := range n {
		if i > 0 {
			p.SP()
		}
		names = append(names, quote(wire.EncodeName(p.Mailbox())))
	}
	rest := p.Rest()
	if errors.Is(p.Err(), wire.ErrName) {
		s.count(cmd.Name, "NO")
		return s.answer(p.Err()).String()
	}
	if p.Err() == nil { // else the library finds the error
		cmd.Args = strings.Join(names, " ") + rest
	}
	return ""
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// Response finishes lines of the library's, and counts its answers.
func (s commands) Response(cmd *front.Command, line []byte) []byte {
	if cmd == nil {
		return line
	}
	text := string(line)
	if rest, tagged := strings.CutPrefix(text, cmd.Tag+" "); tagged {
		kind, _, _ := strings.Cut(rest, " ")
		if known(cmd.Name) && (kind == "OK" || kind == "NO" || kind == "BAD") {
			s.count(cmd.Name, kind)
		}
		return line
	}
	if cmd.Name == "ENABLE" && s.condstore && strings.HasPrefix(text, "* ENABLED") && strings.Contains(strings.ToUpper(cmd.Args), "CONDSTORE") {
		return append(slices.Clone(line), " CONDSTORE"...)
	}
	return line
}

// AppendLimit is the library's as the front wants it.
func (s commands) AppendLimit() int64 { return int64(s.session.AppendLimit()) }

// Capabilities edits the library's list.
func (s commands) Capabilities(caps []string, loggedIn bool) []string {
	caps = append(caps, string(goimap.CapID))
	if !loggedIn {
		return caps
	}
	for i, c := range caps {
		if c == "LITERAL-" {
			caps[i] = "LITERAL+" // RFC 7888: the front bounds and streams them
		}
	}
	caps = append(caps, "CONDSTORE", "QUOTA", "QUOTA=RES-STORAGE", "SORT", "SORT=DISPLAY", "ESORT", "THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES", "CONTEXT=SEARCH", "CONTEXT=SORT", "SAVEDATE", "WITHIN")
	seen := map[string]bool{}
	return slices.DeleteFunc(caps, func(c string) bool {
		again := seen[c]
		seen[c] = true
		return again
	})
}

// enableCondstore: from now on the client is told mod-sequences (RFC 7162 section
// 3.1), beginning with the mailbox's, if it did not hear it.
func (s *session) enableCondstore() {
	if s.condstore {
		return
	}
	s.condstore = true
	if s.view != nil {
		fmt.Fprintf(s.out, "* OK [HIGHESTMODSEQ %d] Highest\r\n", s.view.Folder().ModSeq) //nolint:errcheck // Flush tells
	}
}
