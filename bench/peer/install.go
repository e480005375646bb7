package peer

import (
	"context"
	_ "embed" // the script
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed install.sh
var install string

// Install brings the mail servers that a Debian machine can have side by side,
// below the folder work where they would be in each other's way. It says on out
// what it does. It must be run by root. What is there already stays.
func Install(ctx context.Context, work string, out io.Writer) error {
	if os.Geteuid() != 0 {
		return errors.New("installing mail servers needs root: run it with sudo")
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return errors.New("installing mail servers needs Debian's apt-get; elsewhere install them by hand, the drivers use what is in PATH")
	}
	work, err := filepath.Abs(work)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(work, 0o755); err != nil {
		return fmt.Errorf("making the work folder: %w", err)
	}
	cmd := exec.CommandContext(ctx, "bash", "-c", install)
	cmd.Env = append(os.Environ(), "WORK="+work, "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("installing mail servers: %w", err)
	}
	return nil
}
