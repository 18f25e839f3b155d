package memory_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/storage/memory"
	"github.com/perdure-io/perdure/storage/storagetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(*testing.T) storagetest.Store {
		// Only one process has the values, so every manager of them is the same one.
		storage := memory.New()
		return storagetest.Store{Open: func() definitions.IOManager { return storage }, KeepsHistory: true, HidesStaged: true}
	})
}

func TestLoadRefusesAnotherType(t *testing.T) {
	t.Parallel()
	storage, ctx := memory.New(), definitions.NewContext(t.Context())
	storage.Put("airports", []string{"RNO"})
	var numbers []int
	err := storage.Load(ctx, definitions.Slot{Asset: "airports"}, &numbers)
	require.ErrorContains(t, err, "a []string, a []int is asked for")
	require.ErrorContains(t, storage.Load(ctx, definitions.Slot{Asset: "airports"}, numbers), "a pointer is needed")
}

func TestNilValuesAreValues(t *testing.T) {
	t.Parallel()
	storage, ctx := memory.New(), definitions.NewContext(t.Context())
	storage.Put("nothing", nil)
	loaded := errors.New("something")
	require.NoError(t, storage.Load(ctx, definitions.Slot{Asset: "nothing"}, &loaded))
	require.NoError(t, loaded)
}
