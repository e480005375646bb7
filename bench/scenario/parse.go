package scenario

import (
	"bufio"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Kind is what happens in a run.
type Kind string

// Kinds.
const (
	Plain   Kind = "plain"   // load, until all has arrived
	Backlog Kind = "backlog" // the sink refuses; fill, kill, start, the sink takes mail again, drain
	Kill    Kind = "kill"    // SIGKILL to all of the server's processes under load, and start
	Restart Kind = "restart" // fill, kill, start: how soon the server greets and delivers with a full spool
	Queued  Kind = "queued"  // fill a queue that nothing leaves: what does it cost to be large?
	Syncs   Kind = "syncs"   // system calls are traced: is each 250 behind a sync?
)

// Routes.
const (
	Smarthost = "smarthost" // all mail to one host
	MX        = "mx"        // by DNS
)

// Down is the Refuse of a sink that takes no connections.
const Down = "down"

// Scenario is one comparison. Make it with Parse or Find.
type Scenario struct {
	Name  string
	About string // the comment on top of the file

	Kind        Kind
	Route       string
	DKIM        string // "", "rsa" or "ed25519"
	Verify      int    // so many of the messages that arrive are kept, and their signatures verified after the run
	TLSIn       bool   // the source uses STARTTLS
	TLSOut      bool   // the sink offers STARTTLS
	Hosts       int    // MX hosts, each on an address of its own
	Own         bool   // each domain has an MX host of a name of its own: no two are one site
	Connections int    // most to one destination; 0: what the server's driver thinks best
	Retry       time.Duration

	Source []string // words of source.Parse
	Sink   []string // words of a manner, as in sink.Parse
	Refuse []string // the sink's manner while the spool is filled: Down, or words

	ServerCPUs string // processors of the server, as taskset has them; "" for all
	LoadCPUs   string // those of source and sink

	KillAfter time.Duration // from the start of the load
	Idle      time.Duration // nothing has arrived for so long: what is missing is lost
	Most      time.Duration // a run is given up after so long

	Config map[string][]string // lines for the configuration of one server, by driver
}

// Limits of a scenario file.
const (
	maxFile  = 64 << 10
	maxLines = 1000
	maxHosts = 250 // addresses 127.1.0.1 to 127.1.0.250

	maxVerify = 100_000 // messages, which a sink writes within lastWait when it ends
)

// LineError is a line of a scenario that cannot be understood.
type LineError struct {
	File string
	Line int // from 1
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }
func (e *LineError) Unwrap() error { return e.Err }

// Parse reads a scenario. Comments begin with "#"; those before the first
// line are its About. The lines, in any order, one word and its values:
//
//	kind plain                 plain, backlog, kill, restart, queued or syncs
//	route smarthost            smarthost, or mx [hosts=50] [own]: names of MX hosts of one's own for each domain
//	dkim none                  none, rsa or ed25519
//	verify 10000               so many messages are kept in memory and their signatures verified after the run
//	tls none                   none, in, out or both
//	connections 5              most that the server opens to one destination
//	retry 30s                  between two attempts
//	source sessions=50 ...     words of "tenma bench source"; of those said twice the last counts
//	sink tempfail=0.2          words of a manner of "tenma bench sink"
//	refuse down                how the sink turns mail away while the spool is filled: down, or a manner
//	kill after=4s
//	cpus server=0 load=1       processors that the server may use, and those of source and sink
//	wait idle=20s most=90s     how long arrivals are waited for
//	config tenma LINE          LINE goes into that server's configuration
//
// extra lines are read after the text as if they stood there, in a file called
// "command line". All errors are a LineError.
func Parse(name, file, text string, extra ...string) (Scenario, error) {
	s := Scenario{
		Name: name, Kind: Plain, Route: Smarthost, Hosts: 50, Retry: 30 * time.Second, Refuse: []string{Down},
		KillAfter: 4 * time.Second, Idle: 20 * time.Second, Most: 90 * time.Second, Config: map[string][]string{},
	}
	if len(text) > maxFile {
		return s, &LineError{file, 1, fmt.Errorf("%d octets are too many for a scenario, %d are the most", len(text), maxFile)}
	}
	var about []string
	begun := false
	sc := bufio.NewScanner(strings.NewReader(text))
	sc.Buffer(nil, maxFile+1)
	n := 0
	for sc.Scan() {
		n++
		line := strings.TrimSpace(sc.Text())
		comment, isComment := strings.CutPrefix(line, "#")
		switch {
		case n > maxLines:
			return s, &LineError{file, n, fmt.Errorf("more than %d lines", maxLines)}
		case isComment && !begun:
			about = append(about, strings.TrimSpace(comment))
		case isComment || line == "":
		default:
			begun = true
			if err := s.line(line); err != nil {
				return s, &LineError{file, n, err}
			}
		}
	}
	s.About = printable(strings.TrimSpace(strings.Join(about, " ")))
	for i, line := range extra {
		if err := s.line(strings.TrimSpace(line)); err != nil {
			return s, &LineError{"command line", i + 1, err}
		}
	}
	if err := s.check(); err != nil {
		return s, &LineError{file, max(n, 1), err}
	}
	return s, nil
}

// printable takes out what could steer a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// line reads one line that is not empty.
func (s *Scenario) line(line string) error {
	if printable(strings.ReplaceAll(line, "\t", " ")) != line {
		line = strings.ReplaceAll(line, "\t", " ")
		if printable(line) != line {
			return errors.New("a character that is not printable")
		}
	}
	words := strings.Fields(line)
	if len(words) < 2 {
		return fmt.Errorf("%q needs a value", line)
	}
	word, values := words[0], words[1:]
	switch word {
	case "source":
		s.Source = merge(s.Source, values)
		return nil
	case "sink":
		s.Sink = values
		if len(values) == 1 && values[0] == "friendly" {
			s.Sink = nil
		}
		return nil
	case "refuse":
		s.Refuse = values
		return nil
	case "config":
		server, rest, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "config")), " ")
		if strings.TrimSpace(rest) == "" {
			return fmt.Errorf("config needs a server and a line for it")
		}
		s.Config[server] = append(s.Config[server], strings.TrimSpace(rest))
		return nil
	case "wait", "kill":
		return s.times(word, values)
	case "route":
		return s.route(values)
	case "cpus":
		return s.cpus(values)
	}
	if len(values) != 1 {
		return fmt.Errorf("%s takes one value", word)
	}
	return s.value(word, values[0])
}

