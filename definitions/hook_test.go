package definitions_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/wire"
)

// told is what hooks were told, in any order.
type told struct {
	mutex    sync.Mutex
	success  []d.Success
	failures []d.Failure
}

func (l *told) onSuccess(_ d.Context, s d.Success) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.success = append(l.success, s)
	return nil
}

func (l *told) onFailure(_ d.Context, f d.Failure) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.failures = append(l.failures, f)
	return nil
}

// options are hooks that tell l.
func (l *told) options() (success, failure d.HookOption) {
	return d.OnSuccess(d.Do1(l.onSuccess, d.TheSuccess)), d.OnFailure(d.Do1(l.onFailure, d.TheFailure))
}

func (l *told) steps() (success, failed []string) {
	for _, s := range l.success {
		success = append(success, s.Step)
	}
	for _, f := range l.failures {
		failed = append(failed, f.Step)
	}
	slices.Sort(success)
	slices.Sort(failed)
	return success, failed
}

func outcomes(run *d.Result) []string {
	var all []string
	for _, h := range run.Hooks() {
		kind, _, _ := strings.Cut(h.Hook, " ")
		all = append(all, fmt.Sprintf("%s %s %s", h.Step, kind, h.Outcome))
	}
	slices.Sort(all)
	return all
}

func TestHooksOfAssetsMultiAssetsOpsAndJobsRunWhenAStepHasEnded(t *testing.T) {
	t.Parallel()
	var own, jobs told
	success, failure := own.options()
	a := constant("a", success, failure)
	bad := d.Asset("bad", d.Bind0(fail), success, failure)
	below := d.Asset("below", d.Bind1(plusOne, bad), success, failure)
	out := d.Output[int]("out")
	multi := d.MultiAsset("multi", d.Outs{out}, d.Bind0(func(d.Context) (d.Outputs, error) {
		return d.Outputs{out.Of(1, d.Int("pages", 3))}, nil
	}), success)
	ofJob, failureOfJob := jobs.options()
	job := d.AssetJob("job", d.Assets(a, bad, below, out), ofJob, failureOfJob, d.Tags{"team": "x"})
	run := d.RunJob(t.Context(), d.New("x", a, bad, below, multi, job), job)
	require.ErrorContains(t, run.Err(), "no such file")
	for _, l := range []*told{&own, &jobs} {
		succeeded, failed := l.steps()
		require.Equal(t, []string{"a", "multi"}, succeeded)
		require.Equal(t, []string{"bad"}, failed, "a step that never started has no hooks")
	}
	i := slices.IndexFunc(own.success, func(s d.Success) bool { return s.Step == "multi" })
	require.Equal(t, []string{"out"}, own.success[i].Assets)
	require.Equal(t, []string{"pages=3"}, texts(own.success[i].Metadata))
	require.Equal(t, d.RunInfo{ID: "in-process", Cause: "in-process", Attempt: 1, Tags: map[string]string{"team": "x"}, Job: "job"}, own.success[i].Run)
	require.Equal(t, []string{
		"a on_failure skipped", "a on_failure skipped", "a on_success completed", "a on_success completed",
		"bad on_failure completed", "bad on_failure completed", "bad on_success skipped", "bad on_success skipped",
		"multi on_failure skipped", "multi on_success completed", "multi on_success completed",
	}, outcomes(run))
}

func TestHooksOfOpsRunForEachStep(t *testing.T) {
	t.Parallel()
	var l told
	success, failure := l.options()
	op := d.Op("op", d.Bind0(one), success, failure)
	mapped := d.Map(fanOf("fan", "a", "b"), func(n *d.Value[int]) *d.Value[int] {
		return d.Op("each", d.Bind1(func(_ d.Context, n int) (int, error) {
			if n == 2 {
				return 0, fs.ErrInvalid
			}
			return n, nil
		}, n), success, failure)
	})
	skipped := d.Op("skipped", d.Bind1(double, d.Maybe("maybe", d.Bind0(nothing))), success, failure)
	runOf(t, op, mapped, skipped)
	succeeded, failed := l.steps()
	require.Equal(t, []string{"each[a]", "op"}, succeeded)
	require.Equal(t, []string{"each[b]"}, failed)
	require.ErrorIs(t, l.failures[0].Err, fs.ErrInvalid)

	var ofGraph told
	success, _ = ofGraph.options()
	first := d.Op("first", d.Bind0(one))
	graph := d.GraphAsset("graph", d.Op("last", d.Bind1(double, first)), success)
	require.NoError(t, d.Materialize(t.Context(), d.New("x", graph)).Err())
	succeeded, _ = ofGraph.steps()
	require.Equal(t, []string{"graph.first", "graph.last"}, succeeded, "options of a graph asset are for all of its ops")
}

