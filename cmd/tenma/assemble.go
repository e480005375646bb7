package main

import (
	"log/slog"
	"net"

	"tenma/metrics"
	"tenma/relay"
	"tenma/relay/config"
	"tenma/spool/pebblespool"
)

// assemble joins the relay with the spool engine of this binary and opens its
// listeners.
func assemble(cfg *config.Config, log *slog.Logger) (process, error) {
	r, err := relay.New(options(cfg, log))
	if err != nil {
		return nil, err
	}
	if err := r.Listen(); err != nil {
		return nil, err
	}
	listening := make(chan struct{})
	close(listening)
	return &assembled{r, cfg, listening}, nil
}

// options is what every command that runs a relay gives it.
func options(cfg *config.Config, log *slog.Logger) relay.Options {
	return relay.Options{Config: cfg, OpenSpool: openSpool, Log: log, Version: version()}
}

// openSpool chooses the engine: Pebble.
func openSpool(c config.Spool, beforeSettle func() error, m *metrics.Spool, log *slog.Logger) (relay.Engine, error) {
	return pebblespool.Open(pebblespool.Options{
		Dir: c.Dir, NoSync: !c.Sync, Memory: c.Memory, MinFreePercent: c.MinFreePercent, MinFreeBytes: c.MinFreeBytes,
		BeforeSettle: beforeSettle, Logger: log, Metrics: m,
	})
}

// assembled is a relay as serve sees it.
type assembled struct {
	*relay.Relay
	cfg       *config.Config
	listening chan struct{}
}

func (a *assembled) Ready() <-chan struct{} { return a.listening }

func (a *assembled) Addrs() map[string]net.Addr {
	smtp, http := a.Relay.Addrs()
	byName := map[string]net.Addr{}
	for i, l := range a.cfg.Ingress.Listeners {
		byName[l.Address] = smtp[i]
	}
	for i, l := range a.cfg.Admin.Listeners {
		byName[l.Address] = http[i]
	}
	return byName
}
