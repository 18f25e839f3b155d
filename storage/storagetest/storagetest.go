// Package storagetest checks that an IO manager keeps what Perdure relies on. Every manager of this module passes it; a
// manager of your own should too:
//
//	func TestConformance(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) storagetest.Store { … })
//	}
package storagetest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/perdure-io/perdure/definitions"
)

// Store is an empty store to be tested.
type Store struct {
	// Open makes a manager of the store: at each call a new one, as another process would have, on the same content.
	Open func() definitions.IOManager
	// Unreachable makes a manager whose store is away; nil when a store cannot be.
	Unreachable func() definitions.IOManager
	// Refuses are types that the manager must not accept; none when it takes all.
	Refuses []reflect.Type
	// KeepsHistory says that values of earlier tokens can still be loaded. A store without history gives its last value
	// instead, and refuses to publish a smaller token.
	KeepsHistory bool
	// RefusesOps says that the manager keeps no outputs of ops.
	RefusesOps bool
	// HidesStaged says that even who knows the token of a staged value cannot load it.
	HidesStaged bool
}

// Row is what the values of the tests are slices of.
type Row struct {
	Key   string
	Count int
	Mean  float64
	Late  bool
	At    time.Time
	Wait  time.Duration
	Note  *string
}

// Rows makes n different rows; rows of different salts differ.
func Rows(n, salt int) []Row {
	rows := make([]Row, n)
	for i := range rows {
		rows[i] = Row{
			Key: fmt.Sprintf("%d/%d, \"quoted\"\nö", salt, i), Count: -i * salt, Mean: float64(salt) + float64(i)/3, Late: i%2 == 1,
			At: time.Date(2001, 1, 1, 6, i, 0, 123456000, time.UTC), Wait: time.Duration(i) * time.Second,
		}
		if i%3 == 0 {
			note := fmt.Sprintf("note %d", i)
			rows[i].Note = &note
		}
	}
	return rows
}

// Run runs the suite; open makes a new, empty store for each of its tests.
func Run(t *testing.T, open func(*testing.T) Store) {
	t.Helper()
	tests := []struct {
		name string
		test func(*fixture)
	}{
		{"accepts what it stores and says why not", accepts},
		{"loads what was published, in order", roundTrip},
		{"nobody sees what is only staged", stagedIsInvisible},
		{"publishing again is no error", publishAgain},
		{"discarding removes the value and no other", discard},
		{"what is missing is reported as such", missing},
		{"a later token replaces an earlier one", laterTokenWins},
		{"a late publish does not replace a later value", latePublish},
		{"another process publishes what was staged", resume},
		{"what is gone cannot be resumed", resumeGone},
		{"no two slots share a name", names},
		{"slots do not disturb each other", concurrently},
		{"outputs of ops are kept by run, step and key", ops},
		{"a recorded location changes nothing", locations},
		{"a superseded value is removed, and no other", removing},
		{"no two partitions share a name", partitionNames},
		{"partitions are replaced one by one", partitionsApart},
		{"partitions do not disturb each other", partitionsConcurrently},
		{"another process publishes what was staged of a partition", resumePartition},
		{"what is removed of a partition stays removed", removePartition},
		{"external values cannot be written", tokenZero},
		{"a store that is away is reported as such", unreachable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			store := open(t)
			test.test(&fixture{T: t, store: store, io: store.Open(), ctx: definitions.NewContext(t.Context())})
		})
	}
}

// fixture is one test with its own store.
type fixture struct {
	*testing.T
	store Store
	io    definitions.IOManager
	ctx   definitions.Context
}

func (f *fixture) stage(asset string, token int64, rows []Row) definitions.Staged {
	f.Helper()
	staged, err := f.io.Stage(f.ctx, definitions.Slot{Asset: asset, Token: token}, rows)
	require.NoError(f, err)
	require.NotEmpty(f, staged.Location())
	return staged
}

func (f *fixture) publish(asset string, token int64, rows []Row) {
	f.Helper()
	require.NoError(f, f.stage(asset, token, rows).Publish(f.ctx))
}

func (f *fixture) load(asset string, token int64) ([]Row, error) {
	var rows []Row
	err := f.io.Load(f.ctx, definitions.Slot{Asset: asset, Token: token}, &rows)
	return rows, err
}

func (f *fixture) requireRows(asset string, token int64, want []Row) {
	f.Helper()
	rows, err := f.load(asset, token)
	require.NoError(f, err)
	require.Equal(f, want, rows)
}

func (f *fixture) requireMissing(asset string, token int64) {
	f.Helper()
	_, err := f.load(asset, token)
	require.ErrorIs(f, err, definitions.ErrNotStored)
	require.ErrorContains(f, err, asset)
}

func accepts(f *fixture) {
	require.NoError(f, f.io.Accepts(reflect.TypeFor[[]Row]()))
	for _, typ := range f.store.Refuses {
		require.ErrorContains(f, f.io.Accepts(typ), typ.String())
		zero := reflect.New(reflect.TypeOf(f.io).Elem()).Interface().(definitions.IOManager)
		require.Error(f, zero.Accepts(typ), "the zero manager is asked when definitions are validated")
	}
}

func roundTrip(f *fixture) {
	f.publish("raw/flights", 1, Rows(2500, 7))
	f.requireRows("raw/flights", 1, Rows(2500, 7))
	f.publish("none", 1, []Row{})
	f.requireRows("none", 1, []Row{})
}

func stagedIsInvisible(f *fixture) {
	f.publish("flights", 1, Rows(3, 1))
	f.stage("flights", 2, Rows(4, 2))
	f.requireRows("flights", 1, Rows(3, 1))
	if f.store.HidesStaged {
		f.requireMissing("flights", 2)
	}
}