func TestFailureHooksRunOnceAfterTheLastRetry(t *testing.T) {
	t.Parallel()
	var l told
	_, failure := l.options()
	a := d.Asset("a", d.Bind0(func(ctx d.Context) (int, error) {
		return 0, d.WithMetadata(fmt.Errorf("attempt %d: %w", ctx.Run().Attempt, fs.ErrInvalid), d.Int("row", 7))
	}), failure, d.Retries{Max: 2})
	panics := d.Asset("panics", d.Bind0(func(d.Context) (int, error) { panic("out of range") }), failure)
	d.Materialize(t.Context(), d.New("x", a, panics), d.RetryAtOnce{})
	require.Len(t, l.failures, 2)
	i := slices.IndexFunc(l.failures, func(f d.Failure) bool { return f.Step == "a" })
	require.ErrorContains(t, l.failures[i].Err, "attempt 3: invalid argument")
	require.Equal(t, 3, l.failures[i].Run.Attempt)
	require.Equal(t, []string{"row=7"}, texts(l.failures[i].Metadata))
	require.Contains(t, l.failures[1-i].Stack, "hook_test.go")

	l = told{}
	eventually := d.Asset("eventually", d.Bind0(func(ctx d.Context) (int, error) {
		if ctx.Run().Attempt < 3 {
			return 0, fs.ErrInvalid
		}
		return 1, nil
	}), failure, d.Retries{Max: 2})
	require.NoError(t, d.Materialize(t.Context(), d.New("x", eventually), d.RetryAtOnce{}).Err())
	require.Empty(t, l.failures)
}

func TestFailingHooksAreRecordedAndNeverFatal(t *testing.T) {
	t.Parallel()
	a := constant("a",
		d.OnSuccess(d.Do0(func(d.Context) error { return fs.ErrPermission })),
		d.OnSuccess(d.Do0(func(d.Context) error { panic("nil map") })),
		d.OnSuccess(d.Do0(func(d.Context) error { return nil })))
	b := d.Asset("b", d.Bind1(plusOne, a))
	run := d.Materialize(t.Context(), d.New("x", a, b))
	require.NoError(t, run.Err())
	require.Equal(t, []string{"a", "b"}, run.Materialized())
	hooks := run.Hooks()
	require.Len(t, hooks, 3)
	require.ErrorIs(t, hooks[0].Err, fs.ErrPermission)
	require.Equal(t, d.HookErrored, hooks[0].Outcome)
	require.ErrorContains(t, hooks[1].Err, "panic: nil map")
	require.Equal(t, d.HookErrored, hooks[1].Outcome)
	require.Equal(t, d.HookResult{Step: "a", Hook: hooks[2].Hook, Outcome: d.HookCompleted}, hooks[2])
	for _, h := range hooks {
		require.Regexp(t, `^on_success definitions/hook_test\.go:\d+$`, h.Hook)
	}
}

func TestWhatNeedsAStepDoesNotWaitForItsHooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		below := make(chan struct{})
		a := constant("a", d.OnSuccess(d.Do0(func(d.Context) error { <-below; <-time.After(time.Minute); return nil })))
		b := d.Asset("b", d.Bind1(func(d.Context, int) (int, error) { close(below); return 1, nil }, a))
		started := time.Now()
		run := d.Materialize(t.Context(), d.New("x", a, b))
		require.NoError(t, run.Err())
		require.Len(t, run.Hooks(), 1)
		require.Equal(t, time.Minute, time.Since(started), "the run's end waits for them")
	})
}

func TestHooksUseResourcesAndTheStepsConfig(t *testing.T) {
	t.Parallel()
	type settings struct{ Channel string }
	var got []string
	config := d.Config(settings{Channel: "#none"})
	other := d.Config(settings{Channel: "#other"})
	channel := d.Config(settings{Channel: "#quiet"})
	chat := d.Resource("chat", d.Bind1(func(_ d.Context, s settings) (string, error) { return "chat of " + s.Channel, nil }, channel), d.NoClose)
	tell := func(_ d.Context, chat string, mine, its settings) error {
		got = append(got, chat, mine.Channel, its.Channel)
		return nil
	}
	a := d.Asset("a", d.Bind1(func(d.Context, settings) (int, error) { return 1, nil }, config),
		d.OnSuccess(d.Do1(func(ctx d.Context, its settings) error { return tell(ctx, "", settings{}, its) }, config)),
		d.OnSuccess(d.Do2(func(ctx d.Context, chat string, other settings) error { return tell(ctx, chat, other, settings{}) }, chat, other)))
	location := d.New("x", a, chat)
	run := d.Materialize(t.Context(), location, d.RunConfig(`{"assets":{"a":{"channel":"#ops"}},"resources":{"chat":{"channel":"#loud"}}}`))
	require.NoError(t, run.Err())
	require.Equal(t, []string{"a on_success completed", "a on_success completed"}, outcomes(run), "%v", run.Hooks())
	require.Equal(t, []string{"", "", "#ops", "chat of #loud", "#other", ""}, got)
}

func TestNoHooksBeginInARunThatIsCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	a := d.Asset("a", d.Bind0(func(d.Context) (int, error) { cancel(); return 0, fs.ErrInvalid }),
		d.OnFailure(d.Do0(func(d.Context) error { return errors.New("called") })))
	require.Empty(t, d.Materialize(ctx, d.New("x", a)).Hooks())
}

func TestRuntimeRunsTheHooksThatDidNotRunBefore(t *testing.T) {
	t.Parallel()
	var called []string
	note := func(name string) d.Compute[d.Nothing] {
		return d.Do1(func(ctx d.Context, f d.Failure) error {
			called = append(called, fmt.Sprintf("%s %s %v %d %s", name, f.Step, f.Err, f.Run.Attempt, f.Stack))
			return ctx.Err()
		}, d.TheFailure)
	}
	a := constant("a", d.OnFailure(note("first")), d.OnFailure(note("second")), d.OnSuccess(d.Do0(func(d.Context) error { return nil })))
	job := d.AssetJob("job", d.Assets(a), d.OnFailure(note("job")))
	runtime := runtimeOf(t, a, job)
	require.True(t, runtime.HasHooks("a", ""))
	require.False(t, runtime.HasHooks("b", ""))
	require.True(t, runtime.HasHooks("b", "job"))

	ended := d.Ended{Run: d.RunInfo{ID: "r1", Attempt: 2}, Step: "a", Status: wire.StepFailed, Err: errors.New("no such file"), Stack: "at"}
	var told []d.HookResult
	ended.Each = func(result d.HookResult) {
		require.Len(t, called, []int{1, 2, 2, 3}[len(told)], "before the next one begins")
		told = append(told, result)
	}
	results := runtime.RunHooks(t.Context(), "a", "job", ended)
	require.Equal(t, results, told)
	ended.Each = nil
	require.Len(t, results, 4)
	require.Equal(t, []string{"first a no such file 2 at", "second a no such file 2 at", "job a no such file 2 at"}, called)
	require.Equal(t, d.HookSkipped, results[2].Outcome)
	require.Contains(t, results[3].Hook, "on_failure of job job definitions/hook_test.go:")

	called = nil
	ended.Done = []string{results[0].Hook, results[2].Hook}
	require.Len(t, runtime.RunHooks(t.Context(), "a", "", ended), 1)
	require.Equal(t, []string{"second a no such file 2 at"}, called)

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	require.Empty(t, runtime.RunHooks(cancelled, "a", "job", d.Ended{Step: "a"}), "what did not run is to run when it is tried again")
}

func TestSnapshotSaysWhereHooksAre(t *testing.T) {
	t.Parallel()
	hook := d.Do0(func(d.Context) error { return nil })
	chat := d.Resource("chat", d.Bind0(one), d.NoClose)
	a := constant("a", d.OnSuccess(d.Do1(func(d.Context, int) error { return nil }, chat)))
	op := d.Op("op", d.Bind0(one), d.OnFailure(hook))
	job := d.OpJob("job", []d.AnyValue{op}, d.OnFailure(d.Do1(func(d.Context, int) error { return nil }, chat)))
	snapshot, err := d.New("x", a, chat, job).Snapshot()
	require.NoError(t, err)
	require.Equal(t, []bool{true, false, false, true}, []bool{
		snapshot.Computes[0].OnSuccess, snapshot.Computes[0].OnFailure, snapshot.Computes[1].OnSuccess, snapshot.Computes[1].OnFailure,
	})
	require.Equal(t, []string{"chat"}, snapshot.Computes[0].Resources)
	require.True(t, snapshot.Jobs[0].OnFailure)
	require.False(t, snapshot.Jobs[0].OnSuccess)
	require.Equal(t, []string{"chat"}, snapshot.Jobs[0].Resources)
}

