package blob_test

import (
	"context"
	"fmt"
	"testing/fstest"
	"time"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/storage/blob"
)

type Flight struct {
	DepartedAt   time.Time `layout:"2006-01-02 15:04:05"`
	Origin       string
	DelayMinutes int `csv:"delay"`
}

// A resource's function opens the storage. Its closer is (*blob.Storage).Close.
func Example() {
	openFiles := func(ctx definitions.Context) (*blob.Storage, error) {
		return blob.Open(ctx, "file:///var/lib/flights", blob.Tables(blob.CSV()))
	}
	files := definitions.Resource("files", definitions.Bind0(openFiles), (*blob.Storage).Close, definitions.Accepts(blob.Accepts(blob.CSV())))
	chart := definitions.Asset("chart", definitions.Bind0(drawChart), definitions.StoredBy(files))
	fmt.Println(definitions.New("flights", files, chart).Validate())
	// Output: <nil>
}

// SVG is stored as it is, with its own extension: …/chart/17.svg.
type SVG []byte

func (SVG) Extension() string { return "svg" }

func drawChart(definitions.Context) (SVG, error) { return SVG("<svg/>"), nil }

func ExampleCSVFiles() {
	// In a program: os.DirFS("data"), or an embed.FS.
	data := fstest.MapFS{"raw/flights-2001.csv": {Data: []byte("origin,delay,departed_at\nRNO,12,2001-01-01 06:20:00\n")}}
	open := func(definitions.Context) (*blob.Files, error) {
		return blob.CSVFiles(data, blob.Paths{"flights": "raw/flights-2001.csv"}), nil
	}
	files := definitions.Resource("files", definitions.Bind0(open), definitions.NoClose)
	flights := definitions.External[[]Flight]("flights", definitions.LoadedBy(files))
	first := definitions.Asset("first", definitions.Bind1(firstFlight, flights))

	run := definitions.Materialize(context.Background(), definitions.New("flights", files, flights, first), definitions.LoadExternal())
	fmt.Println(first.In(run))
	// Output: {2001-01-01 06:20:00 +0000 UTC RNO 12} <nil>
}

func firstFlight(_ definitions.Context, flights []Flight) (Flight, error) { return flights[0], nil }

func ExampleOpen() {
	ctx := definitions.NewContext(context.Background())
	storage, err := blob.Open(ctx, "mem://")
	if err != nil {
		fmt.Println(err)
		return
	}
	at := definitions.Slot{Asset: "reports/delays", Partition: "2001-01-01", Token: 17}
	staged, err := storage.Stage(ctx, at, "4 flights were late")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(staged.Location(), staged.Publish(ctx))

	var report string
	fmt.Println(storage.Load(ctx, at, &report), report)
	// Output:
	// mem:///reports/delays/partition=2001-01-01/17.txt <nil>
	// <nil> 4 flights were late
}
