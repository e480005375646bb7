package main

import (
	"log/slog"

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
	return r, r.Listen()
}

// options is what every command that runs a relay gives it.
func options(cfg *config.Config, log *slog.Logger) relay.Options {
	return relay.Options{Config: cfg, OpenSpool: openSpool, Log: log, Version: version(), Registry: metrics.NewRegistry(version())}
}

// openSpool chooses the engine: Pebble.
func openSpool(c config.Spool, beforeSettle func() error, m *metrics.Spool, log *slog.Logger) (relay.Engine, error) {
	percent := c.MinFreePercent
	if percent == 0 {
		percent = -1 // none, where the configuration says so; 0 is the engine's default
	}
	return pebblespool.Open(pebblespool.Options{
		Dir: c.Dir, NoSync: !c.Sync, Memory: c.Memory, MinFreePercent: percent, MinFreeBytes: c.MinFreeBytes,
		BeforeSettle: beforeSettle, Logger: log, Metrics: m,
	})
}
