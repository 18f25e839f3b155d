package definitions

import (
	"context"
	"io"
	"log/slog"
	"os"
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
	// Progress says how far the function is, out of total; a total of 0 is not known. Temporal's UI shows it with the step's
	// heartbeat, and a [StallTimeout] begins anew. It costs next to nothing, and may be called from several goroutines.
	Progress(done, total int)
	// Stdout and Stderr take what the function prints, as its step's compute log: show it with
	// "perdure run logs RUN --step STEP --stdout". In a test, and where the step has a process of its own, they are
	// that of the process.
	Stdout() io.Writer
	Stderr() io.Writer
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
	// Job is the run's; "" when it runs none.
	Job string
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
	// attempt is nil outside a step.
	attempt *step.Attempt

	mutex    sync.Mutex
	reported []Metadatum
}

func newContext(ctx context.Context, log *slog.Logger, run RunInfo) *stepContext {
	return &stepContext{Context: ctx, log: log, run: run}
}

// contextOf is the Context of a step's attempt.
func contextOf(a *step.Attempt) *stepContext {
	c := newContext(a.Context, a.Log, RunInfo{ID: a.Run, Cause: a.Cause, Attempt: a.Number, Tags: a.Tags, Job: a.Job})
	c.attempt = a
	return c
}

func (c *stepContext) Log() *slog.Logger { return c.log }
func (c *stepContext) Run() RunInfo      { return c.run }
func (c *stepContext) sealed()           {}

func (c *stepContext) Progress(done, total int) {
	if c.attempt != nil {
		c.attempt.Progress(done, total)
	}
}

func (c *stepContext) Stdout() io.Writer {
	if c.attempt == nil {
		return os.Stdout
	}
	return c.attempt.Stdout()
}

func (c *stepContext) Stderr() io.Writer {
	if c.attempt == nil {
		return os.Stderr
	}
	return c.attempt.Stderr()
}

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