func TestHooksThatCannotRunAreProblems(t *testing.T) {
	t.Parallel()
	chat := d.Resource("chat", d.Bind0(one), d.NoClose)
	opened := d.Resource("opened", d.Bind1(func(d.Context, d.Failure) (int, error) { return 1, nil }, d.TheFailure), d.NoClose)
	use := func(d.Context, int) error { return nil }
	success := func(d.Context, d.Success) error { return nil }
	failure := func(d.Context, d.Failure) error { return nil }
	a := constant("a", d.OnSuccess(d.Do1(failure, d.TheFailure)), d.OnFailure(d.Do1(success, d.TheSuccess)), d.OnSuccess(d.Compute[d.Nothing]{}))
	b := d.Asset("b", d.Bind1(func(d.Context, d.Success) (int, error) { return 1, nil }, d.TheSuccess), d.OnSuccess(d.Do1(use, a)))
	op := d.Op("op", d.Bind1(func(d.Context, d.Failure) (int, error) { return 1, nil }, d.TheFailure), d.OnFailure(d.Do1(use, chat)))
	job := d.OpJob("job", []d.AnyValue{op}, d.OnFailure(d.Do1(func(d.Context, string) error { return nil }, d.MappingKey)))
	problems := strings.Join(problemsOf(t, d.New("x", a, b, opened, job)), "\n")
	for _, want := range []string{
		`asset "a" (definitions/validate_test.go:N), on_success: the hook (definitions/hook_test.go:N) binds TheFailure, which is not what it is about`,
		`asset "a" (definitions/validate_test.go:N), on_failure: the hook (definitions/hook_test.go:N) binds TheSuccess, which is not what it is about`,
		`asset "a" (definitions/validate_test.go:N), on_success: it has no function`,
		`asset "b" (definitions/hook_test.go:N), inputs: it binds TheSuccess, which is for hooks; bind it in OnSuccess`,
		`asset "b" (definitions/hook_test.go:N), on_success: the hook (definitions/hook_test.go:N) binds asset "a", and a hook loads no values`,
		`op "op" (definitions/hook_test.go:N), inputs: it binds TheFailure, which is for hooks; bind it in OnFailure`,
		`op "op" (definitions/hook_test.go:N), resources: it needs resource "chat"`,
		`resource "opened" (definitions/hook_test.go:N), inputs: it binds TheFailure, which is for hooks`,
		`job "job" (definitions/hook_test.go:N), on_failure: the hook (definitions/hook_test.go:N) binds MappingKey, which only a step's function can`,
	} {
		require.Contains(t, problems, want)
	}
}

func TestHooksWhoseConfigNoStepHasAreProblems(t *testing.T) {
	t.Parallel()
	type options struct {
		Channel string `config:"required"`
	}
	required, defaulted := d.Config(options{}), d.Config(struct{ Channel string }{"data"})
	tell := func(d.Context, options) error { return nil }
	takes := func(d.Context, options) (int, error) { return 1, nil }
	without, with := constant("without", d.OnSuccess(d.Do1(tell, required))), d.Asset("with", d.Bind1(takes, required), d.OnSuccess(d.Do1(tell, required)))
	byDefault := constant("by_default", d.OnFailure(d.Do1(func(d.Context, struct{ Channel string }) error { return nil }, defaulted)))
	taking, other := d.Op("taking", d.Bind1(takes, required)), d.Op("other", d.Bind0(one))
	problems := problemsOf(t, d.New("x", without, with, byDefault,
		d.OpJob("all_take", []d.AnyValue{taking}, d.OnFailure(d.Do1(tell, required))),
		d.OpJob("one_lacks", []d.AnyValue{taking, other}, d.OnFailure(d.Do1(tell, required))),
		d.AssetJob("with_job", d.Assets(with), d.OnFailure(d.Do1(tell, required))),
		d.AssetJob("assets", d.Select("*"), d.OnFailure(d.Do1(tell, required)))))
	fix := `; bind that config in the step's function, too, or give each of its fields a default`
	binds := `the hook (definitions/hook_test.go:N) binds config "definitions_test.options" (definitions/hook_test.go:N), which has required fields, and its step does not take that config`
	require.Equal(t, []string{
		`asset "without" (definitions/validate_test.go:N), on_success: ` + binds + fix,
		`job "assets" (definitions/hook_test.go:N), on_failure: ` + binds + ` (asset "without")` + fix,
		`job "one_lacks" (definitions/hook_test.go:N), on_failure: ` + binds + ` (op "other")` + fix,
	}, problems)
}
