package admin

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"tenma/relay/mail"
	"tenma/relay/queue"
)

// Message is a queued message in the API's JSON.
type Message struct {
	ID         string      `json:"id" doc:"names the message, also in the 250 reply and in the mail log"`
	Sender     string      `json:"sender" doc:"envelope sender; empty for a DSN"`
	ReturnPath string      `json:"return_path,omitempty" doc:"what goes out in the place of sender, signed"`
	Batch      string      `json:"batch_id,omitempty" doc:"the id that the client was told, where its message was split into one for each recipient"`
	Recipients []Recipient `json:"recipients"`
	Received   time.Time   `json:"received" doc:"when it was accepted"`
	Expire     *time.Time  `json:"expire,omitempty" doc:"when trying ends, if the message says so itself"`
	Size       int64       `json:"size" doc:"octets"`
	Held       bool        `json:"held" doc:"an operator holds it"`
	Priority   int         `json:"priority" doc:"-1 bulk, 0 ordinary, 1 urgent"`
	Tenant     string      `json:"tenant,omitempty"`
	Campaign   string      `json:"campaign,omitempty"`
	Account    string      `json:"account,omitempty" doc:"who authenticated"`
	Client     string      `json:"client,omitempty" doc:"address that handed it in"`
	HELO       string      `json:"helo,omitempty"`
	From       string      `json:"from,omitempty" doc:"header From"`
	Subject    string      `json:"subject,omitempty" doc:"header Subject"`
	MessageID  string      `json:"message_id,omitempty" doc:"header Message-ID"`
	Lanes      []string    `json:"lanes" doc:"where it waits or runs now; empty when it is not in memory"`
}

// Recipient is one recipient of a queued message.
type Recipient struct {
	Address  string     `json:"address"`
	Fate     string     `json:"fate" doc:"pending, deferred, sent, failed, expired or deleted"`
	Attempts int        `json:"attempts"`
	Due      *time.Time `json:"due,omitempty" doc:"next attempt, when deferred"`
	Reply    string     `json:"reply,omitempty" doc:"the last one"`
	Host     string     `json:"host,omitempty" doc:"who gave the reply; empty: this relay"`
}

// Summary is the queue at a glance.
type Summary struct {
	Messages   int64  `json:"messages" doc:"stored"`
	Ready      int64  `json:"ready" doc:"items that wait for a free connection"`
	Deferred   int64  `json:"deferred" doc:"items in memory that wait for their time"`
	Parked     int64  `json:"parked" doc:"messages that left memory until their time"`
	Running    int64  `json:"running" doc:"attempts under way"`
	Rebuilding bool   `json:"rebuilding" doc:"stored messages are still being read after a start"`
	Resting    int    `json:"resting" doc:"lanes whose destination cannot be reached"`
	Lanes      []Lane `json:"lanes"`
}

// Lane is one lane at a glance.
type Lane struct {
	Lane      string     `json:"lane" doc:"SOURCE->SITE"`
	Ready     int64      `json:"ready"`
	Deferred  int64      `json:"deferred"`
	Running   int64      `json:"running"`
	Oldest    *time.Time `json:"oldest,omitempty" doc:"when the oldest message was accepted"`
	LastReply string     `json:"last_reply,omitempty"`
	LastAt    *time.Time `json:"last_at,omitempty"`
	RestsFrom *time.Time `json:"rests_from,omitempty" doc:"since when it cannot be reached: its mail waits, and one message at a time is tried; absent: it can"`
	NextProbe *time.Time `json:"next_probe,omitempty" doc:"when one message is tried again; when a session opens, what is ready goes out"`
}

// Waiting counts what waits in the lane.
func (l *Lane) Waiting() int64 { return l.Ready + l.Deferred }

// AtRest gives the lanes that rest, in the order of s.
func (s *Summary) AtRest() []Lane {
	return slices.DeleteFunc(slices.Clone(s.Lanes), func(l Lane) bool { return l.NextProbe == nil })
}

// Page is one page of a listing.
type Page struct {
	Messages []Message `json:"messages"`
	Next     string    `json:"next,omitempty" doc:"pass as after to read on; absent at the end"`
}

