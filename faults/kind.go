//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// kind is a kind of run that trials have.
type kind struct {
	name string
	// typical is about how long an undisturbed run takes: strikes fall within it.
	typical time.Duration
	// certain are faults of which each of its trials has one, in turn, in the middle of it.
	certain []string
	// prepare tells the functions what to do.
	prepare func(s *scene, random *rand.Rand) error
	// start starts the runs of a trial, which are named after it, and returns which.
	start func(ctx context.Context, s *scene, trial string) ([]started, error)
}

// started is a run of a trial.
type started struct {
	id string
	// verify looks at it; again is whether others have made its assets since.
	verify func(ctx context.Context, again bool) (testlocation.Verdict, error)
}

func kinds() []kind {
	return []kind{
		ofAssets("assets", 3*time.Second, graph),
		ofAssets("subprocess", 4*time.Second, subprocesses),
		ofAssets("python", 5*time.Second, programs),
		ofPartitions(),
		ofOps("fan", fanJob),
		ofOps("local", localJob),
		reexecution(),
		backfills(),
		queue("queue", 5*time.Second, 10, 4),
	}
}

// longKinds take too long to be among all: they are chosen by name.
func longKinds() []kind {
	return []kind{queue("long_queue", 40*time.Second, mostQueued, 5)}
}

func kindNames() []string {
	var names []string
	for _, k := range append(kinds(), longKinds()...) {
		names = append(names, k.name)
	}
	return names
}

