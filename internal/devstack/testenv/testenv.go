// Package testenv gives integration tests real servers: a PostgreSQL and a Temporal dev server for each test process,
// started when the first test asks for one and stopped by Main. Each test gets a schema of its own; for Temporal it
// picks task queues and workflow ids of its own.
//
// A package that uses it says so once:
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perdure-io/perdure/internal/devstack"
)

const (
	// folderPattern names the folders of test servers in the temporary folder.
	folderPattern = "perdure-testenv-"
	// abandonedAge is the age from which a folder that nobody holds is taken for one that a killed test left.
	abandonedAge = time.Hour
)

// mainRuns says that Main will stop what the tests start.
var mainRuns atomic.Bool

// Main runs the package's tests, stops the servers they have started, and exits. It is called by TestMain.
func Main(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	mainRuns.Store(true)
	code := m.Run()
	if err := errors.Join(postgres.stop(), temporal.stop()); err != nil {
		fmt.Fprintln(os.Stderr, "stop the test servers:", err)
		return max(code, 1)
	}
	return code
}

// server is one server of this process: started once, at the first request.
type server struct {
	name    string
	options devstack.Options

	once   sync.Once
	stack  *devstack.Stack
	failed error
	folder string
}

var (
	postgres = &server{name: "postgres", options: devstack.Options{
		WithoutTemporal: true,
		// A person's own server is not for tests.
		LookupEnv: func(name string) (string, bool) {
			if name == "PERDURE_POSTGRES_DSN" {
				return "", false
			}
			return os.LookupEnv(name)
		},
	}}
	temporal = &server{name: "temporal", options: devstack.Options{WithoutPostgres: true, WithoutUI: true}}
)

// get returns the running server, or ends the test.
func (s *server) get(t testing.TB) *devstack.Stack {
	t.Helper()
	if !mainRuns.Load() {
		t.Fatal("this package needs: func TestMain(m *testing.M) { testenv.Main(m) }")
	}
	s.once.Do(s.start)
	if s.failed != nil {
		t.Fatalf("start the test server: %v", s.failed)
	}
	return s.stack
}

func (s *server) start() {
	removeAbandoned()
	s.folder, s.failed = os.MkdirTemp("", folderPattern+s.name+"-")
	if s.failed != nil {
		return
	}
	// As root, PostgreSQL runs under another account, which must pass through.
	if s.failed = os.Chmod(s.folder, 0o711); s.failed != nil {
		return
	}
	s.options.Dir, s.options.Ephemeral, s.options.Log = s.folder, true, os.Stderr
	s.stack, s.failed = devstack.Start(context.Background(), s.options)
}

func (s *server) stop() error {
	s.once.Do(func() { s.failed = errors.New("the tests have ended") })
	var err error
	if s.stack != nil {
		err = s.stack.Stop()
	}
	if s.folder != "" {
		err = errors.Join(err, os.RemoveAll(s.folder))
	}
	return err
}

// removeAbandoned removes the folders of test processes that were killed: old ones whose server is gone.
func removeAbandoned() {
	folders, err := filepath.Glob(filepath.Join(os.TempDir(), folderPattern+"*"))
	if err != nil {
		return
	}
	for _, folder := range folders {
		if info, err := os.Stat(folder); err == nil && time.Since(info.ModTime()) > abandonedAge {
			devstack.RemoveUnused(folder)
		}
	}
}
