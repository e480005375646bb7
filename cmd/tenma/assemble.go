package main

import (
	"errors"
	"fmt"
	"log/slog"
	"syscall"

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
		return nil, hindered(cfg, err)
	}
	return r, hindered(cfg, r.Listen())
}

// hindered says what to do about the usual hindrances of a start.
func hindered(cfg *config.Config, err error) error {
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EWOULDBLOCK): // a file lock
		return fmt.Errorf("another relay is using %s; stop it, or give this one another data_dir (%w)", cfg.DataDir, err)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w; stop what listens there, or configure another address", err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w; ports below 1024 and the data directory need the rights for them", err)
	}
	return err
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