// chooseKinds reads a list of names; "" is all but the long ones.
func chooseKinds(list string) ([]kind, error) {
	if list == "" {
		return kinds(), nil
	}
	var chosen []kind
	all := append(kinds(), longKinds()...)
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(all, func(k kind) bool { return k.name == strings.TrimSpace(name) })
		if i < 0 {
			return nil, fmt.Errorf("there is no kind of run %q: choose from %s", name, strings.Join(kindNames(), ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// ofAssets is a run of a graph of assets.
func ofAssets(name string, typical time.Duration, assets func() []testlocation.Asset) kind {
	keys := testlocation.Spec{Assets: assets()}.Keys()
	return kind{
		name: name, typical: typical,
		prepare: func(s *scene, random *rand.Rand) error {
			for _, asset := range assets() {
				instruction := testlocation.Instruction{Takes: upTo(random, 400*time.Millisecond)}
				// What such a step leaves behind must end with it.
				instruction.Litter = asset.Subprocess || asset.Python
				if asset.Retries != nil {
					instruction.FailAttempts = []int{1}
				}
				if err := s.instance.Instruct(asset.Key, instruction); err != nil {
					return err
				}
			}
			return nil
		},
		start: func(ctx context.Context, s *scene, trial string) ([]started, error) {
			request := wire.RunRequest{Assets: wire.AssetSelection{Keys: keys}}
			_, err := s.instance.Starter.StartRun(ctx, starter.NewRun{Location: s.spec.Location, ID: trial, Request: request})
			verify := func(ctx context.Context, again bool) (testlocation.Verdict, error) {
				if again {
					return s.instance.VerifyAgain(ctx, s.spec.Only(keys...), trial)
				}
				return s.instance.Verify(ctx, s.spec.Only(keys...), trial)
			}
			return []started{{trial, verify}}, err
		},
	}
}

// ofPartitions is a run over the days of a few weeks: a step a day, days that need the day before, weeks of days, and one call
// that makes them all.
func ofPartitions() kind {
	return kind{
		name: "partitions", typical: 5 * time.Second,
		prepare: func(s *scene, random *rand.Rand) error {
			for _, asset := range sliced() {
				takes := upTo(random, 400*time.Millisecond)
				if asset.Ordered {
					takes /= 4 // one after the other
				}
				if err := s.instance.Instruct(asset.Key, testlocation.Instruction{Takes: takes}); err != nil {
					return err
				}
			}
			return nil
		},
		start: func(ctx context.Context, s *scene, trial string) ([]started, error) {
			keys := testlocation.Spec{Assets: sliced()}.Keys()
			request := wire.RunRequest{Assets: wire.AssetSelection{Keys: keys}, AllPartitions: true}
			_, err := s.instance.Starter.StartRun(ctx, starter.NewRun{Location: s.spec.Location, ID: trial, Request: request})
			verify := func(ctx context.Context, _ bool) (testlocation.Verdict, error) {
				return s.instance.VerifySliced(ctx, s.spec, trial, slicedKeys())
			}
			return []started{{trial, verify}}, err
		},
	}
}

func upTo(random *rand.Rand, longest time.Duration) time.Duration {
	return time.Duration(random.Int64N(int64(longest)))
}

// The fan's jobs, and what its steps do: the one of slow takes long, flaky fails at first, broken is what an earlier run
// fails of.
const (
	fanJob   = "pages"
	localJob = "pages_at_once"
	slow     = "load[c]"
	flaky    = "clean[a]"
	broken   = "load[b]"
)

func fan() *testlocation.Fan {
	return &testlocation.Fan{
		Job: fanJob, LocalJob: localJob, Keys: []string{"a", "b", "c", "d", "e"}, Dropped: []string{"d"}, Hooks: true,
		Retries: &definitions.Retries{Max: 1, Delay: time.Second},
	}
}

func prepareFan(s *scene, random *rand.Rand) error {
	for _, step := range fan().Steps() {
		instruction := testlocation.Instruction{Takes: upTo(random, 400*time.Millisecond)}
		switch step {
		case slow:
			instruction.Takes += upTo(random, 2*time.Second)
		case flaky:
			instruction.FailAttempts = []int{1}
		}
		if err := s.instance.Instruct(step, instruction); err != nil {
			return err
		}
	}
	return nil
}

// ofOps is a run of a job with a dynamic output, steps that are mapped over it and over what they give, a step that gives
// nothing, and one that collects.
func ofOps(name, job string) kind {
	return kind{
		name: name, typical: 4 * time.Second, prepare: prepareFan,
		start: func(ctx context.Context, s *scene, trial string) ([]started, error) {
			err := s.startJob(ctx, trial, job)
			verify := func(ctx context.Context, _ bool) (testlocation.Verdict, error) {
				return s.instance.VerifyFan(ctx, *fan(), trial, "", nil)
			}
			return []started{{trial, verify}}, err
		},
	}
}

func (s *scene) startJob(ctx context.Context, run, job string) error {
	_, err := s.instance.Starter.StartRun(ctx, starter.NewRun{Location: s.spec.Location, ID: run, Request: wire.RunRequest{Job: job}})
	return err
}

// reexecution is a run of the fan that failed before, and is executed again from its failure: asked for by two at once.
func reexecution() kind {
	return kind{
		name: "reexecution", typical: 3 * time.Second, prepare: prepareFan,
		start: func(ctx context.Context, s *scene, trial string) ([]started, error) {
			if err := s.failFan(ctx, trial); err != nil {
				return nil, err
			}
			ids, err := s.reexecuteTwice(ctx, trial)
			if err != nil {
				return nil, err
			}
			var runs []started
			for _, id := range ids {
				runs = append(runs, started{id, func(ctx context.Context, _ bool) (testlocation.Verdict, error) {
					verdict, err := s.instance.VerifyFan(ctx, *fan(), id, trial, []string{broken, "clean[b]", "clean[d]", "total"})
					if err != nil {
						return verdict, err
					}
					group, err := s.instance.Store.RunGroup(ctx, trial)
					if len(group) != 1+len(ids) {
						verdict.Doubled = append(verdict.Doubled, fmt.Sprintf("run %s has %d runs with those that execute it again, and %q were started", trial, len(group), ids))
					}
					return verdict, err
				}})
			}
			return runs, nil
		},
	}
}

// failFan runs the fan, undisturbed, so that one of its steps fails, and mends that.
func (s *scene) failFan(ctx context.Context, run string) error {
	if err := s.instance.Instruct(broken, testlocation.Instruction{FailAll: true}); err != nil {
		return err
	}
	if err := s.startJob(ctx, run, fanJob); err != nil {
		return err
	}
	if err := s.await(ctx, run); err != nil {
		return err
	}
	recorded, err := s.instance.Store.Run(ctx, run)
	if err == nil && recorded.Status != wire.RunFailure {
		err = fmt.Errorf("run %s, which was to fail, is %s (%s)", run, recorded.Status, recorded.Reason)
	}
	if err != nil {
		return err
	}
	return s.instance.Instruct(broken, testlocation.Instruction{Takes: time.Second})
}

// reexecuteTwice has two ask at once. The second is refused; only when it comes so late that the first one's run has
// ended, it starts another one.
func (s *scene) reexecuteTwice(ctx context.Context, run string) ([]string, error) {
	var asking sync.WaitGroup
	var runs [2]starter.StartedRun
	var problems [2]error
	for i := range runs {
		asking.Go(func() {
			runs[i], problems[i] = s.instance.Starter.Reexecute(ctx, starter.Reexecution{RunID: run, From: wire.RetryFailure})
		})
	}
	asking.Wait()
	var ids []string
	for i, problem := range problems {
		var refused wire.Problems
		switch {
		case problem == nil:
			ids = append(ids, runs[i].ID)
		case !errors.As(problem, &refused) || refused[0].Code != wire.CodeExists:
			return nil, problem
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("of two who executed run %s again, both were refused: %w", run, errors.Join(problems[:]...))
	}
	return ids, nil
}
