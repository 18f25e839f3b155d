package blob_test

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/storage/blob"
)

func TestPathsOfPartitions(t *testing.T) {
	t.Parallel()
	ctx, row := definitions.NewContext(t.Context()), func(origin string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("origin,destination\n" + origin + ",SMF\n")}
	}
	folder := fstest.MapFS{
		"routes.csv": row("all"), "routes-2001-01-01.csv": row("first"), "2001/routes-2001.csv": row("twice"),
		"short/2001-01-01.csv": row("short"), "{band}/2001-01-01.csv": row("braces"), "routes-{day}.csv": row("literally"),
	}
	paths := blob.Paths{
		"dated": "routes-{partition}.csv", "twice": "{partition}/routes-{partition}.csv", "grid": "{band}/{day}.csv",
		"one": "routes.csv", "single": "routes-{day}.csv", "three": "{a}/{b}/{partition}.csv",
	}
	for _, test := range []struct{ asset, partition, origin, problem string }{
		{"dated", "2001-01-01", "first", ""},
		{"twice", "2001", "twice", ""},
		{"grid", "short|2001-01-01", "short", ""},
		{"grid", "{day}|2001-01-01", "", "{day}/2001-01-01.csv"},
		{"one", "", "all", ""},
		{"routes", "", "all", ""},
		{"routes", "2001-01-01", "", `blob.Paths{"routes": "routes-{partition}.csv"}`},
		{"one", "2001-01-01", "", `"routes.csv" is one file, in which they cannot be told apart`},
		{"dated", "", "", "has places for a partition, and the asset has none"},
		{"grid", "2001-01-01", "", `"2001-01-01" is no key of one: write {partition}`},
		{"dated", "/../x", "", "no path below the folder"},
		{"single", "2001-01-01", "", "has the places {day}: write {partition} for the whole key, or the names of both dimensions"},
		{"three", "2001-01-01", "", "has the places {a} {b} {partition}"},
	} {
		var loaded []route
		err := blob.CSVFiles(folder, paths).Load(ctx, definitions.Slot{Asset: test.asset, Partition: test.partition}, &loaded)
		if test.problem != "" {
			require.ErrorContains(t, err, "load "+definitions.Slot{Asset: test.asset, Partition: test.partition}.String(), "%+v", test)
			require.ErrorContains(t, err, test.problem, "%+v", test)
			continue
		}
		require.NoError(t, err, "%+v", test)
		require.Equal(t, []route{{Origin: test.origin, Destination: "SMF"}}, loaded, "%+v", test)
	}

	_, err := blob.Open(t.Context(), "mem://", paths)
	require.ErrorContains(t, err, `"routes-{day}.csv" of single has the places {day}`)
	require.ErrorContains(t, err, "of three has the places")
	storage := open(t, "mem://", blob.Paths{"dated": "routes-{partition}.txt"})
	err = storage.Load(ctx, definitions.Slot{Asset: "dated", Partition: "a"}, new(string))
	require.ErrorIs(t, err, definitions.ErrNotStored)
	require.ErrorContains(t, err, "from mem:///routes-a.txt")
	require.ErrorContains(t, storage.Load(ctx, definitions.Slot{Asset: "other", Partition: "a"}, new(string)), `blob.Paths{"other": "other-{partition}.txt"}`)
}
