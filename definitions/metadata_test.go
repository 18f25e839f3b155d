package definitions_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/wire"
)

func TestMetadataAsItIsRecorded(t *testing.T) {
	t.Parallel()
	type row struct {
		Route    string `description:"from and to"`
		MeanWait time.Duration
		N        int  `json:"flights"`
		Hidden   bool `json:"-"`
		internal int
	}
	rows := []row{{Route: "RNO-SMF", MeanWait: 90 * time.Second, N: 3, internal: 1}}
	columns := `[{"name":"route","type":"string","description":"from and to"},{"name":"mean_wait","type":"duration"},{"name":"flights","type":"int"}]`
	for _, test := range []struct {
		want string
		of   d.Metadatum
	}{
		{`int 18446744073709551615`, d.Int("x", uint64(math.MaxUint64))},
		{`int -3`, d.Int("x", -3)},
		{`float 0.5`, d.Float("x", 0.5)},
		{`text "a\nb"`, d.Text("x", "a\nb")},
		{`url "https://example.com/a?b=c"`, d.URL("x", "https://example.com/a?b=c")},
		{`path "/data/x.csv"`, d.Path("x", "/data/x.csv")},
		{`json {"a":[1,null]}`, d.JSON("x", map[string]any{"a": []any{1, nil}})},
		{`md "# Title"`, d.Markdown("x", "# Title")},
		{`timestamp "2001-01-31T06:00:00.5-05:00"`, d.Timestamp("x", time.Date(2001, 1, 31, 6, 0, 0, 5e8, time.FixedZone("EST", -5*3600)))},
		{`duration "1m30s"`, d.Duration("x", 90*time.Second)},
		{`bool true`, d.Bool("x", true)},
		{`asset "flights"`, d.AssetRef("x", Flights)},
		{`int 3`, d.RowCount(3)},
		{`table {"columns":` + columns + `,"rows":[["RNO-SMF","1m30s",3]]}`, d.Table("x", rows)},
		{`table {"columns":[{"name":"value","type":"float"}],"rows":[[1.5]]}`, d.Table("x", []float64{1.5})},
		{`table_schema {"columns":` + columns + `}`, d.Schema("x", d.SchemaOf[row]())},
	} {
		require.Equal(t, test.want, string(test.of.Type())+" "+string(test.of.JSON()))
	}
	require.Equal(t, wire.LabelRowCount, d.RowCount(3).Label)
	require.Equal(t, `x="y"`, d.Text("x", "y").String())
	require.Contains(t, map[d.Metadatum]bool{d.Text("x", "y"): true}, d.Text("x", "y"), "metadata is comparable")
}

func TestInvalidMetadataSaysWhy(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]d.Metadatum{
		`x=invalid(metadata "x": NaN is no number that can be recorded)`:                                     d.Float("x", math.NaN()),
		`x=invalid(metadata "x": +Inf is no number that can be recorded)`:                                    d.Float("x", math.Inf(1)),
		`x=invalid(metadata "x": "/a" is no absolute URL)`:                                                   d.URL("x", "/a"),
		`x=invalid(metadata "x": json: unsupported type: chan int)`:                                          d.JSON("x", make(chan int)),
		`x=invalid(metadata "x": the zero time is no timestamp)`:                                             d.Timestamp("x", time.Time{}),
		`x=invalid(metadata "x": the asset handle was never declared)`:                                       d.AssetRef("x", nil),
		`perdure/row_count=invalid(metadata "perdure/row_count": -1 is no number of rows)`:                   d.RowCount(-1),
		`perdure/data_version=invalid(metadata "perdure/data_version": the data version is empty)`:           d.DataVersion(""),
		`x=invalid(metadata "x": the table has 1001 rows, metadata holds at most 1000: make it an asset)`:    d.Table("x", make([]int, 1001)),
		`x=invalid(metadata "x": struct {} has no exported fields, so the table has no columns)`:             d.Table("x", []struct{}{{}}),
		`x=invalid(metadata "x": json: unsupported value: NaN)`:                                              d.Table("x", []float64{math.NaN()}),
		`x=invalid(metadata "x": the schema has no columns)`:                                                 d.Schema("x", d.TableSchema{}),
		`x=invalid(metadata "x": the column "a" is there twice)`:                                             d.Schema("x", d.TableSchema{Columns: []d.Column{{Name: "a"}, {Name: "a"}}}),
		`x=invalid(metadata "x": a column has no name)`:                                                      d.Schema("x", d.TableSchema{Columns: []d.Column{{}}}),
		`=invalid(metadata has an empty label: name what it is)`:                                             d.Text("", "x"),
		`x=invalid(metadata "x" has no value: make it with Int, Float, Text or another of the constructors)`: {Label: "x"},
	} {
		require.Equal(t, want, m.String())
		require.Nil(t, m.JSON())
	}
}

func TestContextInAUnitTest(t *testing.T) {
	t.Parallel()
	ctx := d.NewContext(t.Context())
	require.Equal(t, d.RunInfo{Attempt: 1}, ctx.Run())
	require.NotNil(t, ctx.Log())
	ctx.Report(d.Text("a", "1"), d.RowCount(3))
	ctx.Report(d.Text("a", "2"))
	require.Equal(t, []d.Metadatum{d.RowCount(3), d.Text("a", "2")}, ctx.Reported())
}

func TestSubsetInAUnitTest(t *testing.T) {
	t.Parallel()
	require.True(t, d.Subset{}.Has(Clean))
	require.True(t, d.SubsetOf(Clean).Has(Clean))
	require.False(t, d.SubsetOf(Clean).Has(Rejected))
	require.False(t, d.SubsetOf().Has(Clean))
	require.False(t, d.SubsetOf(Clean).Has(nil))
}
