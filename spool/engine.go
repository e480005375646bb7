package spool

import (
	"context"
	"errors"
	"io"
	"time"
)

// Errors of an Engine.
var (
	ErrFull      = errors.New("spool: no room")           // disk reserve or memory reached; a later try may do
	ErrSick      = errors.New("spool: storage failed")    // until the process is restarted
	ErrStalled   = errors.New("spool: settlements wait")  // for something outside the store (the mail log); Health only
	ErrClosed    = errors.New("spool: closed")            // Run has ended
	ErrNotFound  = errors.New("spool: no such entry")     // removed, or never there
	ErrDuplicate = errors.New("spool: already committed") // see DuplicateError
)

// DuplicateError says that a draft's dedupe key was used before. It matches
// ErrDuplicate.
type DuplicateError struct{ First ID }

// Error gives ErrDuplicate's text and the first id.
func (e *DuplicateError) Error() string { return ErrDuplicate.Error() + " as " + e.First.String() }

// Is makes errors.Is(err, ErrDuplicate) true.
func (e *DuplicateError) Is(target error) bool { return target == ErrDuplicate }

// MaxInline is the largest body that a draft may carry in memory, in octets.
// A larger one goes through Stage, outside the group commit, so that it does
// not hold up the small ones (256 KiB; the design's figure).
const MaxInline = 256 << 10

// Draft is an entry to be.
type Draft struct {
	ID       ID     // chosen by the caller; an id that exists already is left as it is
	Envelope []byte // opaque, immutable
	State    []byte // opaque, may be nil

	// Exactly one of these says where the body is. The engine owns Body from
	// the call on; the caller changes it no more.
	Body   []byte  // at most MaxInline octets
	Staged *Staged // from Stage
	Share  ID      // the body of that entry, which is stored or stands earlier in the same call

	DedupeKey []byte        // nil: none. Remembered for DedupeFor, also after removal
	DedupeFor time.Duration // 0: 24 h
	Due       time.Time     // zero: at once
}

// Staged is a large body that is in the store already but belongs to no entry
// yet. One that is never committed is swept by Discard or after a restart.
type Staged struct {
	Key  ID // the engine's name for it
	Size int64
}

// StageWriter takes a large body. Finish makes it durable; either Finish or
// Discard must be called, Discard after Finish drops it again.
type StageWriter interface {
	io.Writer
	Finish() (*Staged, error)
	Discard()
}

// Entry is what Feed, Get, Scan and Find hand out. The slices are the
// receiver's to keep but not to change.
type Entry struct {
	ID       ID
	Envelope []byte
	State    []byte
	BodySize int64
	Due      time.Time // zero: at once
}

// Body is a stored body, open for reading; it stays whole until Close even if
// the entry is removed meanwhile.
type Body interface {
	io.Reader
	io.WriterTo
	io.Closer
	Size() int64
}

// Settlement changes one entry, in one atomic step.
type Settlement struct {
	ID     ID
	State  []byte // the new state; nil: as it was
	Remove bool   // the message is finished: entry and (unless shared) body go

	// Due is when the entry is wanted again; zero clears it. It is indexed, so
	// an entry that is Parked need not be in memory until then.
	Due time.Time
	// Park says that the receiver of Feed forgets the entry: Feed hands it out
	// again when Due comes near. Without Park the receiver keeps track itself.
	// Only who has the entry from Feed may park it. A parked entry that is
	// settled without Park is handed out, since nobody keeps track of it.
	Park bool

	// Keys are words to find the entry by, written with the first settlement
	// that has them; nil: as they were. They go with the entry.
	Keys []string

	// Drafts are stored in the same step (a DSN). They draw on the reserve
	// that ErrFull keeps free. One whose id or dedupe key is known is left out,
	// and the rest of the settlement holds.
	Drafts []Draft
}

// Engine stores entries. All methods may be called from any goroutine; Commit,
// Settle, Stage and Feed need Run.
type Engine interface {
	// Run works until ctx is cancelled and all that was handed in before is
	// durable, then returns. Its error is what made the engine sick, if anything.
	Run(ctx context.Context) error

	// Commit stores the drafts, all or none, and returns when they are on
	// stable storage, or with ErrFull, ErrSick, ErrClosed, *DuplicateError or
	// the context's error (the drafts may then still be stored). Every draft
	// that was stored comes out of Feed.
	Commit(ctx context.Context, drafts ...Draft) error

	// Stage begins a body larger than MaxInline.
	Stage(ctx context.Context) (StageWriter, error)

	// Settle queues s and returns at once; done is called once, when s is
	// durable (nil) or can no longer become so. done must not block and may
	// run before Settle returns. Settling an entry that does not exist is
	// ErrNotFound, and its Drafts are not stored.
	Settle(s Settlement, done func(error))

	// Feed calls take for every entry that wants work, until ctx is cancelled:
	// first the stored ones by age while new ones already arrive, parked ones
	// as they fall due. take may block; it is called from one goroutine at a
	// time. Only one Feed runs at a time.
	Feed(ctx context.Context, take func(Entry)) error

	// Unpark makes Feed hand out a parked entry now; the queue's "retry now".
	// An entry that is not parked is left alone.
	Unpark(ids ...ID)

	// Get reads an entry, or ErrNotFound.
	Get(ctx context.Context, id ID) (Entry, error)

	// Open opens the body of an entry, or ErrNotFound.
	Open(ctx context.Context, id ID) (Body, error)

	// Scan calls fn for the entries after id in order of age until fn returns
	// false. It sees the store as it was at the call.
	Scan(ctx context.Context, after ID, fn func(Entry) bool) error

	// Find is Scan for the entries that carry key.
	Find(ctx context.Context, key string, after ID, fn func(Entry) bool) error

	// Health is nil, or wraps ErrFull, ErrStalled or ErrSick with the reason.
	Health() error

	// Stats tells how full the engine is.
	Stats() Stats
}

// Stats are an engine's figures. Counts are exact once Feed has read all
// stored entries, and rise towards that before.
type Stats struct {
	Entries     int64
	Parked      int64
	BodyBytes   int64 // of all entries
	CachedBytes int64 // bodies in memory
	DiskBytes   int64 // what the store takes on disk
	FreeBytes   int64 // what the file system has left
	Written     int64 // octets written to the store's files since it was opened
	TableBytes  int64 // memory of an engine's write buffers
	CacheBytes  int64 // memory of its cache of what was read
	Rebuilding  bool  // Feed still reads stored entries
	Commits     int64 // drafts stored
	Groups      int64 // synced batches
	Settlements int64
}
