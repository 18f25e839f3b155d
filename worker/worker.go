package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	sdkworker "go.temporal.io/sdk/worker"

	"github.com/perdure-io/perdure/activities"
	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/computelog"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

const (
	// touchInterval is how often a worker says that its build is alive; an active build unseen for 60 s may be replaced.
	touchInterval = 15 * time.Second
	// monthsInterval is how often the months of the event log are made, three ahead.
	monthsInterval = 24 * time.Hour
	// stickyTimeout is how soon another worker takes over the workflows of one that died.
	stickyTimeout = time.Second
	// workflowPollers is how many ask for workflow tasks at once. The SDK's default of 2 makes tasks wait for their delivery as soon as
	// some tens of runs go on at once.
	workflowPollers = 10
	// heartbeatThrottle lets a cancel reach user code within 5 s.
	heartbeatThrottle = 5 * time.Second
	// cancelBefore is how long before the end of the drain steps are told to stop, so that they give back their claims.
	cancelBefore = 5 * time.Second
	// controlSlots is how many planning and recording activities run at once.
	controlSlots = 20
	// evaluationSlots is how many schedules and sensors are evaluated at once: one that takes long delays no other.
	evaluationSlots = 100
	// defaultQueue names the location's own queue and its control queue in config.
	defaultQueue = "default"
)

// Options are what a worker needs besides definitions.
type Options struct {
	Config config.Config
	// Log defaults to text on standard error.
	Log *slog.Logger
	// Activate makes this build the active one even if it was superseded before: `perdure dev` does.
	Activate bool
	// StepCommand is the program, with its arguments, that runs a step in a process of its own, by [Step]; nil is this
	// program with the argument "step", which [Main] serves.
	StepCommand []string
}

// Worker serves one code location.
type Worker struct {
	options     Options
	definitions *definitions.Definitions
	location    string
	build       string
	log         *slog.Logger

	temporal client.Client
	store    *metadata.Store
	runtime  *definitions.Runtime
	closeIO  func() error
	lines    *activities.Lines
	prints   *computelog.Store
	waker    *starter.Waker
}

