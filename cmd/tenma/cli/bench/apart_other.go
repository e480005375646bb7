//go:build !unix

package bench

import "errors"

// goApart: only Linux has networks apart.
func goApart() error { return errors.New("not Linux") }
