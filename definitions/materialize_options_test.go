package definitions_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
)

// shelf is an input manager: it reads what somebody else has put there.
type shelf map[string]int

func (shelf) Accepts(t reflect.Type) error { return intsOnly{}.Accepts(t) }

func (s shelf) Load(_ d.Context, at d.Slot, into any) error {
	value, ok := s[at.Asset]
	if !ok {
		return fmt.Errorf("shelf: %w", d.ErrNotStored)
	}
	*into.(*int) = value
	return nil
}

type shelfConfig struct {
	Value int `config:"required"`
}

func TestLoadExternalReadsWithTheAssetsOwnManager(t *testing.T) {
	t.Parallel()
	config := d.Config(shelfConfig{})
	shelves := d.Resource("shelves", d.Bind1(func(_ d.Context, c shelfConfig) (shelf, error) { return shelf{"a": c.Value, "b": 2}, nil }, config), d.NoClose)
	a, b := d.External[int]("a", d.LoadedBy(shelves)), d.External[int]("b", d.LoadedBy(shelves))
	c := d.External[int]("c", d.LoadedBy(shelves))
	unread := d.External[int]("unread")
	total := d.Asset("total", d.Bind2(plusTwo, a, b))
	missing := d.Asset("missing", d.Bind1(plusOne, c))
	definitions := d.New("x", shelves, a, b, c, unread, total, missing)
	value := d.Configure(config, shelfConfig{Value: 40})

	run := d.Materialize(t.Context(), definitions, d.Only(total), d.LoadExternal(), value)
	require.NoError(t, run.Err())
	got, err := total.In(run)
	require.NoError(t, err)
	require.Equal(t, 42, got)
	_, err = a.In(run)
	require.EqualError(t, err, `asset "a" has no value: it is external: nothing here makes it, and it was not Given`)

	for name, test := range map[string]struct {
		want    int
		options []d.MaterializeOption
	}{
		"what is given is not loaded":        {102, []d.MaterializeOption{d.LoadExternal(), d.Given(a, 100), value}},
		"one by name, the other is given":    {140, []d.MaterializeOption{d.LoadExternal(a), d.Given(b, 100), value}},
		"the manager can be given, unopened": {7, []d.MaterializeOption{d.LoadExternal(a, b), d.Given(shelves, shelf{"a": 3, "b": 4})}},
	} {
		run := d.Materialize(t.Context(), definitions, append(test.options, d.Only(total))...)
		require.NoError(t, run.Err(), name)
		got, err := total.In(run)
		require.NoError(t, err, name)
		require.Equal(t, test.want, got, name)
	}

	run = d.Materialize(t.Context(), definitions, d.Only(missing), d.LoadExternal(), value)
	require.ErrorIs(t, run.Err(), d.ErrNotStored)
	require.ErrorContains(t, run.Err(), `missing failed (attempt 1): load input "c": shelf: no stored value (external asset: is it where its IO manager looks?)`)

	run = d.Materialize(t.Context(), definitions, d.Only(total), d.LoadExternal(a), value)
	require.ErrorContains(t, run.Err(), `asset "total" loads asset "b" (definitions/materialize_options_test.go:`)
	require.ErrorContains(t, run.Err(), "give it with Given, or have its own manager read it with LoadExternal")

	run = d.Materialize(t.Context(), definitions, d.Only(total), d.LoadExternal())
	require.ErrorContains(t, run.Err(), `"value" is required and has no default`, "the config of the manager is checked as in a real run")

	run = d.Materialize(t.Context(), definitions, d.LoadExternal(unread, total, nil, d.External[int]("elsewhere")))
	require.ErrorContains(t, run.Err(), `LoadExternal names asset "unread"`)
	require.ErrorContains(t, run.Err(), "declare it with LoadedBy")
	require.ErrorContains(t, run.Err(), `LoadExternal names asset "total"`)
	require.ErrorContains(t, run.Err(), "which is not external")
	require.ErrorContains(t, run.Err(), "LoadExternal names an asset handle that was never declared")
	require.ErrorContains(t, run.Err(), `LoadExternal names asset "elsewhere"`)
	require.Empty(t, run.Materialized())
}

func TestRetryAtOnceDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		flaky := d.Asset("flaky", d.Bind0(func(ctx d.Context) (int, error) {
			if attempts = ctx.Run().Attempt; attempts < 3 {
				return 0, errors.New("busy")
			}
			return 1, nil
		}), d.Retries{Max: 3, Delay: time.Minute})
		began := time.Now()
		run := d.Materialize(t.Context(), d.New("x", flaky), d.RetryAtOnce{})
		require.NoError(t, run.Err())
		require.Equal(t, 3, attempts)
		require.Zero(t, time.Since(began))
	})
}

func TestNewContextTellsWhatItIsGiven(t *testing.T) {
	t.Parallel()
	require.Equal(t, d.RunInfo{Attempt: 1}, d.NewContext(t.Context()).Run())
	require.Equal(t, d.RunInfo{Attempt: 1}, d.NewContext(t.Context(), nil).Run())
	second := d.RunInfo{ID: "r1", Cause: "c1", Attempt: 2, Tags: map[string]string{"team": "x"}}
	require.Equal(t, second, d.NewContext(t.Context(), second).Run())
	require.Equal(t, d.RunInfo{ID: "r1", Attempt: 1}, d.NewContext(t.Context(), d.RunInfo{ID: "r1"}).Run())
}