// Selection says which messages a verb means. All fields that are set must
// hold; with none set, All must be.
type Selection struct {
	IDs       []string `json:"ids,omitempty"`
	Recipient string   `json:"recipient,omitempty" doc:"address, any case"`
	Domain    string   `json:"domain,omitempty" doc:"of a recipient"`
	Sender    string   `json:"sender,omitempty" doc:"address, or @domain"`
	Tenant    string   `json:"tenant,omitempty"`
	Campaign  string   `json:"campaign,omitempty"`
	OlderThan string   `json:"older_than,omitempty" doc:"duration such as 90m or 72h"`
	All       bool     `json:"all,omitempty" doc:"every message"`
}

// String is the selection's JSON, for the log; long lists of ids are cut.
func (s Selection) String() string {
	const most = 10
	if n := len(s.IDs); n > most {
		s.IDs = append(s.IDs[:most:most], fmt.Sprintf("and %d more", n-most))
	}
	text, err := json.Marshal(s)
	if err != nil { // cannot be: it holds nothing but text
		return err.Error()
	}
	return string(text)
}

// Touched tells how many messages a verb changed.
type Touched struct {
	Messages int `json:"messages"`
}

// Problem is an error (RFC 9457). It is what Client's methods return.
type Problem struct {
	Type   string `json:"type,omitempty" doc:"always absent, which means about:blank"`
	Title  string `json:"title" doc:"the HTTP status in words"`
	Status int    `json:"status"`
	Detail string `json:"detail" doc:"what went wrong and what to do"`
}

// Error gives the detail.
func (p *Problem) Error() string { return p.Detail }

func wireMessage(m queue.Message) Message {
	e := m.Envelope
	w := Message{
		ID: m.ID.String(), Sender: e.Sender.String(), Received: e.Received.UTC(), Expire: stamp(e.Expire), Size: e.Size,
		Priority: int(e.Priority), Tenant: e.Tenant, Campaign: e.Campaign, Account: e.Account, HELO: e.HELO,
		From: e.From, Subject: e.Subject, MessageID: e.MsgID,
		Recipients: []Recipient{}, Lanes: []string{},
	}
	w.ReturnPath = e.ReturnPath.String()
	if !e.Batch.IsZero() {
		w.Batch = e.Batch.String()
	}
	if e.Client.IsValid() {
		w.Client = e.Client.String()
	}
	for _, l := range m.Lanes {
		w.Lanes = append(w.Lanes, string(l))
	}
	for i, r := range e.Recipients {
		out := Recipient{Address: r.Address.String(), Fate: mail.Pending.String()}
		if m.State != nil && i < len(m.State.Recipients) {
			st := m.State.Recipients[i]
			out.Fate, out.Attempts, out.Host, out.Due = st.Fate.String(), int(st.Attempts), st.Host, stamp(st.Due)
			if st.Reply.Code != 0 {
				out.Reply = st.Reply.String()
			}
		}
		w.Recipients = append(w.Recipients, out)
	}
	if m.State != nil {
		w.Held = m.State.Held
	}
	return w
}

func wireSummary(s queue.Summary) Summary {
	w := Summary{Messages: s.Messages, Ready: s.Ready, Deferred: s.Deferred, Parked: s.Parked, Running: s.Running, Rebuilding: s.Rebuilding, Lanes: []Lane{}}
	for _, l := range s.Lanes {
		if !l.Resting.IsZero() {
			w.Resting++
		}
		w.Lanes = append(w.Lanes, LaneOf(l))
	}
	return w
}

// LaneOf gives a lane in the API's JSON.
func LaneOf(l queue.LaneSummary) Lane {
	return Lane{
		Lane: string(l.Lane), Ready: l.Ready, Deferred: l.Deferred, Running: l.Running,
		Oldest: stamp(l.Oldest), LastReply: l.LastReply, LastAt: stamp(l.LastAt),
		RestsFrom: stamp(l.Since), NextProbe: stamp(l.Resting),
	}
}

// stamp leaves out the zero time.
func stamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
