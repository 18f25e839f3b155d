package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/program"
	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/wire"
)

const (
	firstRetry = time.Second
	maxRetry   = 30 * time.Second
)

func (a *app) devCommand() *cobra.Command {
	var state string
	cmd := &cobra.Command{
		Use: "dev [DIR]", Short: "Run the code location in DIR beside a local stack, and build it anew when it changes",
		Long: "Start Temporal with its Web UI and a private PostgreSQL, build the code location in DIR (default: the current\n" +
			"folder) and run it beside them; when its source changes, build and restart it. Data lies in " + stateFolder + " of the current\n" +
			"folder and is found again by the next start. Ctrl-C stops everything.\n\n" +
			"Other commands in the same folder use this stack: perdure asset list, perdure asset materialize '*'.\n" +
			"PERDURE_POSTGRES_DSN or --postgres-dsn names a PostgreSQL to use in place of a private one.",
		Example: "  perdure dev examples/flights", Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.dev(cmd.Context(), folderOf(args), state) },
	}
	cmd.Flags().StringVar(&state, "state", stateFolder, "folder of the stack's data; that of the demo is "+demoState)
	return cmd
}

func (a *app) dev(ctx context.Context, dir, state string) (err error) {
	if err := a.refuseForLocal(); err != nil {
		return err
	}
	a.warn("starting Temporal and PostgreSQL in %s, building %s", a.env.shown(a.env.path(state)), dir)
	l, err := a.startLocal(ctx, dir, state)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, forget(l.state), l.stop())
		if err == nil {
			a.warn("everything is stopped; the data stays in %s", a.env.shown(l.state))
		}
	}()
	if err := l.reach.write(l.state); err != nil {
		return err
	}
	partitioned, err := l.program.Partitioned(ctx)
	if err != nil {
		return err
	}
	if err := a.print(l.banner(partitioned)); err != nil {
		return err
	}
	supervised := &program.Supervisor{
		Program: l.program, Arguments: l.arguments(), Out: a.env.Stdout, Errors: a.env.Stderr,
		Patience: l.patience(), FirstRetry: firstRetry, MaxRetry: maxRetry, Report: l.report,
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	healing := make(chan struct{})
	go func() {
		defer close(healing)
		l.heal(ctx, cancel)
	}()
	watching := make(chan error, 1)
	go func() { watching <- l.watch(ctx) }()
	err = supervised.Run(ctx)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = errors.Join(err, cause)
	}
	cancel(nil)
	<-healing
	return errors.Join(err, <-watching)
}

// watch is the stack's daemon.
func (l *local) watch(ctx context.Context) error {
	s, err := connect(ctx, l.settings)
	if err != nil {
		return fmt.Errorf("start the daemon: %w", err)
	}
	defer s.close()
	log := slog.New(slog.NewTextHandler(l.app.env.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return l.app.runDaemon(ctx, s, log)
}

// heal starts a part of the stack again that has ended by itself. When that fails it cancels everything.
func (l *local) heal(ctx context.Context, cancel context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case failure := <-l.stack.Failures():
			l.app.warn("%v", failure)
			err := l.stack.StartTemporal(ctx)
			if l.ownPostgres {
				err = errors.Join(err, l.stack.StartPostgres(ctx))
			}
			if err != nil {
				cancel(fmt.Errorf("start it again: %w", err))
				return
			}
			l.app.warn("it runs again")
		}
	}
}

// banner says where everything is, and what to try: a run, or of what is partitioned a backfill.
func (l *local) banner(partitioned bool) string {
	a, style := l.app, l.app.style()
	queue := l.queue()
	temporal := "temporal workflow start"
	if l.stack.TemporalAddress != temporalDefault {
		temporal += " --address " + l.stack.TemporalAddress
	}
	perdure := a.env.Program
	command, workflow, request := "asset materialize '*'", wire.RunWorkflow, `{"assets":"*"}`
	if partitioned {
		command, workflow, request = "backfill start '*' --all-partitions", wire.BackfillWorkflow, `{"assets":"*","all_partitions":true}`
	}
	tries := []string{
		perdure + " asset list",
		perdure + " " + command,
		temporal + " --type " + workflow + " --task-queue " + queue + " --workflow-id w1 --input '" + request + "'",
		"curl -X POST http://" + l.stack.HTTPAddress + "/api/v1/namespaces/" + l.settings.Temporal.Namespace + "/workflows/w2 -d " +
			`'{"workflowType":{"name":"` + workflow + `"},"taskQueue":{"name":"` + queue + `"},"input":[` + request + `]}'`,
	}
	return "\n" + style.Fields([][2]string{
		{"Web UI", style.Bold(l.settings.Temporal.UIAddress)},
		{"task queue", queue},
		{"Temporal", l.stack.TemporalAddress + ", HTTP API " + l.stack.HTTPAddress},
		{"PostgreSQL", l.settings.Postgres.DSN.Redacted() + " (with its password in " + a.env.shown(filepath.Join(l.state, stackFile)) + ")"},
		{"data", a.env.shown(l.state)},
	}) + "\nIn another terminal in this folder:\n\n  " + strings.Join(tries, "\n  ") + "\n\n"
}

// report says what the supervisor does.
func (l *local) report(event program.Event) {
	a := l.app
	switch event.Kind {
	case program.Building:
		a.warn("perdure: %s has changed: building", a.env.shown(event.File))
	case program.BuildFailed:
		a.warn("perdure: the change is not taken, what ran before goes on:\n%s", render.Indent(event.Err.Error(), 2))
	case program.Unchanged:
		a.warn("perdure: the build is the same: what runs goes on")
	case program.Started:
		a.warn("perdure: location %s runs as process %d", l.location, event.Process)
	case program.Replacing:
		a.warn("perdure: the new build takes over, the old one ends its steps")
	case program.Crashed:
		a.warn("perdure: process %d has ended (%v): starting it again in %s", event.Process, event.Err, render.Duration(event.Delay))
	case program.Stopping:
		a.warn("perdure: stopping; the location has %s to end its steps (Ctrl-C again ends at once)", render.Duration(l.settings.Worker.DrainTimeout))
	}
}
