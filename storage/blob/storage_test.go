package blob_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/storage/blob"
)

func store(t *testing.T, storage definitions.IOManager, at definitions.Slot, value any) definitions.Staged {
	t.Helper()
	ctx := definitions.NewContext(t.Context())
	staged, err := storage.Stage(ctx, at, value)
	require.NoError(t, err)
	require.NoError(t, staged.Publish(ctx))
	return staged
}

// fileOf is the content of the file that a location names.
func fileOf(t *testing.T, location string) string {
	t.Helper()
	parsed, err := url.Parse(location)
	require.NoError(t, err)
	content, err := os.ReadFile(filepath.FromSlash(parsed.Path))
	require.NoError(t, err)
	return string(content)
}

type text string

func (text) Extension() string { return ".md" }

type report struct {
	Title string
	Parts map[string]*report
}

func TestTheTypeChoosesTheForm(t *testing.T) {
	t.Parallel()
	_, folder := folderURL(t)
	tests := []struct {
		name      string
		value     any
		extension string
		content   string
		options   []blob.Option
	}{
		{name: "bytes", value: []byte{0, 255}, extension: ".bin", content: "\x00\xff"},
		{name: "no bytes", value: []byte{}, extension: ".bin", content: ""},
		{name: "text", value: "ä\n", extension: ".txt", content: "ä\n"},
		{name: "an image", value: SVG("<svg/>"), extension: ".svg", content: "<svg/>"},
		{name: "a page", value: text("# Delays"), extension: ".md", content: "# Delays"},
		{name: "JSON as it is", value: json.RawMessage(`{"a": 1}`), extension: ".json", content: `{"a": 1}`},
		{name: "a number", value: 1.5, extension: ".json", content: "1.5\n"},
		{name: "a list", value: []int{1, 2}, extension: ".json", content: "[\n1,\n2\n]\n"},
		{name: "an empty list", value: []int{}, extension: ".json", content: "[]\n"},
		{name: "no list", value: []int(nil), extension: ".json", content: "null\n"},
		{name: "a pointer", value: &report{Title: "a", Parts: map[string]*report{"b": nil}}, extension: ".json", content: `{"Title":"a","Parts":{"b":null}}` + "\n"},
		{name: "rows", value: []struct{ A int }{{1}, {2}}, extension: ".json", content: "[\n{\"A\":1},\n{\"A\":2}\n]\n"},
		{name: "rows as CSV", value: []struct{ A int }{{1}, {2}}, extension: ".csv", content: "a\n1\n2\n", options: []blob.Option{blob.Tables(blob.CSV())}},
		{name: "other things beside CSV", value: map[string]int{"a": 1}, extension: ".json", content: `{"a":1}` + "\n", options: []blob.Option{blob.Tables(blob.CSV())}},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			storage := open(t, folder, test.options...)
			require.NoError(t, storage.Accepts(reflect.TypeOf(test.value)))
			at := definitions.Slot{Asset: "raw/asset." + strconv.Itoa(i), Partition: "2001-01-01|a/b", Token: 7}
			staged := store(t, storage, at, test.value)
			require.Equal(t, folder+"/raw/asset."+strconv.Itoa(i)+"/partition=2001-01-01%257Ca%252Fb/7"+test.extension, staged.Location())
			require.Equal(t, test.content, fileOf(t, staged.Location()))
			loaded := reflect.New(reflect.TypeOf(test.value))
			require.NoError(t, storage.Load(definitions.NewContext(t.Context()), at, loaded.Interface()))
			require.Equal(t, test.value, loaded.Elem().Interface())
		})
	}
}

type wrong struct {
	Channel chan int
	Nested  []map[string]func()
	ByPair  map[[2]int]string
	Failure error
	OneWay  oneWay
	Left    chan int `json:"-"`
}

type oneWay struct{ A int }

func (oneWay) MarshalJSON() ([]byte, error) { return []byte("1"), nil }

type badExtension []byte

func (badExtension) Extension() string { return "a/b" }

