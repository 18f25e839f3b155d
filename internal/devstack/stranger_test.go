package devstack

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnotherServerThatAnswersInItsPlaceIsNotTakenForOurs(t *testing.T) {
	t.Parallel()
	first, err := Start(context.WithoutCancel(t.Context()), Options{
		Dir: stackFolder(t), Ephemeral: true, WithoutPostgres: true, WithoutUI: true,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, first.Stop()) })

	// As when both looked before either was there.
	late := *first.temporal
	late.logFile, late.process = filepath.Join(t.TempDir(), "temporal.log"), nil
	require.NoError(t, late.launch())
	require.Error(t, late.await(t.Context()))
	require.True(t, late.process == nil || !late.process.alive())
}
