package storagetest

import (
	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
)

// removing checks the managers that remove superseded values: the one that is named goes, and no other.
func removing(f *fixture) {
	remover, ok := f.io.(definitions.Remover)
	if !ok {
		return
	}
	old := f.stage("events", 1, Rows(2, 1))
	require.NoError(f, old.Publish(f.ctx))
	f.publish("events", 2, Rows(2, 2))
	f.publish("events/late", 1, Rows(2, 3))

	at := definitions.Slot{Asset: "events", Token: 1, Location: old.Location()}
	require.NoError(f, remover.Remove(f.ctx, at))
	require.NoError(f, remover.Remove(f.ctx, at), "what is gone is no error")
	if f.store.KeepsHistory {
		f.requireMissing("events", 1)
	}
	f.requireRows("events", 2, Rows(2, 2))
	f.requireRows("events/late", 1, Rows(2, 3))
}
