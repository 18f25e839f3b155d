package program

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// quiet is how long the source must be left alone before it is built: an editor and a git checkout write many files.
const quiet = 200 * time.Millisecond

// watcher tells when a program's source has changed. It belongs to one goroutine.
type watcher struct {
	files   *fsnotify.Watcher
	source  source
	watched map[string]bool
}

func newWatcher() (*watcher, error) {
	files, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch the source: %w", err)
	}
	return &watcher{files: files, watched: map[string]bool{}}, nil
}

// follow watches the folders of the source as it is now.
func (w *watcher) follow(now source) error {
	w.source = now
	wanted := map[string]bool{}
	for _, folder := range now.folders {
		wanted[folder] = true
		if w.watched[folder] {
			continue
		}
		if err := w.files.Add(folder); err != nil {
			return fmt.Errorf("watch %s: %w", folder, err)
		}
		w.watched[folder] = true
	}
	for folder := range w.watched {
		if wanted[folder] {
			continue
		}
		delete(w.watched, folder)
		if err := w.files.Remove(folder); err != nil && !errors.Is(err, fsnotify.ErrNonExistentWatch) {
			return fmt.Errorf("stop watching %s: %w", folder, err)
		}
	}
	return nil
}

// concerns says whether an event can change the program.
func (w *watcher) concerns(event fsnotify.Event) bool {
	return event.Op != fsnotify.Chmod && w.source.matters(event.Name)
}

// matters says whether a change of the file can change the program.
func (s source) matters(path string) bool {
	name := filepath.Base(path)
	switch {
	case strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || strings.HasSuffix(name, "_test.go"):
		return false // editors keep their own files beside ours
	case s.embedded[path]:
		return true
	case strings.HasSuffix(name, ".go"), name == "go.mod", name == "go.sum", name == "go.work":
		return true
	default:
		return s.embedFolders[filepath.Dir(path)]
	}
}
