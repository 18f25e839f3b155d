package blob_test

import (
	"bytes"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/storage/blob"
)

type route struct{ Origin, Destination string }

type cells struct {
	route
	Small   int8
	Large   uint64
	Mean    float64 `csv:"mean, in minutes"`
	Half    float32
	Late    bool
	At      time.Time
	Day     time.Time `layout:"2006-01-02 15:04:05"`
	Wait    time.Duration
	Address netip.Addr
	MaybeN  *int
	MaybeAt *time.Time
	Left    func() `csv:"-"`
}

func drawCells(t *rapid.T) cells {
	at := time.Unix(rapid.Int64Range(-6e10, 2e11).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanos")).UTC()
	row := cells{
		// A carriage return before a line end is what CSV readers drop.
		route: route{Origin: strings.ReplaceAll(rapid.String().Draw(t, "origin"), "\r", ""), Destination: rapid.StringMatching(`[a", \n']*`).Draw(t, "destination")},
		Small: rapid.Int8().Draw(t, "small"), Large: rapid.Uint64().Draw(t, "large"), Mean: rapid.Float64().Draw(t, "mean"), Half: rapid.Float32().Draw(t, "half"),
		Late: rapid.Bool().Draw(t, "late"), At: at, Day: at.Truncate(time.Second), Wait: time.Duration(rapid.Int64().Draw(t, "wait")),
		Address: netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address"))),
	}
	if rapid.Bool().Draw(t, "present") {
		number := rapid.Int().Draw(t, "number")
		row.MaybeN, row.MaybeAt = &number, &at
	}
	return row
}

func TestCSVComesBackAsItWas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.Custom(drawCells), 0, 10).Draw(t, "rows")
		var file bytes.Buffer
		require.NoError(t, blob.CSV().Encode(&file, rows))
		var loaded []cells
		require.NoError(t, blob.CSV().Decode(&file, &loaded))
		require.Equal(t, rows, loaded)
	})
}

func TestCSVKeepsRowsThatAreOneEmptyCell(t *testing.T) {
	t.Parallel()
	type one struct{ Name string }
	rows := []one{{""}, {"a"}, {""}, {""}}
	var file bytes.Buffer
	require.NoError(t, blob.CSV().Encode(&file, rows))
	var loaded []one
	require.NoError(t, blob.CSV().Decode(&file, &loaded))
	require.Equal(t, rows, loaded)
}

func TestTimesWithoutZoneAreUTC(t *testing.T) {
	t.Parallel()
	type day struct {
		At time.Time `layout:"2006-01-02 15:04"`
	}
	var file bytes.Buffer
	at := time.Date(2001, 1, 1, 23, 30, 0, 0, time.FixedZone("west", -5*3600))
	require.NoError(t, blob.CSV().Encode(&file, []day{{at}}))
	require.Equal(t, "at\n2001-01-02 04:30\n", file.String())
}

func TestCSVSaysWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	type flight struct {
		Origin string
		Delay  int8
		At     time.Time `layout:"2006-01-02"`
	}
	for file, want := range map[string][]string{
		"":                     {"no header"},
		"origin,day\nRNO,2":    {`no column "delay" for flight.Delay`, `no column "at"`, "the header is: origin, day"},
		"origin,delay,at,at\n": {`column "at" is there twice`},
		"origin,delay,at\nRNO,12,2001-01-01\nRNO,x,": {`line 3, column "delay": "x" is no int8`},
		"origin,delay,at\nRNO,,2001-01-01":           {`line 2, column "delay": the cell is empty: make the field a *int8`},
		"origin,delay,at\nRNO,128,2001-01-01":        {`"128" does not fit into int8`},
		"origin,delay,at\n\"R\nNO\",1,1.1.2001":      {`line 3, column "at": "1.1.2001" is not a time like "2006-01-02"`},
		"origin,delay,at\nRNO,1":                     {"wrong number of fields"},
		"origin,delay,at\nRNO,1,2001-01-01,x":        {"wrong number of fields"},
	} {
		err := blob.CSV().Decode(strings.NewReader(file), new([]flight))
		for _, part := range want {
			require.ErrorContains(t, err, part, file)
		}
	}
}

func TestCSVIgnoresOtherColumnsAndAByteOrderMark(t *testing.T) {
	t.Parallel()
	var loaded []route
	require.NoError(t, blob.CSV().Decode(strings.NewReader("\xef\xbb\xbfdestination,other,origin\r\nSMF,1,RNO\r\n"), &loaded))
	require.Equal(t, []route{{Origin: "RNO", Destination: "SMF"}}, loaded)
}

func TestCSVAcceptsListsEveryProblem(t *testing.T) {
	t.Parallel()
	type wrong struct {
		Any   any
		Tags  []string
		Inner struct{ A int }
		N     int `layout:"2006"`
	}
	err := blob.CSV().Accepts(reflect.TypeFor[[]wrong]())
	for _, want := range []string{"wrong.Any is a interface", "wrong.Tags is a []string", "wrong.Inner", "wrong.N has a layout tag"} {
		require.ErrorContains(t, err, want)
	}
	require.ErrorContains(t, blob.CSV().Accepts(reflect.TypeFor[[]string]()), "[]string is not a slice of structs")
}

func TestCSVFiles(t *testing.T) {
	t.Parallel()
	ctx := definitions.NewContext(t.Context())
	files := blob.CSVFiles(fstest.MapFS{"raw/routes.csv": {Data: []byte("origin,destination\nRNO,SMF\n")}, "empty.csv": {}})
	require.NoError(t, files.Accepts(reflect.TypeFor[[]route]()))
	var loaded []route
	require.NoError(t, files.Load(ctx, definitions.Slot{Asset: "raw/routes"}, &loaded))
	require.Equal(t, []route{{Origin: "RNO", Destination: "SMF"}}, loaded)

	err := files.Load(ctx, definitions.Slot{Asset: "raw/airports"}, &loaded)
	require.ErrorIs(t, err, definitions.ErrNotStored)
	require.ErrorContains(t, err, "load raw/airports from raw/airports.csv")
	err = files.Load(ctx, definitions.Slot{Asset: "empty"}, &loaded)
	require.ErrorContains(t, err, "load empty from empty.csv: the file is empty")
}
