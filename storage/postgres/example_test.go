package postgres_test

import (
	"fmt"
	"reflect"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/storage/postgres"
)

type RouteDelay struct {
	Origin, Destination string
	MeanDelay           float64 `db:"mean_delay_minutes"`
}

// A resource's function opens the storage. Its closer is (*postgres.Storage).Close.
func Example() {
	openTables := func(definitions.Context) (*postgres.Storage, error) {
		return postgres.Open("postgres://localhost/warehouse", postgres.Schema("delays"))
	}
	tables := definitions.Resource("tables", definitions.Bind0(openTables), (*postgres.Storage).Close)
	delays := definitions.Asset("route_delays", definitions.Bind0(routeDelays), definitions.StoredBy(tables))
	fmt.Println(definitions.New("flights", tables, delays).Validate())
	// Output: <nil>
}

func routeDelays(definitions.Context) ([]RouteDelay, error) {
	return []RouteDelay{{Origin: "RNO", Destination: "SMF", MeanDelay: 12.5}}, nil
}

func ExampleStorage_Accepts() {
	var storage postgres.Storage
	fmt.Println(storage.Accepts(reflect.TypeFor[[]RouteDelay]()))
	fmt.Println(storage.Accepts(reflect.TypeFor[RouteDelay]()))
	// Output:
	// <nil>
	// postgres_test.RouteDelay is not a slice of structs, as a table must be
}