func TestAcceptsListsEveryProblem(t *testing.T) {
	t.Parallel()
	err := (&blob.Storage{}).Accepts(reflect.TypeFor[wrong]())
	for _, want := range []string{
		"wrong.Channel is a chan", "wrong.Nested[][] is a func", "wrong.ByPair is a map by [2]int", "wrong.Failure is the interface error", "wrong.OneWay (blob_test.oneWay) marshals itself",
	} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "Left")
	require.ErrorContains(t, (&blob.Storage{}).Accepts(reflect.TypeFor[any]()), "is an interface")
	require.ErrorContains(t, (&blob.Storage{}).Accepts(reflect.TypeFor[badExtension]()), `extension "a/b"`)
	require.NoError(t, (&blob.Storage{}).Accepts(reflect.TypeFor[report]()), "a type may contain itself")

	nested := reflect.TypeFor[[]struct{ Names []string }]()
	require.NoError(t, (&blob.Storage{}).Accepts(nested), "the zero storage does not know the format")
	require.ErrorContains(t, blob.Accepts(blob.CSV())(nested), "Names is a []string, which is no cell")
}

func TestAValueThatCannotBeWrittenLeavesNothing(t *testing.T) {
	t.Parallel()
	path, folder := folderURL(t)
	storage := open(t, folder)
	_, err := storage.Stage(definitions.NewContext(t.Context()), definitions.Slot{Asset: "means", Token: 1}, []float64{1, math.NaN()})
	require.ErrorContains(t, err, "element 1")
	require.NotErrorIs(t, err, definitions.ErrUnavailable)
	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("drained"))
	_, err = storage.Stage(definitions.NewContext(cancelled), definitions.Slot{Asset: "means", Token: 1}, []float64{1})
	require.Error(t, err)
	require.NotErrorIs(t, err, definitions.ErrUnavailable)
	require.NoError(t, filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
		require.True(t, entry.IsDir(), path)
		return err
	}))
}

