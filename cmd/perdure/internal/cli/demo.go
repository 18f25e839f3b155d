package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/program"
	"github.com/perdure-io/perdure/plan"
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
			"all its assets, those that are partitioned by a backfill of all partitions, show them, and stop everything. With --kill\n" +
			"the location's process is killed in the middle, a backfill's twice, and started again: the work goes on, and each asset\n" +
			"and partition is recorded once.",
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
	cmd.Flags().BoolVar(&kill, "kill", false, "kill the location's process with SIGKILL in the middle, and start it again")
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
	partitioned, err := d.partitioned(ctx)
	if err != nil {
		return err
	}
	materialize := d.materialize
	if partitioned {
		materialize = d.backfill
	}
	made, err := materialize(ctx, kill)
	if err != nil {
		return err
	}
	return d.show(ctx, made, kill)
}

// partitioned says whether the location makes anything that has partitions.
func (d *demonstration) partitioned(ctx context.Context) (bool, error) {
	snapshot, _, _, err := d.session.Store.ActiveSnapshot(ctx, d.location)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(snapshot.Assets, func(a plan.Asset) bool { return a.Partitions != nil && !a.External() }), nil
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

// demonstrated is what was started, a run or a backfill, and the runs that it came to.
type demonstrated struct {
	id   string
	runs []string
	// targeted are how many partitions of each asset a backfill was to make; nil of a run.
	targeted map[string]int
}

// materialize makes everything in one run, and returns once it has succeeded.
func (d *demonstration) materialize(ctx context.Context, kill bool) (demonstrated, error) {
	started, err := d.session.StartRun(ctx, starter.NewRun{
		Location: d.location, Request: wire.RunRequest{Assets: wire.AssetSelection{Expression: "*"}, Title: "Demo"},
	})
	if err != nil {
		return demonstrated{}, err
	}
	a, made := d.app, demonstrated{id: started.ID, runs: []string{started.ID}}
	f := a.newFollower(d.session, started.ID)
	f.linkless = true
	a.warn("materializing * as run %s\n", started.ID)
	if !kill {
		return made, f.conclude(f.follow(ctx))
	}
	killCtx, stop := context.WithCancel(ctx)
	killed := make(chan error, 1)
	go func() { killed <- d.killWhen(killCtx, f.notes, d.inMidRun(started.ID)) }()
	result, runErr := f.follow(ctx)
	stop()
	return made, errors.Join(<-killed, f.conclude(result, runErr))
}

// backfill makes all partitions of everything, and returns once that has succeeded.
func (d *demonstration) backfill(ctx context.Context, kill bool) (demonstrated, error) {
	started, err := d.session.StartBackfill(ctx, starter.NewBackfill{
		Location: d.location,
		Request:  wire.BackfillRequest{Assets: wire.AssetSelection{Expression: "*"}, AllPartitions: true, Title: "Demo"},
	})
	if err != nil {
		return demonstrated{}, err
	}
	a := d.app
	f := a.newBackfillFollower(d.session, started.ID)
	f.linkless = true
	a.warn("materializing all partitions of * by backfill %s\n", started.ID)
	killCtx, stop := context.WithCancel(ctx)
	killed := make(chan error, 1)
	go func() {
		if !kill {
			killed <- nil
			return
		}
		killed <- d.killWhen(killCtx, f.notes, d.inMidBackfill(started.ID, 1, 4), d.inMidBackfill(started.ID, 2, 3))
	}()
	err = f.follow(ctx)
	stop()
	if err := errors.Join(<-killed, f.conclude(err)); err != nil {
		return demonstrated{}, err
	}
	made := demonstrated{id: started.ID, targeted: map[string]int{}}
	for _, asset := range starter.ProgressOf(f.row).Assets {
		made.targeted[asset.Asset] = asset.Targeted
	}
	made.runs, err = runsOf(ctx, d.session.Store, started.ID)
	return made, err
}
