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
	_ = definitions.Asset("chart", definitions.Bind0(drawChart), definitions.StoredBy(files))
}

// SVG is stored as it is, with its own extension: …/chart/17.svg.
type SVG []byte

func (SVG) Extension() string { return "svg" }

func drawChart(definitions.Context) (SVG, error) { return SVG("<svg/>"), nil }

func ExampleCSVFiles() {
	ctx := definitions.NewContext(context.Background())
	// In a program: os.DirFS("data"), or an embed.FS.
	data := fstest.MapFS{"raw/flights-2001.csv": {Data: []byte("origin,delay,departed_at\nRNO,12,2001-01-01 06:20:00\n")}}
	files := blob.CSVFiles(data, blob.Paths{"flights": "raw/flights-2001.csv"})

	var flights []Flight
	if err := files.Load(ctx, definitions.Slot{Asset: "flights"}, &flights); err != nil {
		fmt.Println(err)
	}
	fmt.Println(flights)
	// Output: [{2001-01-01 06:20:00 +0000 UTC RNO 12}]
}

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