func TestACutFileIsNotAValue(t *testing.T) {
	t.Parallel()
	path, folder := folderURL(t)
	storage := open(t, folder)
	at := definitions.Slot{Asset: "numbers", Token: 1}
	for _, content := range []string{"", "[\n1,\n", "[1] [2]", `{"a":1}`} {
		require.NoError(t, os.MkdirAll(filepath.Join(path, "numbers"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(path, "numbers", "1.json"), []byte(content), 0o600))
		err := storage.Load(definitions.NewContext(t.Context()), at, new([]int))
		require.ErrorContains(t, err, "read as json into []int", content)
		require.NotErrorIs(t, err, definitions.ErrNotStored)
		require.NotErrorIs(t, err, definitions.ErrUnavailable)
	}
}

func TestExternalAssetsAreReadFromTheirPath(t *testing.T) {
	t.Parallel()
	path, folder := folderURL(t)
	storage := open(t, folder, blob.Tables(blob.CSV()), blob.Paths{"airports": "raw/airports-2001.csv"})
	require.NoError(t, os.MkdirAll(filepath.Join(path, "raw"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(path, "raw", "airports-2001.csv"), []byte("iata\nRNO\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(path, "raw", "cities.csv"), []byte("iata\nReno\n"), 0o600))
	type place struct{ IATA string }
	for asset, want := range map[string]string{"airports": "RNO", "raw/cities": "Reno"} {
		var loaded []place
		require.NoError(t, storage.Load(definitions.NewContext(t.Context()), definitions.Slot{Asset: asset}, &loaded))
		require.Equal(t, []place{{want}}, loaded)
	}
}

func TestRelativeFoldersHaveAbsoluteLocations(t *testing.T) {
	t.Chdir(t.TempDir())
	working, err := os.Getwd()
	require.NoError(t, err)
	storage := open(t, "file://./values?prefix=sub/")
	staged := store(t, storage, definitions.Slot{Asset: "a", Token: 1}, "x")
	require.Equal(t, "file://"+filepath.ToSlash(working)+"/values/sub/a/1.txt", staged.Location())
	require.Equal(t, "x", fileOf(t, staged.Location()))
}

func TestOpenRefusesWhatItCannotOpen(t *testing.T) {
	t.Parallel()
	for bucket, want := range map[string]string{
		"":                 "it is not a URL such as",
		"./data":           "it is not a URL such as",
		"gs://bucket":      `import _ "github.com/perdure-io/perdure/storage/blob/gcs"`,
		"ftp://host":       `no driver for "ftp"`,
		"file://data/out":  "file://./data/out for a relative one",
		"file:///dev/null": "not a directory",
	} {
		_, err := blob.Open(t.Context(), bucket)
		require.ErrorContains(t, err, want, bucket)
	}
	_, err := blob.Open(t.Context(), "mem://", blob.Tables(nil))
	require.ErrorContains(t, err, "blob.JSON() or blob.CSV()")
	_, err = blob.Open(t.Context(), "mem://", blob.Paths{"a": "../a.csv"})
	require.ErrorContains(t, err, `"../a.csv" of a`)
}

type flat struct {
	A string
	B int
}

func TestValueIsReadInTheFormatItWasStoredIn(t *testing.T) {
	t.Parallel()
	_, url := folderURL(t)
	ctx, at := definitions.NewContext(t.Context()), definitions.Slot{Asset: "rows", Token: 1}
	staged := store(t, open(t, url), at, []flat{{A: "x", B: 1}})
	require.NoError(t, staged.Publish(ctx))

	now := open(t, url, blob.Tables(blob.CSV()))
	var loaded []flat
	require.ErrorIs(t, now.Load(ctx, at, &loaded), definitions.ErrNotStored)
	at.Location = staged.Location()
	require.NoError(t, now.Load(ctx, at, &loaded))
	require.Equal(t, []flat{{A: "x", B: 1}}, loaded)

	moved := open(t, url+"/moved")
	require.ErrorContains(t, moved.Load(ctx, at, &loaded), staged.Location(), "it says where the value should be")
}

func TestOutputsOfOpsLieBelowTheirRun(t *testing.T) {
	t.Parallel()
	_, url := folderURL(t)
	storage := open(t, url)
	at := definitions.Slot{Run: "backfill:r 1", Step: "etl.clean[p_1]", Key: "k", Token: 7}
	staged := store(t, storage, at, "x")
	require.Equal(t, url+"/~runs/backfill%253Ar%25201/etl.clean%255Bp_1%255D/k/7.txt", staged.Location())
	require.Equal(t, "x", fileOf(t, staged.Location()))
}

// Readers outside find the current value under one name, whatever was told late.
func TestStablePathsKeepTheCurrentValue(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	storage, err := blob.Open(t.Context(), "file://"+filepath.ToSlash(folder), blob.StablePaths(), blob.Tables(blob.CSV()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, storage.Close()) })
	ctx := definitions.NewContext(t.Context())
	type row struct{ Value int }
	put := func(token int64, value int) definitions.Slot {
		at := definitions.Slot{Asset: "raw/flights", Token: token}
		staged, err := storage.Stage(ctx, at, []row{{value}})
		require.NoError(t, err)
		require.NoError(t, staged.Publish(ctx))
		at.Location = staged.Location()
		return at
	}
	current := func() string {
		text, err := os.ReadFile(filepath.Join(folder, "raw", "flights", "current.csv"))
		require.NoError(t, err)
		return string(text)
	}
	first, second := put(1, 10), put(2, 20)
	require.NoFileExists(t, filepath.Join(folder, "raw", "flights", "current.csv"), "published is not recorded")
	require.NoError(t, storage.Settle(ctx, second))
	require.Contains(t, current(), "20")
	require.NoError(t, storage.Settle(ctx, first))
	require.Contains(t, current(), "20", "told late")
	require.NoError(t, storage.Remove(ctx, first))
	require.NoError(t, storage.Settle(ctx, put(3, 30)))
	require.Contains(t, current(), "30")
}

func TestStablePathsOfPartitionsGoWithTheirValues(t *testing.T) {
	t.Parallel()
	path, url := folderURL(t)
	storage, ctx := open(t, url, blob.StablePaths()), definitions.NewContext(t.Context())
	put := func(partition string, token int64, value string) definitions.Slot {
		at := definitions.Slot{Asset: "daily", Partition: partition, Token: token}
		staged := store(t, storage, at, value)
		at.Location = staged.Location()
		require.NoError(t, storage.Settle(ctx, at))
		return at
	}
	current := func(partition string) string {
		return filepath.Join(path, "daily", "partition="+partition, "current.txt")
	}
	first, second := put("2001-01-01", 1, "a"), put("2001-01-02", 2, "b")
	require.FileExists(t, current("2001-01-01"))
	later := put("2001-01-01", 3, "c")
	require.NoError(t, storage.Remove(ctx, first))
	text, err := os.ReadFile(current("2001-01-01"))
	require.NoError(t, err)
	require.Equal(t, "c", string(text))
	require.NoError(t, storage.Remove(ctx, later))
	require.NoFileExists(t, current("2001-01-01"))
	put("2001-01-01", 2, "late")
	require.NoFileExists(t, current("2001-01-01"), "told late")
	text, err = os.ReadFile(current("2001-01-02"))
	require.NoError(t, err)
	require.Equal(t, "b", string(text))
	require.NoError(t, storage.Remove(ctx, second))
}
