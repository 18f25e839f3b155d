package devstack

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// state is what a stack's folder remembers between starts, in stack.json.
type state struct {
	path string

	// ID tells this folder's data from that of a folder of the same name which was deleted.
	ID string `json:"id"`
	// Ports are those of the last start, taken again where they are free: bookmarks of the Web UI stay true.
	TemporalPort int `json:"temporal_port,omitempty"`
	HTTPPort     int `json:"http_port,omitempty"`
	UIPort       int `json:"ui_port,omitempty"`
	PostgresPort int `json:"postgres_port,omitempty"`
	// TemporalProcess is Temporal's process id while it runs: a next start stops what a killed one left.
	// PostgreSQL keeps its own in postmaster.pid.
	TemporalProcess int `json:"temporal_process,omitempty"`
}

func readState(dir string) (*state, error) {
	read := &state{path: filepath.Join(dir, "stack.json")}
	content, err := os.ReadFile(read.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		read.ID = rand.Text()
		return read, read.write()
	case err != nil:
		return nil, fmt.Errorf("read the local stack's state: %w", err)
	}
	if err := json.Unmarshal(content, read); err != nil {
		return nil, fmt.Errorf("read the local stack's state %s: %w; delete the folder %s to begin anew", read.path, err, dir)
	}
	return read, nil
}

// write replaces the file as a whole: a start that is killed leaves the old one or the new one.
func (s *state) write() error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write the local stack's state: %w", err)
	}
	if err := writeWhole(s.path, append(content, '\n')); err != nil {
		return fmt.Errorf("write the local stack's state: %w", err)
	}
	return nil
}

func writeWhole(path string, content []byte) error {
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
