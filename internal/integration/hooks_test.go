package integration

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/metadata"
)

// What hooks log, and that one failed, is among the lines of their step when the run has ended.
func TestWhatHooksLogIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const id = "hook-lines"
	number := definitions.Asset("number", definitions.Bind0(func(ctx definitions.Context) (int, error) {
		ctx.Log().Info("computed")
		return 1, nil
	}), definitions.OnSuccess(definitions.Do1(func(ctx definitions.Context, s definitions.Success) error {
		ctx.Log().Info("told", "assets", s.Assets)
		return errors.New("the chat is down")
	}, definitions.TheSuccess)))
	b.serve(t, definitions.New(id, number))
	temporalCLI(t, startArguments("execute", id, id, `{"assets":"*"}`)...).ok(t)

	page, err := b.store.LogLines(t.Context(), metadata.LogFilter{Run: id, Step: "number", Level: slog.LevelInfo}, "", 10)
	require.NoError(t, err)
	require.Len(t, page.Rows, 3)
	require.Equal(t, "computed", page.Rows[0].Message)
	require.Equal(t, "told", page.Rows[1].Message)
	require.Contains(t, string(page.Rows[1].Attributes), `"number"`)
	require.Equal(t, slog.LevelWarn, page.Rows[2].Level)
	require.Contains(t, string(page.Rows[2].Attributes), "the chat is down")
}