func publishAgain(f *fixture) {
	staged := f.stage("flights", 1, Rows(3, 1))
	require.NoError(f, staged.Publish(f.ctx))
	require.NoError(f, staged.Publish(f.ctx))
	f.requireRows("flights", 1, Rows(3, 1))
}

func discard(f *fixture) {
	f.publish("flights", 1, Rows(3, 1))
	staged := f.stage("flights", 2, Rows(4, 2))
	require.NoError(f, staged.Discard(f.ctx))
	require.NoError(f, staged.Discard(f.ctx))
	f.requireMissing("flights", 2)
	f.requireRows("flights", 1, Rows(3, 1))
	require.ErrorIs(f, staged.Publish(f.ctx), definitions.ErrNotStored)
	f.requireRows("flights", 1, Rows(3, 1))
}

func missing(f *fixture) {
	f.requireMissing("raw/flights", 1)
	f.requireMissing("raw/flights", 0)
	f.publish("raw/flights", 1, Rows(1, 1))
	f.requireMissing("raw/flights", 2)
}

func laterTokenWins(f *fixture) {
	f.publish("flights", 1, Rows(3, 1))
	f.publish("flights", 2, Rows(4, 2))
	f.requireRows("flights", 2, Rows(4, 2))
	if f.store.KeepsHistory {
		f.requireRows("flights", 1, Rows(3, 1))
	} else {
		f.requireRows("flights", 1, Rows(4, 2))
	}
}

func latePublish(f *fixture) {
	late := f.stage("flights", 1, Rows(3, 1))
	f.publish("flights", 2, Rows(4, 2))
	err := late.Publish(f.ctx)
	if f.store.KeepsHistory {
		require.NoError(f, err)
	} else {
		require.Error(f, err)
		require.NotErrorIs(f, err, definitions.ErrUnavailable)
	}
	f.requireRows("flights", 2, Rows(4, 2))
	require.NoError(f, late.Discard(f.ctx))
	f.requireRows("flights", 2, Rows(4, 2))
}

func (f *fixture) resume(asset string, token int64, location string) (definitions.Staged, error) {
	other := f.store.Open()
	resumer, ok := other.(definitions.Resumer)
	require.True(f, ok, "%T is no definitions.Resumer", other)
	return resumer.Resume(f.ctx, definitions.Slot{Asset: asset, Token: token}, location)
}

func resume(f *fixture) {
	location := f.stage("raw/flights", 1, Rows(5, 1)).Location()
	staged, err := f.resume("raw/flights", 1, location)
	require.NoError(f, err)
	require.Equal(f, location, staged.Location())
	require.NoError(f, staged.Publish(f.ctx))
	f.requireRows("raw/flights", 1, Rows(5, 1))

	// The worker may also die between publishing and committing.
	published, err := f.resume("raw/flights", 1, location)
	require.NoError(f, err)
	require.NoError(f, published.Publish(f.ctx))
	f.requireRows("raw/flights", 1, Rows(5, 1))
}

func resumeGone(f *fixture) {
	staged := f.stage("flights", 1, Rows(5, 1))
	_, err := f.resume("flights", 2, staged.Location())
	require.Error(f, err)
	_, err = f.resume("flights", 1, "elsewhere:"+staged.Location())
	require.ErrorContains(f, err, "elsewhere:")
	require.NoError(f, staged.Discard(f.ctx))
	_, err = f.resume("flights", 1, staged.Location())
	require.ErrorIs(f, err, definitions.ErrNotStored)
}

func names(f *fixture) {
	long := make([]byte, 300)
	for i := range long {
		long[i] = 'x'
	}
	assets := []string{
		"a/b", "a_b", "a__b", "a-b", "a.b", "a/b/c", "a/b_", "a_/b", "a/_b", "a b", "Flugzeug", "flüge", "a/1", "a",
		"1.json", "..", "a/../b", "a%2Fb", "partition=a", string(long), string(long) + "y",
	}
	for i, asset := range assets {
		f.stage(asset, 1, Rows(1, i))
	}
	for i, asset := range assets {
		f.publish(asset, 2, Rows(2, i))
	}
	for i, asset := range assets {
		f.requireRows(asset, 2, Rows(2, i))
	}
}

func concurrently(f *fixture) {
	const assets, tokens = 4, 4
	var group errgroup.Group
	for asset := range assets {
		for token := int64(1); token <= tokens; token++ {
			group.Go(func() error {
				name := fmt.Sprintf("asset_%d", asset)
				staged, err := f.io.Stage(f.ctx, definitions.Slot{Asset: name, Token: token}, Rows(20, int(token)))
				if err != nil {
					return err
				}
				if err := staged.Publish(f.ctx); err != nil && (f.store.KeepsHistory || token == tokens) {
					return err
				}
				return nil
			})
		}
	}
	require.NoError(f, group.Wait())
	for asset := range assets {
		f.requireRows(fmt.Sprintf("asset_%d", asset), tokens, Rows(20, tokens))
	}
}

func tokenZero(f *fixture) {
	_, err := f.io.Stage(f.ctx, definitions.Slot{Asset: "flights"}, Rows(1, 1))
	require.ErrorContains(f, err, "token")
}

func unreachable(f *fixture) {
	if f.store.Unreachable == nil {
		return
	}
	f.io = f.store.Unreachable()
	_, err := f.io.Stage(f.ctx, definitions.Slot{Asset: "flights", Token: 1}, Rows(1, 1))
	require.ErrorIs(f, err, definitions.ErrUnavailable)
	require.ErrorContains(f, err, "flights")
	_, err = f.load("flights", 1)
	require.ErrorIs(f, err, definitions.ErrUnavailable)
	require.NotErrorIs(f, err, definitions.ErrNotStored)
}