// New checks everything that could keep the worker from serving, and reports all of it at once:
// invalid definitions, an unreachable Temporal or Postgres, a schema behind or ahead of this program,
// a storage that cannot be opened. Close what it returns, also when Run was never called.
func New(ctx context.Context, d *definitions.Definitions, options Options) (*Worker, error) {
	if options.Log == nil {
		options.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	w := &Worker{options: options, definitions: d, log: options.Log}
	err := errors.Join(w.openDefinitions(ctx), w.openPrints(ctx), w.dialTemporal(ctx), w.openStore(ctx))
	if err == nil {
		w.waker = starter.NewWaker(w.temporal, w.store, w.log)
		w.build, err = buildID(options.Config.Worker.Build)
	}
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// Close releases what New opened.
func (w *Worker) Close() error {
	var problems []error
	if w.runtime != nil {
		problems = append(problems, w.runtime.Close(context.Background()))
	}
	if w.closeIO != nil {
		problems = append(problems, w.closeIO())
	}
	if w.prints != nil {
		problems = append(problems, w.prints.Close())
	}
	if w.lines != nil {
		w.lines.Close()
	}
	if w.waker != nil {
		w.waker.Close()
	}
	if w.store != nil {
		problems = append(problems, w.store.Close())
	}
	if w.temporal != nil {
		w.temporal.Close()
	}
	return errors.Join(problems...)
}

// Location is the code location's name.
func (w *Worker) Location() string { return w.location }

// Run registers the build and serves until ctx ends; then it drains: no new work is taken, steps in
// flight have Config.Worker.DrainTimeout to end, and what does not end is given back. When Temporal says that a queue
// cannot be polled at all, as when the namespace was deleted, it drains as well, and returns why.
func (w *Worker) Run(ctx context.Context) error {
	if err := w.register(ctx); err != nil {
		return err
	}
	serving, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	return w.serve(ctx, serving, fail)
}

// serve serves until serving ends: because ctx did, or because fail was called, and then it returns why.
func (w *Worker) serve(ctx, serving context.Context, fail context.CancelCauseFunc) error {
	stepsCtx, stopSteps := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopSteps(nil)
	workers, err := w.start(stepsCtx, fail)
	if err != nil {
		return err
	}
	w.log.Info("serving", "location", w.location, "build", w.build, "queue", w.queue(), "temporal", w.options.Config.Temporal.Address)
	var tending sync.WaitGroup
	tending.Go(func() { w.tendValues(serving) })
	tending.Go(func() { w.tendTriggers(serving) })
	w.touchUntil(serving)
	tending.Wait()
	w.drain(workers, stopSteps)
	if ctx.Err() == nil {
		return context.Cause(serving)
	}
	return nil
}

func (w *Worker) register(ctx context.Context) error {
	state, err := w.store.RegisterBuild(ctx, w.build, w.runtime.Snapshot(), w.options.Activate)
	if err != nil {
		return fmt.Errorf("register build %s of location %q: %w", w.build, w.location, err)
	}
	w.ensureMonths(ctx)
	if !state.Active {
		w.log.Warn("another build of this location is active: this one serves the runs that fit it, and its definitions take effect once it is activated",
			"location", w.location, "build", w.build, "active_build", state.ActiveBuild)
	}
	return nil
}

func (w *Worker) queue() string { return wire.Queue(w.options.Config.Deployment, w.location) }

// start polls the configured queues. When one of them cannot be polled any more, fail hears why.
func (w *Worker) start(ctx context.Context, fail context.CancelCauseFunc) ([]sdkworker.Worker, error) {
	served, err := w.activities()
	if err != nil {
		return nil, err
	}
	queues := w.options.Config.Worker.Queues
	var workers []sdkworker.Worker
	if slices.Contains(queues, defaultQueue) {
		own := w.newWorker(ctx, fail, w.queue(), w.options.Config.Worker.MaxConcurrentSteps)
		registerWorkflows(own)
		registerSteps(own, served)
		registerOwn(own, served)
		control := w.newWorker(ctx, fail, wire.ControlQueue(w.queue()), controlSlots)
		registerControl(control, served)
		evaluation := w.newWorker(ctx, fail, wire.EvaluationQueue(w.queue()), evaluationSlots)
		registerEvaluation(evaluation, served)
		workers = append(workers, own, control, evaluation)
	}
	for _, name := range queues {
		if name == defaultQueue {
			continue
		}
		named := w.newWorker(ctx, fail, wire.NamedQueue(w.queue(), name), w.options.Config.Worker.MaxConcurrentSteps)
		registerSteps(named, served)
		workers = append(workers, named)
	}
	for i, started := range workers {
		if err := started.Start(); err != nil {
			for _, before := range workers[:i] {
				before.Stop()
			}
			return nil, fmt.Errorf("poll for location %q: %w", w.location, err)
		}
	}
	return workers, nil
}

func (w *Worker) newWorker(ctx context.Context, fail context.CancelCauseFunc, queue string, slots int) sdkworker.Worker {
	return sdkworker.New(w.temporal, queue, w.workerOptions(ctx, fail, queue, slots))
}

func (w *Worker) workerOptions(ctx context.Context, fail context.CancelCauseFunc, queue string, slots int) sdkworker.Options {
	return sdkworker.Options{
		MaxConcurrentActivityExecutionSize: slots,
		MaxConcurrentWorkflowTaskPollers:   workflowPollers,
		BackgroundActivityContext:          ctx,
		StickyScheduleToStartTimeout:       stickyTimeout,
		MaxHeartbeatThrottleInterval:       heartbeatThrottle,
		WorkerStopTimeout:                  w.options.Config.Worker.DrainTimeout,
		Identity:                           w.identity(),
		// The SDK's worker then stops by itself, two minutes after the first such answer: a process that lived on
		// would say that its build is alive.
		OnFatalError: func(err error) {
			fail(fmt.Errorf("poll queue %q of namespace %q (temporal.namespace): %w", queue, w.options.Config.Temporal.Namespace, err))
		},
	}
}

func (w *Worker) identity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	return fmt.Sprintf("%d@%s", os.Getpid(), host)
}

// touchUntil says that the build is alive, and once a day has the event log's coming months made, until ctx ends.
func (w *Worker) touchUntil(ctx context.Context) {
	touch, day := time.NewTicker(touchInterval), time.NewTicker(monthsInterval)
	defer touch.Stop()
	defer day.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-touch.C:
			if _, err := w.store.TouchBuild(ctx, w.location, w.build); err != nil && ctx.Err() == nil {
				w.log.Warn("Postgres did not hear that this build is alive", "error", err)
			}
		case <-day.C:
			w.ensureMonths(ctx)
		}
	}
}

// ensureMonths may fail: events of a month that nobody made lie in the log's default partition meanwhile.
func (w *Worker) ensureMonths(ctx context.Context) {
	if err := w.store.EnsureMonths(ctx); err != nil && ctx.Err() == nil {
		w.log.Warn("the coming months of the event log were not made; the next day is soon enough", "error", err)
	}
}

// drain stops polling and waits for what is in flight. Shortly before its time is up, steps are told.
func (w *Worker) drain(workers []sdkworker.Worker, stopSteps context.CancelCauseFunc) {
	limit := w.options.Config.Worker.DrainTimeout
	w.log.Info("draining", "location", w.location, "timeout", limit)
	tell := time.AfterFunc(max(limit-cancelBefore, limit/2), func() { stopSteps(activities.ErrDraining) })
	defer tell.Stop()
	var stopping sync.WaitGroup
	for _, stopped := range workers {
		stopping.Go(stopped.Stop)
	}
	stopping.Wait()
	w.log.Info("stopped", "location", w.location)
}
