package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/perdure-io/perdure/internal/devstack"
)

const (
	// stateFolder is where `perdure dev` keeps the local stack.
	stateFolder = ".perdure"
	// stackFile tells other commands where a running stack is. It lies in the state folder while the stack runs.
	stackFile = "running.json"
)

// runningStack is where a local stack that runs can be reached.
type runningStack struct {
	TemporalAddress string `json:"temporal_address"`
	UIAddress       string `json:"ui_address"`
	PostgresDSN     string `json:"postgres_dsn"`
	StorageURL      string `json:"storage_url"`
}

// environ is the configuration that leads to the stack, as variables.
func (s runningStack) environ() []string {
	return []string{
		"PERDURE_TEMPORAL_ADDRESS=" + s.TemporalAddress, "PERDURE_TEMPORAL_NAMESPACE=" + devstack.Namespace,
		"PERDURE_TEMPORAL_UI_ADDRESS=http://" + s.UIAddress,
		"PERDURE_POSTGRES_DSN=" + s.PostgresDSN, "PERDURE_STORAGE_URL=" + s.StorageURL,
	}
}

// write tells other commands of the stack; only its owner may read it, for it holds a password.
func (s runningStack) write(state string) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("tell other commands of the stack: %w", err)
	}
	path := filepath.Join(state, stackFile)
	if err := os.WriteFile(path+".new", append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("tell other commands of the stack: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("tell other commands of the stack: %w", err)
	}
	return nil
}

// forget takes back what write has told.
func forget(state string) error {
	err := os.Remove(filepath.Join(state, stackFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// findStack looks for a stack that runs, in the folder and those above.
func findStack(ctx context.Context, folder string) (runningStack, bool, error) {
	for {
		path := filepath.Join(folder, stateFolder, stackFile)
		content, err := os.ReadFile(path)
		switch {
		case err == nil:
			var found runningStack
			if err := json.Unmarshal(content, &found); err != nil {
				return runningStack{}, false, fmt.Errorf("read %s: %w: delete it", path, err)
			}
			return found, answers(ctx, found.TemporalAddress), nil
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission):
			return runningStack{}, false, fmt.Errorf("look for a local stack: %w", err)
		}
		above := filepath.Dir(folder)
		if above == folder {
			return runningStack{}, false, nil
		}
		folder = above
	}
}

// answers says whether anybody listens there: a stack that was killed left its file behind.
func answers(ctx context.Context, address string) bool {
	connection, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	return connection.Close() == nil
}
