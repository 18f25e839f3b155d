package integration

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// A user's message may be of any length, and hold any bytes: the run ends all the same, and says why.
func TestAMessageOfAnyLengthEndsItsRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const id = "surface-large"
	long := strings.Repeat("é\x00\xff", 1<<20)
	var all []definitions.Definition
	for i := range 20 {
		all = append(all, definitions.Asset(fmt.Sprintf("a%02d", i), definitions.Bind0(func(definitions.Context) (int, error) {
			return 0, errors.New("too long: " + long)
		})))
	}
	b.serve(t, definitions.New(id, all...))
	_, err := b.starter.StartRun(t.Context(), starter.NewRun{Location: id, ID: id, Request: wire.RunRequest{Assets: wire.AssetSelection{Expression: "*"}}})
	require.NoError(t, err)
	_, err = b.starter.Await(t.Context(), id)
	var ended *starter.RunError
	require.ErrorAs(t, err, &ended)
	require.Equal(t, wire.RunFailure, ended.Result.Status)
	require.Equal(t, 20, ended.Result.Steps.Failed)
	require.Len(t, ended.Result.Failures, 20)
	require.Contains(t, ended.Result.Failures[0].Message, "too long: é")
	found, err := b.store.Run(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, wire.RunFailure, found.Status)
}