// value reads a line of one word and one value.
func (s *Scenario) value(word, v string) error {
	var err error
	one := func(of ...string) error {
		if slices.Contains(of, v) {
			return nil
		}
		return fmt.Errorf("%s %q is none of %s", word, v, strings.Join(of, ", "))
	}
	switch word {
	case "kind":
		s.Kind = Kind(v)
		return one(string(Plain), string(Backlog), string(Kill), string(Restart), string(Queued), string(Syncs))
	case "dkim":
		if s.DKIM = v; v == "none" {
			s.DKIM = ""
		}
		return one("none", "rsa", "ed25519")
	case "tls":
		s.TLSIn, s.TLSOut = v == "in" || v == "both", v == "out" || v == "both"
		return one("none", "in", "out", "both")
	case "verify":
		s.Verify, err = whole(v, 1, maxVerify)
	case "connections":
		s.Connections, err = whole(v, 1, 10000)
	case "retry":
		if s.Retry, err = duration(v); err == nil && s.Retry < time.Second {
			err = errors.New("less than a second")
		}
	default:
		return fmt.Errorf("unknown word %q; there are config, connections, cpus, dkim, kill, kind, refuse, retry, route, sink, source, tls, verify, wait", word)
	}
	if err != nil {
		return fmt.Errorf("%s %q: %w", word, v, err)
	}
	return nil
}

