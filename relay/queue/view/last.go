package view

import (
	"sync"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// LastReply is what the latest attempt in a lane heard. Its methods may be
// called from any goroutine.
type LastReply struct {
	mu    sync.Mutex
	host  string
	reply smtp.Reply
	at    time.Time
}

// Set notes the reply in o.
func (r *LastReply) Set(o *mail.Outcome, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.host, r.reply, r.at = o.Host, o.Reply, at
}

// Reply gives the reply and its host's name.
func (r *LastReply) Reply() (host string, reply smtp.Reply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.host, r.reply
}

// Get gives the reply with its host's name, and when it came; zero: never.
func (r *LastReply) Get() (string, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at.IsZero() {
		return "", r.at
	}
	if r.host == "" {
		return r.reply.String(), r.at
	}
	return r.host + ": " + r.reply.String(), r.at
}
