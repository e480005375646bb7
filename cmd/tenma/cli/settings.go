package cli

import (
	"errors"
	"fmt"

	"tenma/relay/config"
)

// Settings is the flag of all commands that need a configuration.
type Settings struct {
	Config string `short:"c" placeholder:"FILE" help:"Configuration file. Without one: the built-in defaults, with data in ./tenma-data."`
}

// Read gives the configuration for running the relay, with every file that it
// names read and checked.
func (s *Settings) Read() (*config.Config, []config.Warning, error) {
	if s.Config == "" {
		cfg, err := config.Default()
		return cfg, nil, err
	}
	return config.Load(s.Config)
}

// Peek gives the configuration for commands that only want to know where
// things are.
func (s *Settings) Peek() (*config.Config, error) {
	if s.Config == "" {
		return config.Default()
	}
	cfg, err := config.Peek(s.Config)
	return cfg, shorten(err)
}

// shorten tells the first of many errors; tenma check tells all.
func shorten(err error) error {
	var all config.Errors
	if errors.As(err, &all) && len(all) > 1 {
		return fmt.Errorf("%w (and %d more; see \"tenma check\")", all[0], len(all)-1)
	}
	return err
}
