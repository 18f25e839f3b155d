package main

import (
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
)

func look(t *testing.T, folder fs.FS, before listing) definitions.SensorTicked[listing] {
	t.Helper()
	tick, err := definitions.EvaluateSensor(t.Context(), Location, NewFiles,
		definitions.Given(Watchlist, folder), definitions.Given(definitions.CursorOf[listing](), before))
	require.NoError(t, err)
	return tick
}

func TestNewFilesAreWatched(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	folder := fstest.MapFS{
		"west.txt":    {Data: []byte("RNO SMF\n"), ModTime: noon},
		"readme.md":   {Data: []byte("what lies here\n"), ModTime: noon},
		"old/deep.md": {Data: []byte("LAX"), ModTime: noon},
	}
	tick := look(t, folder, nil)
	require.Len(t, tick.Runs, 1)
	require.Equal(t, "west.txt 2026-12-01T12:00:00Z", tick.Runs[0].RunKey)
	require.Equal(t, []string{"RNO", "SMF"}, tick.Runs[0].Partitions)
	require.Equal(t, map[string][]string{"watched_airports": {"RNO", "SMF"}}, tick.Added)
	require.Equal(t, listing{"west.txt": noon, "readme.md": noon}, tick.Cursor)

	again := look(t, folder, tick.Cursor)
	require.Empty(t, again.Runs)
	require.Empty(t, again.Added)
	require.Equal(t, "nothing new, files: 2", again.Skip)

	// A file that is moved here and is older than what was seen is new; one that was written anew is, too.
	folder["east.txt"] = &fstest.MapFile{Data: []byte("BOS"), ModTime: noon.AddDate(0, -1, 0)}
	folder["west.txt"] = &fstest.MapFile{Data: []byte("LAX"), ModTime: noon.Add(time.Second)}
	delete(folder, "readme.md")
	changed := look(t, folder, tick.Cursor)
	require.Len(t, changed.Runs, 2)
	require.Equal(t, map[string][]string{"watched_airports": {"BOS", "LAX"}}, changed.Added)
	require.Len(t, changed.Cursor, 2)
}

func TestTheFolderNeedNotBeThere(t *testing.T) {
	t.Parallel()
	gone, err := fs.Sub(fstest.MapFS{}, "gone")
	require.NoError(t, err)
	require.Equal(t, "nothing new, files: 0", look(t, gone, listing{"west.txt": time.Now()}).Skip)
}
