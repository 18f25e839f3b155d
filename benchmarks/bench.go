package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/devstack"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/worker"
)

// slots is how many activities each worker runs at once, ours and the plain one.
const slots = 100

// workflowPollers is how many ask for workflow tasks in the plain worker: as many as in ours.
const workflowPollers = 10

// bench is the one stack that everything is measured on.
type bench struct {
	folder   string
	stack    *devstack.Stack
	config   config.Config
	temporal client.Client
	plain    sdkworker.Worker
	reached  chan time.Time
	ids      int
	serving  map[string]func() error
	// samples are single times of ours, by benchmark, of those whose tail counts.
	samples map[string][]float64
}

func newBench(ctx context.Context) (_ *bench, err error) {
	b := &bench{reached: make(chan time.Time, 1), serving: map[string]func() error{}, samples: map[string][]float64{}}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.folder, err = os.MkdirTemp("", "perdure-benchmarks-"); err != nil {
		return nil, err
	}
	if b.stack, err = devstack.Start(ctx, devstack.Options{Dir: b.folder, Ephemeral: true}); err != nil {
		return nil, err
	}
	b.config, err = config.Load(config.LoadOptions{Folder: b.folder, Environ: []string{
		"PERDURE_TEMPORAL_ADDRESS=" + b.stack.TemporalAddress, "PERDURE_POSTGRES_DSN=" + b.stack.PostgresDSN,
		fmt.Sprintf("PERDURE_WORKER_MAX_CONCURRENT_STEPS_PER_WORKER=%d", slots),
	}})
	if err != nil {
		return nil, err
	}
	dsn, err := b.config.PostgresDSN()
	if err != nil {
		return nil, err
	}
	if _, err := metadata.Migrate(ctx, dsn); err != nil {
		return nil, err
	}
	if b.temporal, err = worker.Dial(ctx, b.config.Temporal, quiet()); err != nil {
		return nil, err
	}
	return b, b.servePlain()
}

func quiet() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
}

func (b *bench) servePlain() error {
	b.plain = sdkworker.New(b.temporal, plainQueue, sdkworker.Options{
		MaxConcurrentActivityExecutionSize: slots, MaxConcurrentWorkflowTaskPollers: workflowPollers,
	})
	b.plain.RegisterWorkflowWithOptions(plainLayers, workflow.RegisterOptions{Name: plainWorkflow})
	b.plain.RegisterWorkflowWithOptions(plainRun, workflow.RegisterOptions{Name: plainRunWorkflow})
	b.plain.RegisterWorkflowWithOptions(plainStart, workflow.RegisterOptions{Name: plainStartWorkflow})
	b.plain.RegisterActivityWithOptions(plainStep, activity.RegisterOptions{Name: plainActivity})
	b.plain.RegisterActivityWithOptions(func(context.Context) error { b.reached <- time.Now(); return nil }, activity.RegisterOptions{Name: plainStartActivity})
	b.servePlainSignal(b.plain)
	return b.plain.Start()
}

// serve runs a worker of the location, once.
func (b *bench) serve(ctx context.Context, name string, define func() *definitions.Definitions) error {
	if b.serving[name] != nil {
		return nil
	}
	w, err := worker.New(ctx, define(), worker.Options{Config: b.config, Log: quiet()})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- w.Run(running) }()
	b.serving[name] = func() error { stop(); return errors.Join(<-ended, w.Close()) }
	return nil
}

func (b *bench) newID(of string) string {
	b.ids++
	return fmt.Sprintf("%s-%d", of, b.ids)
}

func (b *bench) close() {
	var problems []error
	for _, stop := range b.serving {
		problems = append(problems, stop())
	}
	if b.plain != nil {
		b.plain.Stop()
	}
	if b.temporal != nil {
		b.temporal.Close()
	}
	if b.stack != nil {
		problems = append(problems, b.stack.Stop())
	}
	if b.folder != "" {
		problems = append(problems, os.RemoveAll(b.folder))
	}
	if err := errors.Join(problems...); err != nil {
		fmt.Fprintln(os.Stderr, "stop the benchmark's stack:", err)
	}
}
