// Command mailboxes loads two servers that keep mail, one after the other in
// each phase, and prints how they compare: local delivery by LMTP or SMTP, then
// what mail programs do with the folder: SELECT, flags, SEARCH, download.
//
//	go run ./bench/mailboxes -messages 20000 \
//	    tenma,user=ann@example.test,password=pw,lmtp=127.0.0.1:2024,imap=127.0.0.1:2143,pop3=127.0.0.1:2110,tls \
//	    dovecot,user=ann@example.test,password=pw,lmtp=127.0.0.1:24,imap=127.0.0.1:143,pop3=127.0.0.1:110
//
// The mailboxes should be empty at the start. Both should speak TLS ("tls") or
// neither. With pid=N beside a server's addresses the resident memory of that
// process is told, before and at most during a phase. A first SELECT after a
// restart is a run of its own: -skip-delivery -phases SELECT -repeat 1. Figures
// are only good for a ratio within one run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"
)

// server is one of those compared.
type server struct {
	name, user, password string
	lmtp, smtp           string
	imap, pop3           string
	tls                  bool // STARTTLS and STLS before the login
	pid                  int  // the process whose memory is watched; 0: none
}

// load is what is done to each.
type load struct {
	messages, size, connections, repeat int
	skipDelivery                        bool
	only                                []string // phases; none: all
}

// phase is one measurement. It gives the seconds that it took and how much was
// done in them, in its unit; with a unit of "" the time itself is the figure.
type phase struct {
	name, unit string
	run        func(ctx context.Context, s server, l load) (work float64, took time.Duration, err error)
}

// phases are what is measured, in this order. Those behind "append" change the
// mailbox, and each is run once.
func phases() []phase {
	return []phase{
		{"deliver", "messages", deliver},
		{"SELECT", "", sessionPhase("SELECT INBOX")},
		{"FETCH FLAGS", "", sessionPhase("FETCH 1:* (FLAGS)")},
		{"SEARCH FROM", "", sessionPhase("SEARCH FROM sender77@")},
		{"SEARCH SUBJECT", "", sessionPhase("SEARCH SUBJECT number")},
		{"SORT", "", sessionPhase("SORT (FROM DATE) UTF-8 ALL")},
		{"THREAD", "", sessionPhase("THREAD REFERENCES UTF-8 ALL")},
		{"FETCH ENVELOPE", "", sessionPhase("FETCH 1:* (UID FLAGS ENVELOPE)")},
		{"FETCH header fields", "", sessionPhase("FETCH 1:* (UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (FROM TO CC SUBJECT DATE MESSAGE-ID)])")},
		{"FETCH BODYSTRUCTURE", "", sessionPhase("FETCH 1:* (BODYSTRUCTURE)")},
		{"FETCH BODY[]", "octets", downloadIMAP},
		{"FETCH by ten", "octets", downloadParallel},
		{"POP3 login", "", popPhase("")},
		{"LIST", "", popPhase("LIST")},
		{"UIDL", "", popPhase("UIDL")},
		{"RETR", "octets", downloadPOP3},
		{"append", "messages", appendMany},
		{"copy", "messages", changePhase(folder, "COPY 1:* "+other, changed)},
		{"move", "messages", changePhase(folder, "MOVE 1:* "+other, changed)},
		{"store", "messages", changePhase("INBOX", "STORE 1:* +FLAGS (\\Flagged)", all)},
		{"expunge", "messages", changePhase("INBOX", "EXPUNGE", halved)},
	}
}

// once says that a phase cannot be repeated.
func once(name string) bool {
	return slices.Contains([]string{"deliver", "append", "copy", "move", "store", "expunge"}, name)
}

