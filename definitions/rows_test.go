package definitions_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/wire"
)

func TestRowsAreCountedUnlessTheFunctionDoes(t *testing.T) {
	t.Parallel()
	rows := []Flight{{From: "RNO"}, {From: "SMF"}}
	plain := d.Asset("plain", d.Bind0(func(d.Context) ([]Flight, error) { return rows, nil }))
	empty := d.Asset("empty", d.Bind0(func(d.Context) ([]string, error) { return nil, nil }))
	sampled := d.Asset("sampled", d.Bind0(func(ctx d.Context) ([]Flight, error) {
		ctx.Report(d.RowCount(20_000), d.Text("note", "a sample"))
		return rows, nil
	}))
	picture := d.Asset("picture", d.Bind0(func(d.Context) ([]byte, error) { return []byte("<svg/>"), nil }))
	text := d.Asset("text", d.Bind0(func(d.Context) (any, error) { return nil, nil }))
	maybe := d.OptionalAsset("maybe", d.Bind0(func(d.Context) (*[]Flight, error) { return &rows, nil }))
	counted, uncounted := d.Output[[]Flight]("counted"), d.Output[[]Flight]("uncounted")
	both := d.MultiAsset("both", d.Outs{counted, uncounted}, d.Bind0(func(d.Context) (d.Outputs, error) {
		return d.Outputs{counted.Of(rows, d.RowCount(7)), uncounted.Of(rows, d.Bool("ok", true))}, nil
	}))

	run := d.Materialize(t.Context(), d.New("x", plain, empty, sampled, picture, text, maybe, both))

	require.NoError(t, run.Err())
	require.Equal(t, []d.Metadatum{d.RowCount(2)}, run.Metadata(plain))
	require.Equal(t, []d.Metadatum{d.RowCount(0)}, run.Metadata(empty))
	require.Equal(t, []d.Metadatum{d.RowCount(20_000), d.Text("note", "a sample")}, run.Metadata(sampled))
	require.Empty(t, run.Metadata(picture), "bytes are no rows")
	require.Empty(t, run.Metadata(text))
	require.Equal(t, []d.Metadatum{d.RowCount(2)}, run.Metadata(maybe))
	require.Equal(t, []d.Metadatum{d.RowCount(7)}, run.Metadata(counted))
	require.Equal(t, []d.Metadatum{d.Bool("ok", true), d.RowCount(2)}, run.Metadata(uncounted))
}

func TestDefinitionsCarryTheColumnsOfTables(t *testing.T) {
	t.Parallel()
	type twice struct {
		SameName int
		Other    int `json:"same_name"`
	}
	own := d.TableSchema{Columns: []d.Column{{Name: "payload", Type: "jsonb"}}}
	text := d.Text("source", "the airport")
	snapshot, err := d.New("x",
		d.External[[]Airport]("a_table", d.Metadata{text}),
		d.External[[]Airport]("b_own", d.Metadata{d.ColumnSchema(own)}),
		d.External[[]string]("c_texts"), d.External[[]time.Time]("d_times"), d.External[Airport]("e_struct"),
		d.External[[]struct{ hidden int }]("f_hidden"), d.External[[]twice]("g_twice")).Snapshot()
	require.NoError(t, err)

	columns := func(text string) wire.Metadatum {
		return wire.Metadatum{Label: "perdure/column_schema", Type: wire.MetadataTableSchema, Value: json.RawMessage(text)}
	}
	require.Equal(t, []wire.Metadatum{
		{Label: "source", Type: wire.MetadataText, Value: json.RawMessage(`"the airport"`)},
		columns(`{"columns":[{"name":"code","type":"string"},{"name":"region","type":"string"}]}`),
	}, snapshot.Assets[0].Metadata)
	require.Equal(t, []wire.Metadatum{columns(`{"columns":[{"name":"payload","type":"jsonb"}]}`)}, snapshot.Assets[1].Metadata)
	for _, other := range snapshot.Assets[2:] {
		require.Empty(t, other.Metadata, other.Key)
	}
}
