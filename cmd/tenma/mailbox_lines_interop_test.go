//go:build interop

package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// refusal is an answer that says no: nothing here deserves one.
type refusal string

func (r refusal) Error() string { return string(r) }

// tlsLines is a connection over TLS that is read line by line.
type tlsLines struct {
	net.Conn
	in *bufio.Reader
}

func dialTLS(addr string) (*tlsLines, error) {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(2 * patience))
	return &tlsLines{c, bufio.NewReader(c)}, nil
}

func (c *tlsLines) line() (string, error) {
	line, err := c.in.ReadString('\n')
	return strings.TrimSuffix(line, "\r\n"), err
}

// pop does one POP3 command; with more its answer has lines.
func (c *tlsLines) pop(say string, more bool) (lines []string, err error) {
	if say != "" {
		if _, err := io.WriteString(c, say+"\r\n"); err != nil {
			return nil, err
		}
	}
	line, err := c.line()
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(line, "+OK") {
		return nil, refusal("POP3 " + say + ": " + line)
	}
	for more {
		line, err := c.line()
		if err != nil {
			return nil, err
		}
		if line == "." {
			break
		}
		lines = append(lines, strings.TrimPrefix(line, "."))
	}
	return lines, nil
}

// imapKill is an IMAP session.
type imapKill struct {
	*tlsLines
	j       *journal
	account string
	folder  string // selected
	tag     int
}

func (k *boxKill) login(account string) (*imapKill, error) {
	c, err := dialTLS(k.imap)
	if err != nil {
		return nil, err
	}
	s := &imapKill{tlsLines: c, j: k.journal, account: account}
	if _, err = s.line(); err == nil {
		_, err = s.ask("LOGIN " + account + " \"" + annsPassword + "\"")
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

// ask does one command and gives all that was said; literals stand in it as
// they come.
func (s *imapKill) ask(command string) (string, error) {
	s.tag++
	tag := fmt.Sprintf("t%d ", s.tag)
	if _, err := io.WriteString(s, tag+command+"\r\n"); err != nil {
		return "", err
	}
	var said strings.Builder
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return "", err
		}
		said.WriteString(line)
		if size := literalAtEnd.FindStringSubmatch(line); size != nil {
			n, _ := strconv.ParseInt(size[1], 10, 64)
			if _, err := io.CopyN(&said, s.in, n); err != nil {
				return "", err
			}
			continue
		}
		if strings.HasPrefix(line, tag) {
			if !strings.HasPrefix(line, tag+"OK") {
				return "", refusal(fmt.Sprintf("IMAP %.100q: %s", command, line))
			}
			return said.String(), nil
		}
	}
}

var (
	literalAtEnd = regexp.MustCompile(`\{(\d+)\}\r\n$`)
	fetchStart   = regexp.MustCompile(`^\* \d+ FETCH \(`)
	uidItem      = regexp.MustCompile(`\bUID (\d+)`)
	flagsItem    = regexp.MustCompile(`\bFLAGS \(([^)]*)\)`)
	sizeItem     = regexp.MustCompile(`\bRFC822\.SIZE (\d+)`)
	statusItem   = regexp.MustCompile(`(MESSAGES|UIDNEXT|UIDVALIDITY|SIZE|HIGHESTMODSEQ) (\d+)`)
	quotaItem    = regexp.MustCompile(`STORAGE (\d+) `)
)

// open selects a folder.
func (s *imapKill) open(folder string) error {
	if s.folder == folder {
		_, err := s.ask("NOOP")
		return err
	}
	_, err := s.ask("SELECT " + folder)
	s.folder = folder
	return err
}

// fetch calls fn for each message: its items without the literal, and that.
func (s *imapKill) fetch(what string, fn func(items, literal string)) error {
	said, err := s.ask("UID FETCH " + what)
	for err == nil && said != "" {
		line, rest, _ := strings.Cut(said, "\r\n")
		said = rest
		if !fetchStart.MatchString(line) {
			continue
		}
		literal := ""
		if size := literalAtEnd.FindStringSubmatch(line + "\r\n"); size != nil {
			n, _ := strconv.Atoi(size[1])
			literal = said[:n]
			line2, rest, _ := strings.Cut(said[n:], "\r\n")
			line += line2
			said = rest
		}
		fn(line, literal)
	}
	return err
}

