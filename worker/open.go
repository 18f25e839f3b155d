package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/perdure-io/perdure/activities"
	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/computelog"
	"github.com/perdure-io/perdure/metadata"
)

// dialTimeout bounds each look at whether a server is there.
const dialTimeout = 10 * time.Second

func (w *Worker) openDefinitions(ctx context.Context) error {
	storage, err := openStorage(ctx, w.options.Config.Storage)
	if err != nil {
		return err
	}
	w.closeIO = storage.Close
	w.runtime, err = definitions.NewRuntime(w.definitions, definitions.Environment{Storage: storage, Log: w.log})
	if err != nil {
		return fmt.Errorf("the definitions are invalid:\n%w", err)
	}
	w.location = w.runtime.Snapshot().Location
	return nil
}

func (w *Worker) openPrints(ctx context.Context) (err error) {
	w.prints, err = computelog.Open(ctx, w.options.Config.Storage.URL, computelog.Options{Limit: int64(w.options.Config.Logs.MaxOutputBytes)})
	return err
}

func (w *Worker) dialTemporal(ctx context.Context) (err error) {
	w.temporal, err = Dial(ctx, w.options.Config.Temporal, w.log)
	return err
}

func (w *Worker) openStore(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	dsn, err := w.options.Config.PostgresDSN()
	if err != nil {
		return err
	}
	store, err := metadata.Open(ctx, dsn, metadata.Options{MaxOpenConnections: w.options.Config.Postgres.MaxOpenConnections})
	if err != nil {
		return fmt.Errorf("postgres (postgres.dsn) cannot be reached: %w", err)
	}
	w.store = store
	w.lines = activities.NewLines(store, w.log) //nolint:contextcheck // it lives as long as the worker, and not as this call
	return store.CheckSchema(ctx)
}

// buildID is what config names, or the hash of the running program: two builds of one source differ
// only when their bytes do.
func buildID(configured string) (string, error) {
	if configured != "" {
		return configured, nil
	}
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program's file for its build id: %w: set worker.build", err)
	}
	program, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read this program for its build id: %w: set worker.build", err)
	}
	hash := sha256.New()
	_, err = io.Copy(hash, program)
	if err = errors.Join(err, program.Close()); err != nil {
		return "", fmt.Errorf("read this program for its build id: %w: set worker.build", err)
	}
	return hex.EncodeToString(hash.Sum(nil))[:12], nil
}
