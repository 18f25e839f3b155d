package definitions

import (
	"context"
	"log/slog"
)

// Context is a context.Context that also knows the step: its logger, its run, and what to report.
// It holds nothing that only some steps have: config and resources are parameters. In a unit test:
// NewContext(t.Context()).
type Context interface {
	context.Context
	// Log writes to the worker's output, with run, step and attempt.
	Log() *slog.Logger
	// Run says which run and attempt this is.
	Run() RunInfo
	// Report adds metadata to everything that this step produces.
	Report(...Metadatum)
	// Reported is what was reported so far, for tests.
	Reported() []Metadatum
	sealed()
}

// RunInfo says which run, cause and attempt this is.
type RunInfo struct {
	// ID is the run's id, which is its Temporal workflow id; "" outside a run.
	ID string
	// Cause is the id of the event that led to the run.
	Cause string
	// Attempt counts failures of the user's function, from 1; a worker that died does not count.
	Attempt int
	// Tags are the run's.
	Tags map[string]string
}
