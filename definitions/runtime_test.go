package definitions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// store is an IO manager with its values in a map, by asset and token.
type store struct {
	values map[string]any
	panics bool
}

func newStore() *store { return &store{values: map[string]any{}} }

func (*store) Accepts(reflect.Type) error { return nil }

func (s *store) Stage(_ d.Context, at d.Slot, value any) (d.Staged, error) {
	if s.panics {
		panic("the disk is gone")
	}
	return stored{s, fmt.Sprintf("%s@%d", at.Asset, at.Token), value}, nil
}

func (s *store) Load(_ d.Context, at d.Slot, into any) error {
	value, ok := s.values[fmt.Sprintf("%s@%d", at.Asset, at.Token)]
	if !ok {
		return d.ErrNotStored
	}
	reflect.ValueOf(into).Elem().Set(reflect.ValueOf(value))
	return nil
}

func (s *store) Resume(_ d.Context, at d.Slot, location string) (d.Staged, error) {
	name := fmt.Sprintf("%s@%d", at.Asset, at.Token)
	value, ok := s.values[name]
	if !ok || location != "store:"+name {
		return nil, d.ErrNotStored
	}
	return stored{s, name, value}, nil
}

type stored struct {
	store *store
	name  string
	value any
}

func (s stored) Location() string        { return "store:" + s.name }
func (s stored) Publish(d.Context) error { s.store.values[s.name] = s.value; return nil }
func (s stored) Discard(d.Context) error { delete(s.store.values, s.name); return nil }

// anything is a storage that keeps every type and stores nothing.
type anything struct{}

func (anything) Accepts(reflect.Type) error { return nil }
func (anything) Stage(d.Context, d.Slot, any) (d.Staged, error) {
	return nil, errors.ErrUnsupported
}
func (anything) Load(d.Context, d.Slot, any) error { return errors.ErrUnsupported }

// codeOf is a compute of a runtime, for an attempt that a test makes.
func codeOf(t *testing.T, r *d.Runtime, name string) *step.Code {
	t.Helper()
	code, ok := r.Code(name)
	require.True(t, ok)
	return code
}

// attempt asks for one asset.
func attempt(ctx context.Context, asset string, resources map[string]json.RawMessage) *step.Attempt {
	return &step.Attempt{
		Context: ctx, Run: "r1", Cause: "c1", Number: 2, Token: 7, Log: slog.New(slog.DiscardHandler), Tags: map[string]string{"team": "x"},
		Plan:   plan.Step{Key: asset, Type: asset, Outputs: []plan.Output{{Asset: asset}}, Resources: resources},
		Inputs: map[step.AssetPartition]wire.InputVersion{},
	}
}

func runtimeOf(t *testing.T, definitions ...d.Definition) *d.Runtime {
	t.Helper()
	runtime, err := d.NewRuntime(d.New("x", definitions...), d.Environment{Storage: anything{}})
	require.NoError(t, err)
	return runtime
}

func TestResourceIsOpenedOnceForAllSteps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var opened, closed atomic.Int32
		release := make(chan struct{})
		shared := d.Resource("shared", d.Bind0(func(d.Context) (int, error) {
			<-release
			return int(opened.Add(1)), nil
		}), func(int) error { closed.Add(1); return nil })
		a := d.Asset("a", d.Bind1(plusOne, shared))
		runtime := runtimeOf(t, shared, a)

		code := codeOf(t, runtime, "a")
		var steps sync.WaitGroup
		for range 20 {
			steps.Go(func() {
				outputs, err := code.Compute(attempt(t.Context(), "a", nil))
				if err != nil || outputs[0].Value != 2 {
					t.Errorf("got %v, %v", outputs, err)
				}
			})
		}
		impatient, cancel := context.WithCancelCause(t.Context())
		gaveUp := make(chan error)
		go func() {
			_, err := code.Compute(attempt(impatient, "a", nil))
			gaveUp <- err
		}()
		synctest.Wait() // all wait for the one opening
		cancel(errors.New("no patience"))
		require.ErrorContains(t, <-gaveUp, `open resource "shared": no patience`)
		close(release)
		steps.Wait()
		require.EqualValues(t, 1, opened.Load())

		require.NoError(t, runtime.Close(t.Context()))
		require.NoError(t, runtime.Close(t.Context()), "what is closed is not closed again")
		require.EqualValues(t, 1, closed.Load())
		_, err := codeOf(t, runtime, "a").Compute(attempt(t.Context(), "a", nil))
		require.ErrorContains(t, err, `open resource "shared": the worker is shutting down, its resources are closed`)
	})
}

