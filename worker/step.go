package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/subprocess"
	"github.com/perdure-io/perdure/storage/blob"
)

// Step is the main of the process that a worker starts for a step whose executor is a subprocess: [Main] calls it for its
// verb "step". A program that calls [New] itself calls it where Options.StepCommand leads. It returns an error at once in
// any other process.
func Step(ctx context.Context, d *definitions.Definitions) error {
	return subprocess.Serve(ctx, func(ctx context.Context, setup json.RawMessage) (subprocess.Codes, error) {
		var settings config.Storage
		if err := json.Unmarshal(setup, &settings); err != nil {
			return nil, fmt.Errorf("read what the worker says of the storage: %w", err)
		}
		storage, err := openStorage(ctx, settings)
		if err != nil {
			return nil, err
		}
		runtime, err := definitions.NewRuntime(d, definitions.Environment{Storage: storage, Log: slog.Default()})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("the definitions are invalid:\n%w", err), storage.Close())
		}
		return &stepCodes{runtime, storage}, nil
	})
}

// stepCodes are the definitions of a step's process.
type stepCodes struct {
	*definitions.Runtime
	storage *blob.Storage
}

// Close closes the open resources and the default storage.
func (c *stepCodes) Close(ctx context.Context) error {
	return errors.Join(c.Runtime.Close(ctx), c.storage.Close())
}

// openStorage opens the instance's default storage.
func openStorage(ctx context.Context, settings config.Storage) (*blob.Storage, error) {
	var options []blob.Option
	if settings.StablePath {
		options = append(options, blob.StablePaths())
	}
	storage, err := blob.Open(ctx, settings.URL, options...)
	if err != nil {
		return nil, fmt.Errorf("open the storage at %s (storage.url): %w", settings.URL, err)
	}
	return storage, nil
}

// stepExecutor starts the processes of steps that run in one of their own.
func (w *Worker) stepExecutor() (*subprocess.Executor, error) {
	command := w.options.StepCommand
	if len(command) == 0 {
		program, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program's file, to start processes for steps: %w: set Options.StepCommand", err)
		}
		command = []string{program, stepVerb}
	}
	setup, err := json.Marshal(w.options.Config.Storage)
	if err != nil {
		return nil, fmt.Errorf("tell the processes of steps of the storage: %w", err)
	}
	return &subprocess.Executor{Command: command, Setup: setup, Log: w.log}, nil
}
