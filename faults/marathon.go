//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/perdure-io/perdure/internal/devstack"
	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/starter"
)

const (
	workerCount = 2
	// stallBound is how long nothing may happen in a disturbed run. A frozen worker's open polls swallow attempts for a
	// minute.
	stallBound = 4 * time.Minute
)

// plan is what a marathon does.
type plan struct {
	trials int
	seed   uint64
	faults []fault
	// kinds are those of the runs: each once in as many trials as there are kinds.
	kinds []kind
	// python is an interpreter that has the package dagster-pipes.
	python string
}

// tally is what came of it.
type tally struct{ trials, lost, doubled, unfinished, orphans int }

func (t tally) good() bool { return t.lost+t.doubled+t.unfinished+t.orphans == 0 }

func (t *tally) add(v testlocation.Verdict) {
	t.lost += len(v.Lost)
	t.doubled += len(v.Doubled)
	t.unfinished += len(v.Unfinished)
}

func (t tally) String() string {
	return fmt.Sprintf("trials=%d lost=%d doubled=%d unfinished=%d orphans=%d", t.trials, t.lost, t.doubled, t.unfinished, t.orphans)
}

// scene is the servers, workers and location of a marathon.
type scene struct {
	stack    *devstack.Stack
	instance *testlocation.Instance
	spec     testlocation.Spec
	workers  []*kept
	daemon   *kept
	// unseen is whether orphans cannot be told here.
	unseen bool
}

// marathon runs the trials, and says what it sees. The error is one of the marathon itself, or of its end by ctx.
func marathon(ctx context.Context, p plan, out io.Writer) (total tally, err error) {
	fmt.Fprintf(out, "seed=%d\n", p.seed)
	random := rand.New(rand.NewPCG(p.seed, 0))
	// As root, PostgreSQL runs under another account, which must pass through.
	folder, err := os.MkdirTemp("", "perdure-faults-")
	if err == nil {
		err = os.Chmod(folder, 0o711)
	}
	if err != nil {
		return total, fmt.Errorf("make the marathon's folder: %w", err)
	}
	s, err := newScene(ctx, folder, location(p.python))
	if err != nil {
		return total, err
	}
	defer func() {
		err = errors.Join(err, s.close())
		if err != nil || !total.good() {
			fmt.Fprintln(out, "the logs are in", folder)
			return
		}
		err = os.RemoveAll(folder)
	}()
	if err := s.canSee(out); err != nil {
		return total, err
	}
	var good []started
	var next []kind
	trials := map[string]int{}
	for trial := 1; trial <= p.trials; trial++ {
		began := time.Now()
		if len(next) == 0 {
			next = slices.Clone(p.kinds)
			random.Shuffle(len(next), func(i, j int) { next[i], next[j] = next[j], next[i] })
		}
		k := next[0]
		next = next[1:]
		strikes := draw(random, p.faults, k, trials[k.name])
		trials[k.name]++
		if err := k.prepare(s, random); err != nil {
			return total, err
		}
		seen, err := s.trial(ctx, k, fmt.Sprintf("trial-%d", trial), strikes)
		if err != nil {
			return total, fmt.Errorf("trial %d (%s, %v): %w", trial, k.name, strikes, err)
		}
		total.trials++
		total.add(seen.verdict)
		total.orphans += len(seen.orphans)
		if seen.verdict.Good() {
			good = append(good, seen.runs...)
		}
		fmt.Fprintf(out, "trial %d: %s: %v: %v in %s\n", trial, k.name, strikes, seen, time.Since(began).Round(100*time.Millisecond))
	}
	// What woke up after its run's end must have changed nothing.
	for _, run := range good {
		verdict, err := run.verify(ctx, true)
		if err != nil {
			return total, fmt.Errorf("look at run %s again: %w", run.id, err)
		}
		if !verdict.Good() {
			total.add(verdict)
			fmt.Fprintf(out, "run %s, at the end: %v\n", run.id, seen{verdict: verdict})
		}
	}
	if err := s.stopWorkers(); err != nil {
		return total, err
	}
	orphans, err := s.orphans(ctx)
	if len(orphans) > 0 {
		total.orphans += len(orphans)
		fmt.Fprintf(out, "after the workers' end: %v\n", seen{orphans: orphans})
	}
	return total, err
}

// seen is what came of a trial.
type seen struct {
	runs    []started
	verdict testlocation.Verdict
	orphans []testlocation.Process
}

func (o seen) String() string {
	if o.verdict.Good() && len(o.orphans) == 0 {
		return "good"
	}
	return fmt.Sprintf("LOST %q DOUBLED %q UNFINISHED %q ORPHANS %q", o.verdict.Lost, o.verdict.Doubled, o.verdict.Unfinished, o.orphans)
}

