package main

import (
	"errors"
	"fmt"
	"log/slog"
	"syscall"
	"time"

	"tenma/metrics"
	"tenma/relay"
	"tenma/relay/config"
	"tenma/spool/pebblespool"
)

// assemble joins the relay with the spool engine of this binary and opens its
// listeners.
func assemble(cfg *config.Config, log *slog.Logger) (process, error) {
	r, err := relay.New(options(cfg, log))
	for began := time.Now(); locked(err) && time.Since(began) < lockTime; r, err = relay.New(options(cfg, log)) {
		log.Info("waiting for another relay to let go of the data", "data_dir", cfg.DataDir)
		time.Sleep(lockTime / 10)
	}
	if err != nil {
		return nil, hindered(cfg, err)
	}
	return r, hindered(cfg, r.Listen())
}

// lockTime is how long a start waits for the lock on the data. A relay that was
// killed holds it until the kernel has ended its last write, which on a busy disk
// takes longer than whoever starts it again.
const lockTime = 5 * time.Second

// locked reports that a file lock is held by another process.
func locked(err error) bool {
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EWOULDBLOCK)
}

// hindered says what to do about the usual hindrances of a start.
func hindered(cfg *config.Config, err error) error {
	switch {
	case locked(err):
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