func TestResourcesCloseInReverseOrderAndAllOfThem(t *testing.T) {
	t.Parallel()
	var closed []string
	closer := func(name string, err error) func(int) error {
		return func(int) error { closed = append(closed, name); return err }
	}
	first := d.Resource("first", d.Bind0(one), closer("first", errors.New("stuck")))
	second := d.Resource("second", d.Bind1(plusOne, first), func(int) error { closed = append(closed, "second"); panic("boom") })
	third := d.Resource("third", d.Bind2(plusTwo, second, first), closer("third", nil))
	unused := d.Resource("unused", d.Bind0(one), closer("unused", nil))
	runtime := runtimeOf(t, first, second, third, unused, d.Asset("a", d.Bind1(plusOne, third)))
	_, err := codeOf(t, runtime, "a").Compute(attempt(t.Context(), "a", nil))
	require.NoError(t, err)

	err = runtime.Close(t.Context())
	require.Equal(t, []string{"third", "second", "first"}, closed)
	require.ErrorContains(t, err, `close resource "first": stuck`)
	require.ErrorContains(t, err, `close resource "second": panic: boom`)
}

func TestCloseDoesNotWaitBeyondItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		stuck := d.Resource("stuck", d.Bind0(one), func(int) error { <-release; return nil })
		var closed atomic.Bool
		before := d.Resource("before", d.Bind0(one), func(int) error { closed.Store(true); return nil })
		runtime := runtimeOf(t, stuck, before, d.Asset("a", d.Bind2(plusTwo, before, stuck)))
		_, err := codeOf(t, runtime, "a").Compute(attempt(t.Context(), "a", nil))
		require.NoError(t, err)

		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("drained long enough"))
		err = runtime.Close(ctx)
		require.ErrorContains(t, err, `close resource "stuck": it was still closing when time was up: drained long enough`)
		synctest.Wait()
		require.True(t, closed.Load(), "the others are closed all the same")
	})
}

func TestFailedOpeningIsTriedAgainByTheNextStep(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	away := fmt.Errorf("no route to host: %w", d.ErrUnavailable)
	flaky := d.Resource("flaky", d.Bind0(func(d.Context) (int, error) {
		switch calls.Add(1) {
		case 1:
			return 0, away
		case 2:
			panic("half open")
		}
		return 1, nil
	}), d.NoClose)
	runtime := runtimeOf(t, flaky, d.Asset("a", d.Bind1(plusOne, flaky)))
	code := codeOf(t, runtime, "a")
	_, err := code.Compute(attempt(t.Context(), "a", nil))
	require.ErrorIs(t, err, step.ErrUnavailable, "the step runner must see that it is not the user's failure")
	require.ErrorContains(t, err, `open resource "flaky": no route to host`)
	_, err = code.Compute(attempt(t.Context(), "a", nil))
	require.ErrorContains(t, err, `open resource "flaky": panic: half open`)
	_, err = code.Compute(attempt(t.Context(), "a", nil))
	require.NoError(t, err)
}