func main() {
	log.SetFlags(0)
	var l load
	flag.IntVar(&l.messages, "messages", 20000, "how many `messages`")
	flag.IntVar(&l.size, "size", 4096, "`octets` of each")
	flag.IntVar(&l.connections, "connections", 10, "`connections` that deliver")
	flag.IntVar(&l.repeat, "repeat", 5, "how often each other phase is run; the median counts")
	flag.BoolVar(&l.skipDelivery, "skip-delivery", false, "the messages are there already")
	only := flag.String("phases", "", "`names` of the phases to run, with commas between; all if empty")
	flag.Parse()
	if *only != "" {
		l.only = strings.Split(*only, ",")
	}
	var servers []server
	for _, arg := range flag.Args() {
		s, err := parseServer(arg)
		if err != nil {
			log.Fatal(err)
		}
		servers = append(servers, s)
	}
	if len(servers) == 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := compare(ctx, servers, l); err != nil {
		log.Fatal(err)
	}
}

func parseServer(arg string) (server, error) {
	fields := strings.Split(arg, ",")
	s := server{name: fields[0]}
	keys := map[string]*string{
		"user": &s.user, "password": &s.password, "lmtp": &s.lmtp, "smtp": &s.smtp, "imap": &s.imap, "pop3": &s.pop3,
	}
	for _, f := range fields[1:] {
		key, value, _ := strings.Cut(f, "=")
		if key == "tls" {
			s.tls = true
		} else if key == "pid" {
			n, err := strconv.Atoi(value)
			if err != nil {
				return s, fmt.Errorf("%s: pid: %w", s.name, err)
			}
			s.pid = n
		} else if into := keys[key]; into != nil {
			*into = value
		} else {
			return s, fmt.Errorf("%s: unknown key %q", s.name, key)
		}
	}
	if s.user == "" || s.imap == "" {
		return s, errors.New("a server is NAME,user=U,password=P,lmtp=ADDRESS,imap=ADDRESS,pop3=ADDRESS; user and imap are needed")
	}
	return s, nil
}

// compare runs each phase on all servers in turn, as often as asked, and prints
// the medians; the last column is the first server's figure over the second's,
// above 1 where the first is faster.
func compare(ctx context.Context, servers []server, l load) error {
	fmt.Printf("%-22s", "phase")
	for _, s := range servers {
		fmt.Printf("%18s", s.name)
	}
	fmt.Printf("%10s\n", "ratio")
	for _, p := range phases() {
		if p.name == "deliver" && l.skipDelivery || len(l.only) > 0 && !slices.Contains(l.only, p.name) {
			continue
		}
		times := l.repeat
		if once(p.name) {
			times = 1
		}
		figures := make([][]float64, len(servers))
		memory := make([]string, len(servers))
		for range times {
			for i, s := range servers {
				stop := watch(s.pid)
				work, took, err := p.run(ctx, s, l)
				if before, most := stop(); s.pid != 0 {
					memory[i] = fmt.Sprintf("  %s: %d to %d MiB", s.name, before>>20, most>>20)
				}
				if err != nil {
					return fmt.Errorf("%s: %s: %w", p.name, s.name, err)
				}
				figure := took.Seconds()
				if p.unit != "" {
					figure = work / figure
				}
				figures[i] = append(figures[i], figure)
			}
		}
		report(p, figures, strings.Join(memory, ""))
	}
	return nil
}

func report(p phase, figures [][]float64, memory string) {
	fmt.Printf("%-22s", p.name)
	medians := make([]float64, len(figures))
	for i, f := range figures {
		slices.Sort(f)
		medians[i] = f[len(f)/2]
		switch p.unit {
		case "":
			fmt.Printf("%15.1f ms", medians[i]*1000)
		case "octets":
			fmt.Printf("%13.1f MB/s", medians[i]/1e6)
		default:
			fmt.Printf("%16.0f/s", medians[i])
		}
	}
	if len(medians) > 1 {
		ratio := medians[0] / medians[1]
		if p.unit == "" {
			ratio = 1 / ratio
		}
		fmt.Printf("%10.2f", ratio)
	}
	fmt.Println(memory)
}
