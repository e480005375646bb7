package main

import (
	"errors"
	"log/slog"

	"tenma/relay/config"
)

// assemble joins the relay with the spool engine of this binary.
func assemble(*config.Config, *slog.Logger) (process, error) {
	return nil, errors.New("the relay is not assembled in this build")
}
