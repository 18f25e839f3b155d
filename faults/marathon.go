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
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/devstack"
	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

const (
	workerCount = 2
	// typicalRun is about how long an undisturbed run takes: strikes fall within it.
	typicalRun = 3 * time.Second
	// trialBound is how long a disturbed run may take. A frozen worker's open polls swallow attempts for a minute.
	trialBound = 4 * time.Minute
)

// plan is what a marathon does.
type plan struct {
	trials int
	seed   uint64
	faults []fault
}

// tally is what came of it.
type tally struct{ trials, lost, doubled, unfinished int }

func (t tally) good() bool { return t.lost+t.doubled+t.unfinished == 0 }

func (t *tally) add(v testlocation.Verdict) {
	t.lost += len(v.Lost)
	t.doubled += len(v.Doubled)
	t.unfinished += len(v.Unfinished)
}

func (t tally) String() string {
	return fmt.Sprintf("trials=%d lost=%d doubled=%d unfinished=%d", t.trials, t.lost, t.doubled, t.unfinished)
}

// scene is the servers, workers and graph of a marathon.
type scene struct {
	stack    *devstack.Stack
	instance *testlocation.Instance
	spec     testlocation.Spec
	workers  []*kept
}

// graph is 16 assets, one of which fails at its first attempt.
func graph(random *rand.Rand) testlocation.Spec {
	spec := testlocation.Spec{Location: "marathon", Assets: []testlocation.Asset{{Key: "source"}}}
	layer := []string{"source"}
	for depth := range 4 {
		var next []string
		for i := range 3 {
			key := fmt.Sprintf("layer%d_%d", depth, i)
			inputs := []string{layer[i%len(layer)]}
			if other := layer[random.IntN(len(layer))]; other != inputs[0] {
				inputs = append(inputs, other)
			}
			spec.Assets = append(spec.Assets, testlocation.Asset{Key: key, Inputs: inputs})
			next = append(next, key)
		}
		layer = next
	}
	return testlocation.Spec{Location: spec.Location, Assets: append(spec.Assets,
		testlocation.Asset{Key: flaky, Inputs: []string{"source"}, Retries: &definitions.Retries{Max: 1, Delay: time.Second}},
		testlocation.Asset{Key: "sink", Inputs: append(layer, flaky)},
		testlocation.Asset{Key: "last", Inputs: []string{"sink"}},
	)}
}

const flaky = "flaky"

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
	s, err := newScene(ctx, folder, random)
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
	bad := map[int]bool{}
	for trial := 1; trial <= p.trials; trial++ {
		began := time.Now()
		strikes := draw(random, p.faults)
		if err := s.prepare(random); err != nil {
			return total, err
		}
		verdict, err := s.trial(ctx, runID(trial), strikes)
		if err != nil {
			return total, fmt.Errorf("trial %d (%v): %w", trial, strikes, err)
		}
		total.trials++
		total.add(verdict)
		bad[trial] = !verdict.Good()
		fmt.Fprintf(out, "trial %d: %v: %s in %s\n", trial, strikes, outcome(verdict), time.Since(began).Round(100*time.Millisecond))
	}
	// What woke up after its run's end must have changed nothing.
	for trial := 1; trial <= p.trials; trial++ {
		verdict, err := s.instance.VerifyAgain(ctx, s.spec, runID(trial))
		if err != nil {
			return total, fmt.Errorf("look at trial %d again: %w", trial, err)
		}
		if !bad[trial] && !verdict.Good() {
			total.add(verdict)
			fmt.Fprintf(out, "trial %d, at the end: %s\n", trial, outcome(verdict))
		}
	}
	return total, nil
}

func runID(trial int) string { return fmt.Sprintf("trial-%d", trial) }

func outcome(v testlocation.Verdict) string {
	if v.Good() {
		return "good"
	}
	return fmt.Sprintf("LOST %q DOUBLED %q UNFINISHED %q", v.Lost, v.Doubled, v.Unfinished)
}

func newScene(ctx context.Context, folder string, random *rand.Rand) (_ *scene, err error) {
	s := &scene{spec: graph(random)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.stack, err = devstack.Start(context.WithoutCancel(ctx), devstack.Options{
		Dir: filepath.Join(folder, "stack"), WithoutUI: true,
		LookupEnv: func(name string) (string, bool) {
			if strings.HasPrefix(name, "PERDURE_") {
				return "", false // a person's own servers are not for this
			}
			return os.LookupEnv(name)
		},
	})
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
		w, err := keep(ctx, s.instance, s.spec)
		if err != nil {
			return nil, err
		}
		s.workers = append(s.workers, w)
	}
	return s, nil
}

func (s *scene) close() error {
	var problems []error
	for _, w := range s.workers {
		problems = append(problems, w.stop())
	}
	if s.instance != nil {
		problems = append(problems, s.instance.Close())
	}
	if s.stack != nil {
		problems = append(problems, s.stack.Stop())
	}
	return errors.Join(problems...)
}

// prepare tells every function how long to take this time.
func (s *scene) prepare(random *rand.Rand) error {
	const longest = int64(400 * time.Millisecond)
	for _, asset := range s.spec.Assets {
		instruction := testlocation.Instruction{Takes: time.Duration(random.Int64N(longest))}
		if asset.Key == flaky {
			instruction.FailAttempts = []int{1}
		}
		if err := s.instance.Instruct(asset.Key, instruction); err != nil {
			return err
		}
	}
	return nil
}

// trial starts a run, strikes, puts right, waits for the run's end and looks at it.
func (s *scene) trial(ctx context.Context, run string, strikes []strike) (testlocation.Verdict, error) {
	for _, w := range s.workers {
		if err := w.awaitServing(ctx); err != nil {
			return testlocation.Verdict{}, err
		}
	}
	_, err := s.instance.Starter.StartRun(ctx, starter.NewRun{
		Location: s.spec.Location, ID: run, Request: wire.RunRequest{Assets: wire.AssetSelection{Expression: "*"}},
	})
	if err != nil {
		return testlocation.Verdict{}, err
	}
	var striking errgroup.Group
	for _, one := range strikes {
		striking.Go(func() error { return s.strike(ctx, one) })
	}
	if err := striking.Wait(); err != nil {
		return testlocation.Verdict{}, err
	}
	// Two faults of one server: the first one's end may have come before the second one's begin.
	if err := errors.Join(s.stack.StartTemporal(ctx), s.stack.StartPostgres(ctx)); err != nil {
		return testlocation.Verdict{}, err
	}
	if err := s.await(ctx, run); err != nil {
		return testlocation.Verdict{}, err
	}
	return s.instance.Verify(ctx, s.spec, run)
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

// await returns when the run has ended, or when it has had its time: what Postgres says then is judged.
func (s *scene) await(ctx context.Context, run string) error {
	bounded, cancel := context.WithTimeout(ctx, trialBound)
	defer cancel()
	for {
		_, err := s.instance.Starter.Await(bounded, run)
		var ended *starter.RunError
		switch {
		case err == nil, errors.As(err, &ended):
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case bounded.Err() != nil:
			return nil
		}
		// Temporal was away for longer than the client is patient.
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}
