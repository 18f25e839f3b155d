package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/program"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

const (
	// demoState is where the demo keeps its stack.
	demoState = stateFolder + "/demo"
	// demoLocation is what is run when nothing is named, in a clone of the repository.
	demoLocation = "examples/flights"
	// locationLog takes what the demo's location says: the terminal is for the steps.
	locationLog = "location.log"
)

func (a *app) demoCommand() *cobra.Command {
	var kill bool
	cmd := &cobra.Command{
		Use: "demo [DIR]", Short: "Materialize a code location once on a local stack, and show what came of it",
		Long: "Start a local stack in " + demoState + ", run the code location in DIR (default: " + demoLocation + ") beside it, materialize\n" +
			"all its assets, show them, and stop everything. With --kill the location's process is killed in mid-run and started\n" +
			"again: the run goes on, and each asset is recorded once.",
		Example: "  perdure demo\n  perdure demo --kill", Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := demoLocation
			if len(args) > 0 {
				dir = args[0]
			} else if _, err := os.Stat(a.env.path(demoLocation)); err != nil {
				return usagef("there is no folder %s here: call this in a clone of the repository, or name the folder of a code location", demoLocation)
			}
			return a.demo(cmd.Context(), dir, kill)
		},
	}
	cmd.Flags().BoolVar(&kill, "kill", false, "kill the location's process with SIGKILL in mid-run, and start it again")
	return cmd
}

// demonstration is one call of `perdure demo`.
type demonstration struct {
	*local
	session *session
	log     *os.File
	process *program.Process
	dir     string
}

func (a *app) demo(ctx context.Context, dir string, kill bool) (err error) {
	if err := a.refuseForLocal(); err != nil {
		return err
	}
	begun := time.Now()
	a.warn("starting Temporal and PostgreSQL in %s, building %s", demoState, dir)
	l, err := a.startLocal(ctx, dir, demoState)
	if err != nil {
		return err
	}
	d := &demonstration{local: l, dir: dir}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.open(ctx); err != nil {
		return err
	}
	if err := d.startLocation(ctx); err != nil {
		return err
	}
	a.warn("ready after %.1f s", time.Since(begun).Seconds())
	run, err := d.materialize(ctx, kill)
	if err != nil {
		return err
	}
	return d.show(ctx, run, kill)
}

func (d *demonstration) open(ctx context.Context) error {
	path := filepath.Join(d.state, locationLog)
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("open the location's log: %w", err)
	}
	d.log = log
	d.session, err = connect(ctx, d.settings)
	return err
}

// close ends the location, then the stack.
func (d *demonstration) close() error {
	var problems []error
	if d.process != nil {
		problems = append(problems, d.process.Stop(d.patience()))
	}
	if d.session != nil {
		d.session.close()
	}
	problems = append(problems, d.stop())
	if d.log != nil {
		problems = append(problems, d.log.Close())
	}
	return errors.Join(problems...)
}

func (d *demonstration) startLocation(ctx context.Context) error {
	startedAt := time.Now()
	process, err := d.program.Start(d.log, d.log, d.arguments()...)
	if err != nil {
		return err
	}
	d.process = process
	if err := awaitLocation(ctx, d.session, d.location, process, startedAt); err != nil {
		return fmt.Errorf("%w; its log %s ends:\n%s", err, d.app.env.shown(d.log.Name()), d.logTail())
	}
	return nil
}

// logTail is the end of what the location has said.
func (d *demonstration) logTail() string {
	const lines = 15
	content, err := os.ReadFile(d.log.Name())
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(content)), "\n")
	return "  " + strings.Join(all[max(0, len(all)-lines):], "\n  ")
}

// materialize makes everything and returns the run's id once it has succeeded.
func (d *demonstration) materialize(ctx context.Context, kill bool) (string, error) {
	started, err := d.session.StartRun(ctx, starter.NewRun{
		Location: d.location, Request: wire.RunRequest{Assets: wire.AssetSelection{Expression: "*"}, Title: "Demo"},
	})
	if err != nil {
		return "", err
	}
	a := d.app
	f := a.newFollower(d.session, started.ID)
	f.linkless = true
	a.warn("materializing * as run %s\n", started.ID)
	if !kill {
		return started.ID, f.conclude(f.follow(ctx))
	}
	killCtx, stop := context.WithCancel(ctx)
	killed := make(chan error, 1)
	go func() { killed <- d.killInMidRun(killCtx, started.ID, f) }()
	result, runErr := f.follow(ctx)
	stop()
	return started.ID, errors.Join(<-killed, f.conclude(result, runErr))
}
