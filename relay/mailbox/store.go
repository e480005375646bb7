package mailbox

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/relay/mailbox/post"
	"tenma/relay/mailbox/store"
	"tenma/relay/wire/smtp"
)

// Store is the stage: it keeps mail (the methods of store.Store) and brings mail
// in (Deliver). It may be used from any goroutine.
type Store struct {
	*store.Store
	cfg  atomic.Pointer[Config]
	deps Deps
	log  *slog.Logger
	post *post.Post
}

var _ mail.Deliver = (*Store)(nil).Deliver

// New opens the database in cfg.Dir, or makes one. One process may have it open.
// No mail is written before Run.
func New(cfg Config, deps Deps) (*Store, error) {
	cfg = cfg.withDefaults()
	if deps.Metrics == nil {
		deps.Metrics = metrics.NewMailbox(nil)
	}
	s := &Store{deps: deps, log: cfg.Log}
	s.cfg.Store(&cfg)
	var err error
	s.Store, err = store.Open(store.Options{
		Dir: cfg.Dir, FS: deps.FS, Log: cfg.Log, Limit: s.limit, MinFree: deps.MinFree, Random: deps.Random,
		MemTable: deps.MemTable, Bubble: deps.Bubble, Bounds: cfg.bounds(),
	})
	if err != nil {
		return nil, err
	}
	s.post = post.New(postConfig(&cfg), post.Deps{
		Boxes: boxes{s}, Resolver: deps.Resolver, Outbox: deps.Outbox, Metrics: deps.Metrics, Log: cfg.Log,
	})
	return s, nil
}

// Run works until ctx is cancelled and all that was begun is durable. Its error
// is what made the disk fail. Without it, whatever writes waits.
func (s *Store) Run(ctx context.Context) error {
	var janitor sync.WaitGroup
	janitor.Go(func() { s.janitor(ctx) })
	err := s.Store.Run(ctx)
	janitor.Wait()
	return err
}

// Apply puts another configuration in force, but for Dir and Log.
func (s *Store) Apply(cfg Config) {
	cfg = cfg.withDefaults()
	s.cfg.Store(&cfg)
	s.Store.Apply(cfg.bounds())
	s.post.Apply(postConfig(&cfg))
}

// Open opens the mailbox of an account, which is made with INBOX, Drafts, Sent,
// Trash, Junk and Archive when it is first used. Close must be called.
func (s *Store) Open(account string) (*Mailbox, error) { return s.Mailbox(account) }

// limit is the quota of an account, in octets; 0 and below: none.
func (s *Store) limit(account string) int64 {
	if a, err := smtp.ParseMailbox(account); err == nil && s.deps.Resolver != nil {
		if set, ok := s.deps.Resolver.Settings(a); ok && set.Quota != 0 {
			return set.Quota
		}
	}
	return s.cfg.Load().Quota
}
