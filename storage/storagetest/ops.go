package storagetest

import (
	"fmt"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/perdure-io/perdure/definitions"
)

// ops stores what could be taken for one another, at the same time, as the elements of a dynamic output are.
func ops(f *fixture) {
	at := definitions.Slot{Run: "r1", Step: "etl.clean", Token: 1}
	if f.store.RefusesOps {
		_, err := f.io.Stage(f.ctx, at, Rows(1, 1))
		require.ErrorContains(f, err, "etl.clean")
		require.ErrorContains(f, err, "r1")
		accepter, ok := f.io.(definitions.OpAccepter)
		require.True(f, ok, "%T is no definitions.OpAccepter: that it keeps no outputs of ops is then found only when one has run", f.io)
		require.Error(f, accepter.AcceptsOps())
		return
	}
	if accepter, ok := f.io.(definitions.OpAccepter); ok {
		require.NoError(f, accepter.AcceptsOps())
	}
	slots := []definitions.Slot{
		at,
		{Run: "r2", Step: "etl.clean", Token: 1},
		{Run: "r1", Step: "etl", Token: 1},
		{Run: "r1", Step: "etl", Key: "clean", Token: 1},
		{Run: "r1", Step: "etl[clean]", Token: 1},
		{Run: "r1", Step: "etl/clean", Token: 1},
		{Run: "r1/etl", Step: "clean", Token: 1},
		{Run: "r1", Step: "etl.clean", Token: 2},
		{Asset: "runs/r1/etl.clean", Token: 1},
		{Asset: "~runs/r1/etl.clean", Token: 1},
		{Run: "backfill:routes:2001-01-01", Step: "etl.clean", Key: "1", Token: 1},
		{Run: "backfill:routes:2001-01-01", Step: "etl.clean", Token: 1},
	}
	for i := range 40 {
		slots = append(slots, definitions.Slot{Run: "r1", Step: "list_pages", Key: fmt.Sprintf("page_%d", i), Token: 3})
	}
	staged := make([]definitions.Staged, len(slots))
	var group errgroup.Group
	for i, at := range slots {
		group.Go(func() (err error) {
			staged[i], err = f.io.Stage(f.ctx, at, Rows(2, i+1))
			return err
		})
	}
	require.NoError(f, group.Wait())
	locations := map[string]definitions.Slot{}
	for i, at := range slots {
		other, taken := locations[staged[i].Location()]
		require.False(f, taken, "%v and %v are both at %s", at, other, staged[i].Location())
		locations[staged[i].Location()] = at
		require.NoError(f, staged[i].Publish(f.ctx))
	}
	for i, at := range slots {
		at.Location = staged[i].Location()
		f.requireSlot(at, Rows(2, i+1))
	}
	resumer, ok := f.store.Open().(definitions.Resumer)
	require.True(f, ok)
	resumed, err := resumer.Resume(f.ctx, at, staged[0].Location())
	require.NoError(f, err)
	require.NoError(f, resumed.Publish(f.ctx))
	require.NoError(f, staged[0].Discard(f.ctx))
	err = f.io.Load(f.ctx, at, new([]Row))
	require.ErrorIs(f, err, definitions.ErrNotStored)
	require.ErrorContains(f, err, "etl.clean")
	f.requireSlot(slots[1], Rows(2, 2))
}

func (f *fixture) requireSlot(at definitions.Slot, want []Row) {
	f.Helper()
	var rows []Row
	require.NoError(f, f.io.Load(f.ctx, at, &rows), "%+v", at)
	require.Equal(f, want, rows, "%+v", at)
}

// locations loads as a step does, with the location that was recorded: also one of a store that has moved since.
func locations(f *fixture) {
	staged := f.stage("flights", 1, Rows(3, 1))
	require.NoError(f, staged.Publish(f.ctx))
	f.requireSlot(definitions.Slot{Asset: "flights", Token: 1, Location: staged.Location()}, Rows(3, 1))
	f.requireSlot(definitions.Slot{Asset: "flights", Token: 1, Location: "elsewhere:" + staged.Location()}, Rows(3, 1))
	err := f.io.Load(f.ctx, definitions.Slot{Asset: "airports", Token: 1, Location: staged.Location()}, new([]Row))
	require.ErrorIs(f, err, definitions.ErrNotStored)
}
