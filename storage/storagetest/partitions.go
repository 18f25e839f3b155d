package storagetest

import (
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/perdure-io/perdure/definitions"
)

// partitionKeys are keys that a store could take for one another, or for something else.
var partitionKeys = []string{
	"2001-01-01", "2001-01-01T00:00", "2001-01-01|short", "2001-01-01|long", "short|2001-01-01", "a/b", "a", "a b", "a%2Fb",
	"..", "a/../b", "/", "partition=a", "1", "1.json", "current", "current.token", "flüge", "flu\u0308ge", "東京|成田", "it's \"quoted\"", `\`, "-", "*",
	strings.Repeat("x", 300), strings.Repeat("x", 300) + "y", strings.Repeat("ü", 150),
}

func daily(partition string, token int64) definitions.Slot {
	return definitions.Slot{Asset: "daily", Partition: partition, Token: token}
}

func (f *fixture) stageSlot(at definitions.Slot, rows []Row) definitions.Staged {
	f.Helper()
	staged, err := f.io.Stage(f.ctx, at, rows)
	require.NoError(f, err, "%+v", at)
	return staged
}

func (f *fixture) publishSlot(at definitions.Slot, rows []Row) {
	f.Helper()
	require.NoError(f, f.stageSlot(at, rows).Publish(f.ctx), "%+v", at)
}

func (f *fixture) requireMissingSlot(at definitions.Slot) {
	f.Helper()
	err := f.io.Load(f.ctx, at, new([]Row))
	require.ErrorIs(f, err, definitions.ErrNotStored, "%+v", at)
	require.ErrorContains(f, err, at.String())
}

// partitionNames stages all before it publishes any, so that staged values may not share a name either.
func partitionNames(f *fixture) {
	staged, locations := make([]definitions.Staged, len(partitionKeys)), map[string]string{}
	for i, key := range partitionKeys {
		f.requireMissingSlot(daily(key, 1))
		staged[i] = f.stageSlot(daily(key, 1), Rows(2, i+1))
		other, taken := locations[staged[i].Location()]
		require.False(f, taken, "%q and %q are both at %s", key, other, staged[i].Location())
		locations[staged[i].Location()] = key
	}
	f.publish("weekly", 1, Rows(1, 1))
	f.publish("daily/partition=2001-01-01", 1, Rows(1, 2))
	for _, one := range staged {
		require.NoError(f, one.Publish(f.ctx))
	}
	for i, key := range partitionKeys {
		f.requireSlot(daily(key, 1), Rows(2, i+1))
	}
	f.requireRows("weekly", 1, Rows(1, 1))
	f.requireRows("daily/partition=2001-01-01", 1, Rows(1, 2))
}

func partitionsApart(f *fixture) {
	const first, second = "2001-01-01", "2001-01-02"
	f.publishSlot(daily(first, 1), Rows(300, 1))
	f.requireMissingSlot(daily(second, 1))
	f.publishSlot(daily(second, 2), Rows(200, 2))
	f.publishSlot(daily("none", 2), []Row{})
	late := f.stageSlot(daily(first, 3), Rows(4, 3))
	f.requireSlot(daily(first, 1), Rows(300, 1))
	f.publishSlot(daily(first, 4), Rows(500, 4))
	f.requireSlot(daily(first, 4), Rows(500, 4))
	f.requireSlot(daily(second, 2), Rows(200, 2))
	f.requireSlot(daily("none", 2), []Row{})

	err := late.Publish(f.ctx)
	if f.store.KeepsHistory {
		require.NoError(f, err)
		f.requireSlot(daily(first, 1), Rows(300, 1))
	} else {
		require.Error(f, err)
		require.ErrorContains(f, err, daily(first, 3).String())
		f.requireSlot(daily(first, 1), Rows(500, 4))
	}
	f.requireSlot(daily(first, 4), Rows(500, 4))
	require.NoError(f, late.Discard(f.ctx))
	f.requireSlot(daily(first, 4), Rows(500, 4))
	f.requireSlot(daily(second, 2), Rows(200, 2))
}

// partitionsConcurrently makes a new asset's partitions at the same time, several attempts at each.
func partitionsConcurrently(f *fixture) {
	const partitions, tokens = 12, 3
	var group errgroup.Group
	for partition := range partitions {
		for token := int64(1); token <= tokens; token++ {
			group.Go(func() error {
				staged, err := f.io.Stage(f.ctx, daily(fmt.Sprint(partition), token), Rows(30, partition+int(token)*100))
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
	for partition := range partitions {
		f.requireSlot(daily(fmt.Sprint(partition), tokens), Rows(30, partition+tokens*100))
	}
}

func resumePartition(f *fixture) {
	at := daily("2001-01-01|short", 1)
	f.publishSlot(daily("2001-01-01|long", 1), Rows(1, 2))
	location := f.stageSlot(at, Rows(5, 1)).Location()
	resumer, ok := f.store.Open().(definitions.Resumer)
	require.True(f, ok)
	for range 2 { // the worker may die before publishing, and between publishing and committing
		staged, err := resumer.Resume(f.ctx, at, location)
		require.NoError(f, err)
		require.Equal(f, location, staged.Location())
		require.NoError(f, staged.Publish(f.ctx))
		f.requireSlot(at, Rows(5, 1))
	}
	_, err := resumer.Resume(f.ctx, daily("2001-01-01|long", 1), location)
	require.Error(f, err, "the location is another partition's")
	f.requireSlot(daily("2001-01-01|long", 1), Rows(1, 2))
}

func removePartition(f *fixture) {
	remover, ok := f.io.(definitions.Remover)
	if !ok {
		return
	}
	const key, other = "2001-01-01", "2001-01-02"
	first, late := f.stageSlot(daily(key, 1), Rows(2, 1)), f.stageSlot(daily(key, 2), Rows(2, 2))
	require.NoError(f, first.Publish(f.ctx))
	current := f.stageSlot(daily(key, 3), Rows(3, 3))
	require.NoError(f, current.Publish(f.ctx))
	f.publishSlot(daily(other, 3), Rows(4, 4))

	at := daily(key, 1)
	at.Location = first.Location()
	require.NoError(f, remover.Remove(f.ctx, at))
	f.requireSlot(daily(key, 3), Rows(3, 3))

	at = daily(key, 3)
	at.Location = current.Location()
	require.NoError(f, remover.Remove(f.ctx, at))
	require.NoError(f, remover.Remove(f.ctx, at), "what is gone is no error")
	f.requireMissingSlot(daily(key, 3))
	require.ErrorIs(f, current.Publish(f.ctx), definitions.ErrNotStored)
	if !f.store.KeepsHistory {
		require.Error(f, late.Publish(f.ctx), "an attempt that began before the removed one")
	}
	f.requireMissingSlot(daily(key, 3))
	f.requireSlot(daily(other, 3), Rows(4, 4))

	f.publishSlot(daily(key, 4), Rows(5, 5))
	f.requireSlot(daily(key, 4), Rows(5, 5))
}
