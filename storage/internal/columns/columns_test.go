package columns_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/storage/internal/columns"
)

type place struct {
	City    string
	Visited time.Time
}

type row struct {
	OriginID string
	Delay    int `db:"delay_minutes"`
	place
	Note   string `db:"-"`
	hidden int
}

func TestOfListsExportedFieldsInOrder(t *testing.T) {
	t.Parallel()
	found, err := columns.Of(reflect.TypeFor[row](), "db")
	require.NoError(t, err)
	var names []string
	for _, column := range found {
		names = append(names, column.Name)
	}
	require.Equal(t, []string{"origin_id", "delay_minutes", "city", "visited"}, names)
	value := reflect.ValueOf(row{place: place{City: "Reno"}, hidden: 1})
	require.Equal(t, "Reno", value.FieldByIndex(found[2].Index).String())
}

func TestOfReportsEveryProblem(t *testing.T) {
	t.Parallel()
	type wrong struct {
		A     int `db:"b"`
		B     int
		c     int `db:"c"`
		Empty int `db:""`
	}
	_, err := columns.Of(reflect.TypeOf(wrong{c: 1}), "db")
	require.ErrorContains(t, err, `wrong.A and wrong.B are both column "b"`)
	require.ErrorContains(t, err, "wrong.c has a db tag and is not exported")
	require.ErrorContains(t, err, "wrong.Empty has an empty db tag")

	type empty struct{ hidden int }
	_, err = columns.Of(reflect.TypeOf(empty{hidden: 1}), "db")
	require.ErrorContains(t, err, "no exported field")
}

func TestSnakeCase(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Delay": "delay", "DelayMinutes": "delay_minutes", "IATA": "iata", "OriginID": "origin_id",
		"HTTPServer": "http_server", "A1": "a1", "Day2Night": "day2_night", "Snake_Case": "snake_case",
	} {
		require.Equal(t, want, columns.SnakeCase(name), name)
	}
}
