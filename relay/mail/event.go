package mail

import (
	"time"

	"tenma/relay/wire/arf"
	"tenma/spool"
)

// EventKind is the closed list of the mail log.
type EventKind uint8

// The kinds; names and meaning follow KumoMTA's log records.
const (
	EventReception EventKind = iota + 1
	EventDelivery
	EventTransientFailure
	EventBounce
	EventExpiration
	EventAdminBounce
	EventOOB
	EventFeedback
	EventRejection
	EventDelayed
	EventAdminRebind
)

var eventNames = [...]string{"", "Reception", "Delivery", "TransientFailure", "Bounce", "Expiration", "AdminBounce", "OOB", "Feedback", "Rejection", "Delayed", "AdminRebind"}

// String gives the name that stands in the log.
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return "Unknown"
}

// Event is one fact for the mail log: one recipient, one happening. A
// Reception has one event for the whole message (Recipient is -1), a Rejection
// has no ID.
type Event struct {
	Kind      EventKind
	Time      time.Time
	ID        spool.ID
	Envelope  *Envelope // shared, read-only; never nil
	Recipient int       // index into Envelope.Recipients, -1 for all
	Attempts  int
	Lane      Lane
	Outcome   Outcome
	InQueue   time.Duration // since Envelope.Received

	// Of OOB and Feedback, whose ID is that of the message that came back:
	About    spool.ID    // the message of ours that it is about; zero: not known
	Feedback *arf.Report // of a Feedback
}