func TestResourceIsOpenedForEachResolvedConfig(t *testing.T) {
	t.Parallel()
	type address struct{ Host string }
	var mutex sync.Mutex
	var hosts, clients []string
	server := d.Resource("server", d.Bind1(func(_ d.Context, a address) (string, error) {
		mutex.Lock()
		defer mutex.Unlock()
		hosts = append(hosts, a.Host)
		return a.Host, nil
	}, d.Config(address{Host: "main"})), d.NoClose)
	client := d.Resource("client", d.Bind1(func(_ d.Context, host string) (string, error) {
		mutex.Lock()
		defer mutex.Unlock()
		clients = append(clients, host)
		return "to " + host, nil
	}, server), d.NoClose)
	same := func(_ d.Context, s string) (string, error) { return s, nil }
	runtime := runtimeOf(t, server, client, d.Asset("a", d.Bind1(same, client)))
	for _, config := range []string{``, `{"host":"main"}`, `{"host":"other"}`, `{ "host": "other" }`} {
		var resources map[string]json.RawMessage
		if config != "" {
			resources = map[string]json.RawMessage{"server": json.RawMessage(config)}
		}
		_, err := codeOf(t, runtime, "a").Compute(attempt(t.Context(), "a", resources))
		require.NoError(t, err)
	}
	require.Equal(t, []string{"main", "other"}, hosts)
	require.Equal(t, []string{"main", "other"}, clients, "a resource is another one when what it needs is")

	_, err := codeOf(t, runtime, "a").Compute(attempt(t.Context(), "a", map[string]json.RawMessage{"server": json.RawMessage(`{"port":1}`)}))
	require.ErrorContains(t, err, `config of resource "server": port: unknown field "port"`)
}

func TestAttemptReachesTheFunctionAndItsReportsComeBack(t *testing.T) {
	t.Parallel()
	a := d.Asset("a", d.Bind0(func(ctx d.Context) (d.RunInfo, error) {
		ctx.Report(d.Text("who", "first"), d.DataVersion("v7"))
		ctx.Report(d.Text("who", "second"))
		return ctx.Run(), nil
	}))
	bad := d.Asset("bad", d.Bind0(func(ctx d.Context) (int, error) {
		ctx.Report(d.URL("docs", "nowhere"))
		return 1, nil
	}))
	runtime := runtimeOf(t, a, bad)
	outputs, err := codeOf(t, runtime, "a").Compute(attempt(t.Context(), "a", nil))
	require.NoError(t, err)
	require.Equal(t, d.RunInfo{ID: "r1", Cause: "c1", Attempt: 2, Tags: map[string]string{"team": "x"}}, outputs[0].Value)

	_, err = codeOf(t, runtime, "bad").Compute(attempt(t.Context(), "bad", nil))
	require.EqualError(t, err, `metadata "docs": "nowhere" is no absolute URL`)
}

func TestInputsAreLoadedUnderTheirTokens(t *testing.T) {
	t.Parallel()
	disk := newStore()
	storage := d.Resource("store", d.Bind0(func(d.Context) (*store, error) { return disk, nil }), d.NoClose)
	a, e := constant("a", d.StoredBy(storage)), d.External[int]("e", d.StoredBy(storage))
	b := d.Asset("b", d.Bind2(plusTwo, a, e), d.StoredBy(storage))
	runtime := runtimeOf(t, storage, a, e, b)
	code := codeOf(t, runtime, "b")

	at := attempt(t.Context(), "b", nil)
	_, err := code.Compute(at)
	require.EqualError(t, err, `load input "a": it has no materialization: materialize it first, or select it in the same run ("+b" takes everything above)`)

	at.Inputs[step.AssetPartition{Asset: "a"}] = wire.InputVersion{Asset: "a", Token: 5}
	_, err = code.Compute(at)
	require.ErrorIs(t, err, d.ErrNotStored)
	require.ErrorContains(t, err, `load input "a": no stored value`)

	disk.values["a@5"] = 20
	_, err = code.Compute(at)
	require.EqualError(t, err, `load input "e": no stored value (external asset: is it where its IO manager looks?)`)

	disk.values["e@0"] = 22
	outputs, err := code.Compute(at)
	require.NoError(t, err)
	require.Equal(t, 42, outputs[0].Value)

	staged, err := code.Stage(at, step.Slot{Asset: "b", Token: 7}, 42)
	require.NoError(t, err)
	require.Equal(t, "store:b@7", staged.Location())
	require.NoError(t, staged.Publish(t.Context()))
	require.Equal(t, 42, disk.values["b@7"])

	resumed, err := code.Resume(at, step.Slot{Asset: "b", Token: 7}, "store:b@7")
	require.NoError(t, err)
	require.NoError(t, resumed.Discard(t.Context()))
	require.NotContains(t, disk.values, "b@7")
	_, err = code.Resume(at, step.Slot{Asset: "b", Token: 7}, "store:b@7")
	require.ErrorIs(t, err, step.ErrNotResumable)

	disk.panics = true
	_, err = code.Stage(at, step.Slot{Asset: "b", Token: 8}, 42)
	require.ErrorContains(t, err, "panic: the disk is gone")
}