// item is the number that one of the items has.
func item(re *regexp.Regexp, items string) int64 {
	m := re.FindStringSubmatch(items)
	if m == nil {
		return -1
	}
	n, _ := strconv.ParseInt(m[1], 10, 64)
	return n
}

// learn tells the journal what new mail has come into INBOX.
func (s *imapKill) learn() error {
	if err := s.open("INBOX"); err != nil {
		return err
	}
	return s.fetch(fmt.Sprintf("%d:* (UID BODY.PEEK[HEADER.FIELDS (Subject)])", s.j.news(s.account)), func(items, literal string) {
		s.j.seen(s.account, uint32(item(uidItem, items)), killMarkOf(literal))
	})
}

// stable reads all folders and the quota at a moment at which nothing comes.
func (s *imapKill) stable() (now map[string]*folderState, used int64, err error) {
	for {
		if now, err = s.everything(); err != nil {
			return nil, 0, err
		}
		if used, err = s.quota(); err != nil {
			return nil, 0, err
		}
		same := true
		for name, f := range now {
			again, err := s.status(name)
			if err != nil {
				return nil, 0, err
			}
			same = same && again.next == f.next && again.modSeq == f.modSeq
		}
		if same {
			return now, used, nil
		}
	}
}

func (s *imapKill) status(name string) (*folderState, error) {
	said, err := s.ask("STATUS " + name + " (MESSAGES UIDNEXT UIDVALIDITY SIZE HIGHESTMODSEQ)")
	n := map[string]uint64{}
	for _, m := range statusItem.FindAllStringSubmatch(said, -1) {
		n[m[1]], _ = strconv.ParseUint(m[2], 10, 64)
	}
	return &folderState{
		validity: uint32(n["UIDVALIDITY"]), next: uint32(n["UIDNEXT"]), modSeq: n["HIGHESTMODSEQ"],
		messages: int64(n["MESSAGES"]), size: int64(n["SIZE"]), mail: map[uint32]*found{},
	}, err
}

// everything reads all folders.
func (s *imapKill) everything() (map[string]*folderState, error) {
	all := map[string]*folderState{}
	for _, name := range killFolders {
		f, err := s.status(name)
		if err != nil {
			return nil, err
		}
		all[name] = f
		s.folder = ""
		if _, err := s.ask("EXAMINE " + name); err != nil {
			return nil, err
		}
		last := uint32(0)
		err = s.fetch("1:* (UID FLAGS RFC822.SIZE BODY.PEEK[])", func(items, literal string) {
			m := &found{uid: uint32(item(uidItem, items)), size: item(sizeItem, items)}
			m.id, m.whole = readText(literal)
			m.whole = m.whole && m.size == int64(len(literal)) && m.uid > last
			last = m.uid
			if flags := flagsItem.FindStringSubmatch(items); flags != nil {
				m.flags = flagText(strings.Fields(flags[1]))
			}
			f.mail[m.uid] = m
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// quota is what GETQUOTA says is used, in KiB.
func (s *imapKill) quota() (int64, error) {
	said, err := s.ask(`GETQUOTA ""`)
	return item(quotaItem, said), err
}

// codeUIDs are the UIDs that a response code tells last: at the given place in it.
func codeUIDs(said, code string, at int) (uids []uint32) {
	_, rest, ok := strings.Cut(said, "["+code+" ")
	words := strings.Fields(strings.SplitN(rest, "]", 2)[0])
	if !ok || len(words) < at {
		return nil
	}
	for part := range strings.SplitSeq(words[at-1], ",") {
		first, last, span := strings.Cut(part, ":")
		if !span {
			last = first
		}
		from, _ := strconv.ParseUint(first, 10, 32)
		to, _ := strconv.ParseUint(last, 10, 32)
		for n := from; n <= to; n++ {
			uids = append(uids, uint32(n))
		}
	}
	return uids
}

// replyError tells a refusal from the end of the relay.
func replyError(line string, err error) error {
	if line != "" {
		return refusal(line)
	}
	return err
}

// greetLMTP is converse for LMTP.
func greetLMTP(addr string) (*conversation, error) {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	v := &conversation{c, bufio.NewReader(c)}
	if _, err = v.reply(); err == nil {
		_, err = v.ask("LHLO client.test\r\n")
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return v, nil
}
