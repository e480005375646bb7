package classify

import (
	"sync"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// Bounds of a memo. A server out of patience says the same to a whole
// campaign, and all large providers together have some hundred ways to say no; what bears an id of
// its own in each reply is not found again, and is thrown out with the rest.
const (
	maxMemo     = 1024
	maxMemoText = 300 // octets of a text that is worth remembering
)

// memo remembers diagnoses of replies: finding one costs a tenth of judging it.
type memo struct {
	mu    sync.Mutex
	known map[memoKey]mail.Diagnosis // guarded by mu
}

type memoKey struct {
	code    int
	status  smtp.Status
	command string
	ours    bool
	text    string // as plainText has it: without addresses and codes
}

func (m *memo) get(k memoKey) (d mail.Diagnosis, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok = m.known[k]
	return d, ok
}

func (m *memo) put(k memoKey, d mail.Diagnosis) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= maxMemo {
		m.known = make(map[memoKey]mail.Diagnosis)
	}
	m.known[k] = d
}