func TestTypeIsRefusedBeforeTheFunctionRunsWhereOnlyTheOpenedManagerKnows(t *testing.T) {
	t.Parallel()
	manager := d.Resource("ints", d.Bind0(func(d.Context) (d.IOManager, error) { return intsOnly{}, nil }), d.NoClose)
	ran := false
	a := d.Asset("a", d.Bind0(func(d.Context) (string, error) { ran = true; return "", nil }), d.StoredBy(manager))
	runtime := runtimeOf(t, manager, a)
	_, err := codeOf(t, runtime, "a").Compute(attempt(t.Context(), "a", nil))
	require.EqualError(t, err, `store "a": its IO manager does not keep a string: only integers, not string`)
	require.False(t, ran)
}

func TestDefaultStorage(t *testing.T) {
	t.Parallel()
	definitions := d.New("x", constant("a"), d.Asset("b", d.Do0(func(d.Context) error { return nil })), d.Asset("c", d.Bind0(func(d.Context) (string, error) { return "", nil })))
	_, err := d.NewRuntime(definitions, d.Environment{})
	require.ErrorContains(t, err, `asset "a" (definitions/validate_test.go:`)
	require.ErrorContains(t, err, `no IO manager keeps its value, for this process has no default storage`)
	require.NotContains(t, err.Error(), `asset "b"`, "there is nothing to store")
	_, err = d.NewRuntime(definitions, d.Environment{Storage: intsOnly{}})
	var problems d.ProblemList
	require.ErrorAs(t, err, &problems)
	require.Len(t, problems, 1)
	require.Equal(t, "the default storage does not keep a string: only integers, not string", problems[0].Message)

	_, err = d.NewRuntime(d.New("x", constant("a b")), d.Environment{Storage: anything{}})
	require.ErrorAs(t, err, &problems)
}

func TestCodesAreThoseOfTheSnapshot(t *testing.T) {
	t.Parallel()
	runtime, err := d.NewRuntime(Location, d.Environment{Storage: anything{}})
	require.NoError(t, err)
	var names []string
	for _, compute := range runtime.Snapshot().Computes {
		code := codeOf(t, runtime, compute.Name)
		require.Equal(t, compute.Shape, code.Shape)
		names = append(names, code.Type)
	}
	require.True(t, slices.IsSorted(names))
	require.Equal(t, []string{"flights", "report", "route_delays", "split_flights"}, names)
	_, ok := runtime.Code("airports")
	require.False(t, ok, "nothing computes an external asset")
}

func TestFanInLeavesOutWhatWasNotEmitted(t *testing.T) {
	t.Parallel()
	optional := d.OptionalAsset("optional", d.Bind0(func(d.Context) (*int, error) { return nil, nil }))
	below := d.Asset("below", d.Bind1(plusOne, optional))
	all := d.Asset("all", d.Bind1(sum, d.All[int](optional, below)))
	code := codeOf(t, runtimeOf(t, optional, below, all), "all")

	inRun := attempt(t.Context(), "all", nil)
	inRun.Plan.Inputs = []plan.StepInput{{Asset: "below", InRun: true}, {Asset: "optional", InRun: true}}
	outputs, err := code.Compute(inRun)
	require.NoError(t, err)
	require.Equal(t, 0, outputs[0].Value, "what this run makes and did not emit is left out, also when it was skipped")

	outside := attempt(t.Context(), "all", nil)
	outside.Plan.Inputs = []plan.StepInput{{Asset: "below"}, {Asset: "optional"}}
	_, err = code.Compute(outside)
	require.ErrorContains(t, err, `load input "below": it has no materialization`, "what another run should have made is missed, unless it is optional")
}