// route reads "smarthost" and "mx hosts=50 own".
func (s *Scenario) route(values []string) (err error) {
	s.Route = values[0]
	if s.Route != Smarthost && s.Route != MX {
		return fmt.Errorf("route %q is neither %s nor %s", s.Route, Smarthost, MX)
	}
	for _, v := range values[1:] {
		if s.Route == MX && v == "own" {
			s.Own = true
			continue
		}
		key, n, _ := strings.Cut(v, "=")
		if key != "hosts" || s.Route != MX {
			return fmt.Errorf("route %s: unknown word %q", s.Route, v)
		}
		if s.Hosts, err = whole(n, 1, maxHosts); err != nil {
			return fmt.Errorf("hosts %q: %w", n, err)
		}
	}
	return nil
}

// times reads "wait idle=20s most=90s" and "kill after=4s".
func (s *Scenario) times(word string, values []string) error {
	for _, v := range values {
		key, text, _ := strings.Cut(v, "=")
		d, err := duration(text)
		switch word + " " + key {
		case "wait idle":
			s.Idle = d
		case "wait most":
			s.Most = d
		case "kill after":
			s.KillAfter = d
		default:
			return fmt.Errorf("%s: unknown word %q", word, v)
		}
		if err != nil {
			return fmt.Errorf("%s %q: %w", word, v, err)
		}
	}
	return nil
}

// processors are a list as taskset has it.
var processors = regexp.MustCompile(`^\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?){0,63}$`)

// cpus reads "cpus server=0 load=1".
func (s *Scenario) cpus(values []string) error {
	for _, v := range values {
		key, list, _ := strings.Cut(v, "=")
		at := map[string]*string{"server": &s.ServerCPUs, "load": &s.LoadCPUs}[key]
		if at == nil {
			return fmt.Errorf("cpus: unknown word %q", v)
		}
		if !processors.MatchString(list) {
			return fmt.Errorf("cpus %s: %q is no list of processors such as 0 or 0-1,3", key, list)
		}
		*at = list
	}
	return nil
}

// check looks at what lines say together.
func (s *Scenario) check() error {
	for _, w := range s.Source {
		switch key, _, _ := strings.Cut(w, "="); key {
		case "address", "run", "sink", "control", "tls", "wait":
			return fmt.Errorf("source: %q is for the runner to say", w)
		}
	}
	for _, w := range slices.Concat(s.Sink, s.Refuse) {
		switch key, _, _ := strings.Cut(w, "="); key {
		case "listen", "control", "run", "store", "store-max", "store-late", "manner":
			return fmt.Errorf("sink: %q is for the runner to say", w)
		}
	}
	if s.Verify > 0 && s.DKIM == "" {
		return errors.New("verify needs dkim: nobody signs")
	}
	if s.sourceWord("count") == "" && s.sourceWord("duration") == "" {
		return errors.New(`the source needs "count" or "duration", or it would never end`)
	}
	return nil
}

// sourceWord is a word of the source.
func (s *Scenario) sourceWord(key string) string {
	for _, w := range s.Source {
		if k, v, _ := strings.Cut(w, "="); k == key {
			return v
		}
	}
	return ""
}

// merge replaces words whose key comes again, and appends the others.
func merge(old, words []string) []string {
	all := slices.Clone(old)
	for _, w := range words {
		key, _, _ := strings.Cut(w, "=")
		i := slices.IndexFunc(all, func(o string) bool { k, _, _ := strings.Cut(o, "="); return k == key })
		if i >= 0 {
			all[i] = w
		} else {
			all = append(all, w)
		}
	}
	return all
}

func whole(text string, low, high int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("not a number from %d to %d", low, high)
	}
	return n, nil
}

func duration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > 24*time.Hour {
		return 0, errors.New("not a duration such as 30s, up to 24h")
	}
	return d, nil
}