func newScene(ctx context.Context, folder string, spec testlocation.Spec) (_ *scene, err error) {
	s := &scene{spec: spec}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	options := devstack.Options{
		Dir: filepath.Join(folder, "stack"), WithoutUI: true,
		LookupEnv: func(name string) (string, bool) {
			if strings.HasPrefix(name, "PERDURE_") {
				return "", false // a person's own servers are not for this
			}
			return os.LookupEnv(name)
		},
	}
	for server, port := range map[string]*int{
		"Temporal": &options.TemporalPort, "Temporal's HTTP API": &options.HTTPPort, "Postgres": &options.PostgresPort,
	} {
		if *port, err = portFor(ctx, server); err != nil {
			return nil, err
		}
	}
	s.stack, err = devstack.Start(context.WithoutCancel(ctx), options)
	if err != nil {
		return nil, err
	}
	dsn, err := url.Parse(s.stack.PostgresDSN)
	if err != nil {
		return nil, err
	}
	query := dsn.Query()
	query.Set("search_path", "perdure")
	dsn.RawQuery = query.Encode()
	s.instance, err = testlocation.Open(ctx, filepath.Join(folder, "instance"), dsn.String(), s.stack.TemporalAddress)
	if err != nil {
		return nil, err
	}
	for range workerCount {
		w, err := keep(ctx, func(ctx context.Context) (*testlocation.Worker, error) {
			return s.instance.StartWorker(ctx, s.spec, build)
		})
		if err != nil {
			return nil, err
		}
		s.workers = append(s.workers, w)
	}
	s.daemon, err = keep(ctx, s.instance.StartDaemon)
	return s, err
}

func (s *scene) close() error {
	problems := []error{s.stopWorkers()}
	if s.instance != nil {
		problems = append(problems, s.instance.Close())
	}
	if s.stack != nil {
		problems = append(problems, s.stack.Stop())
	}
	return errors.Join(problems...)
}

func (s *scene) stopWorkers() error {
	var problems []error
	for _, w := range s.workers {
		problems = append(problems, w.stop())
	}
	s.workers = nil
	if s.daemon != nil {
		problems = append(problems, s.daemon.stop())
		s.daemon = nil
	}
	return errors.Join(problems...)
}

// trial starts runs, strikes, puts right, waits for the runs' end and looks at them, and at what they left behind.
func (s *scene) trial(ctx context.Context, k kind, name string, strikes []strike) (seen, error) {
	var o seen
	for _, w := range append(slices.Clone(s.workers), s.daemon) {
		if err := w.awaitServing(ctx); err != nil {
			return o, err
		}
	}
	var err error
	if o.runs, err = k.start(ctx, s, name); err != nil {
		return o, err
	}
	var striking errgroup.Group
	for _, one := range strikes {
		striking.Go(func() error { return s.strike(ctx, one) })
	}
	if err := striking.Wait(); err != nil {
		return o, err
	}
	// Two faults of one server: the first one's end may have come before the second one's begin.
	if err := errors.Join(s.stack.StartTemporal(ctx), s.stack.StartPostgres(ctx)); err != nil {
		return o, err
	}
	for _, run := range o.runs {
		if err := s.await(ctx, run.id); err != nil {
			return o, err
		}
		verdict, err := run.verify(ctx, false)
		if err != nil {
			return o, err
		}
		o.verdict.Lost = append(o.verdict.Lost, verdict.Lost...)
		o.verdict.Doubled = append(o.verdict.Doubled, verdict.Doubled...)
		o.verdict.Unfinished = append(o.verdict.Unfinished, verdict.Unfinished...)
	}
	o.orphans, err = s.orphans(ctx)
	return o, err
}

// strike does one fault and puts it right.
func (s *scene) strike(ctx context.Context, one strike) error {
	if err := pause(ctx, one.at); err != nil {
		return err
	}
	if err := one.fault.begin(s, one.victim); err != nil {
		return fmt.Errorf("%v: %w", one, err)
	}
	if err := pause(ctx, one.lasts); err != nil {
		return err
	}
	if err := one.fault.end(ctx, s, one.victim); err != nil {
		return fmt.Errorf("%v: put right: %w", one, err)
	}
	return nil
}

func pause(ctx context.Context, long time.Duration) error {
	select {
	case <-time.After(long):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// await returns when the run has ended, or when nothing has happened for too long: what Postgres says then is judged.
func (s *scene) await(ctx context.Context, run string) error {
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	go s.watch(waiting, stop)
	for {
		_, err := s.instance.Starter.Await(waiting, run)
		var ended *starter.RunError
		switch {
		case err == nil, errors.As(err, &ended):
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case waiting.Err() != nil:
			return nil
		}
		// Temporal was away for longer than the client is patient.
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

// watch calls stalled when the log has not grown for stallBound.
func (s *scene) watch(ctx context.Context, stalled func()) {
	var last int64
	moved := time.Now()
	for pause(ctx, time.Second) == nil {
		head, err := s.instance.Store.Head(ctx)
		switch {
		case err == nil && head != last:
			last, moved = head, time.Now()
		case time.Since(moved) > stallBound:
			stalled()
			return
		}
	}
}
