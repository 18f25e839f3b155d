package definitions

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/perdure-io/perdure/internal/step"
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
	// Report adds metadata to everything that this step produces. Of two under one label the later holds. Metadata
	// that is invalid, such as a Float of NaN, fails the step when its function has returned.
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
	// Attempt counts failures of the user's function, from 1; a worker that died does not count. For [NewContext], 0 is
	// the first attempt, too.
	Attempt int
	// Tags are the run's.
	Tags map[string]string
}

// ContextOption is an option of [NewContext].
type ContextOption interface{ applyContext(*stepContext) }

func (r RunInfo) applyContext(c *stepContext) {
	c.run = r
	c.run.Attempt = max(r.Attempt, 1)
}

// NewContext makes a Context outside any run, for unit tests of functions: its log is slog's default, its attempt the
// first. What a function does when it is tried again is tested with RunInfo{Attempt: 2}.
func NewContext(ctx context.Context, opts ...ContextOption) Context {
	c := newContext(ctx, slog.Default(), RunInfo{Attempt: 1})
	for _, o := range opts {
		if o != nil {
			o.applyContext(c)
		}
	}
	return c
}

// stepContext is the one Context. Functions may report from several goroutines.
type stepContext struct {
	context.Context
	log *slog.Logger
	run RunInfo

	mutex    sync.Mutex
	reported []Metadatum
}

func newContext(ctx context.Context, log *slog.Logger, run RunInfo) *stepContext {
	return &stepContext{Context: ctx, log: log, run: run}
}

// contextOf is the Context of a step's attempt.
func contextOf(a *step.Attempt) *stepContext {
	return newContext(a.Context, a.Log, RunInfo{ID: a.Run, Cause: a.Cause, Attempt: a.Number, Tags: a.Tags})
}

func (c *stepContext) Log() *slog.Logger { return c.log }
func (c *stepContext) Run() RunInfo      { return c.run }
func (c *stepContext) sealed()           {}

func (c *stepContext) Report(metadata ...Metadatum) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, m := range metadata {
		c.reported = slices.DeleteFunc(c.reported, func(earlier Metadatum) bool { return earlier.Label == m.Label })
		c.reported = append(c.reported, m)
	}
}

func (c *stepContext) Reported() []Metadatum {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return slices.Clone(c.reported)
}

// handOver gives what was reported to the attempt, which records it.
func handOver(a *step.Attempt, reported []Metadatum) error {
	metadata, version, err := lowerMetadata(reported)
	if err != nil {
		return err
	}
	a.Report(metadata...)
	if version != "" {
		a.ReportDataVersion(version)
	}
	return nil
}
