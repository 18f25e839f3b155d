package definitions_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
)

func TestAMaterializationOfAProgramNamesItsAsset(t *testing.T) {
	t.Parallel()
	// As a program that speaks the protocol without the package.
	program, _ := python(t, "")
	script := d.Arguments{"-c", `
import base64, json, os, zlib
path = json.loads(zlib.decompress(base64.b64decode(os.environ["DAGSTER_PIPES_MESSAGES"])))["path"]
with open(path, "a") as f:
    f.write(json.dumps({"__dagster_pipes_version": "0.1", "method": "report_asset_materialization", "params": {}}) + "\n")
`}
	several := d.MultiAsset("several", d.Outs{d.Output[d.Nothing]("a"), d.Output[d.Nothing]("b")}, d.CommandOutputs(program, script))
	err := d.Materialize(t.Context(), d.New("x", several)).Err()
	require.ErrorContains(t, err, `report_asset_materialization names no asset, and this step makes several: name "a" or "b"`)

	require.NoError(t, d.Materialize(t.Context(), d.New("x", d.Asset("alone", d.Command(program, script)))).Err(), "the one asset is meant")

	job := d.OpJob("job", []d.AnyValue{d.Op("op", d.Command(program, script))})
	err = d.RunJob(t.Context(), d.New("x", job), job).Err()
	require.ErrorContains(t, err, `report_asset_materialization is about an asset, and this step makes none`)
}

func TestAProgramThatLeavesItsPipesSessionOpenIsWarnedOf(t *testing.T) {
	t.Parallel()
	program, script := python(t, "open_dagster_pipes().report_asset_materialization()\nimport os; os._exit(0)")
	l, err := runAsset(t, d.Asset("model", d.Command(program, script)))
	require.NoError(t, err)
	require.Contains(t, l.lines.String(), `level=WARN msg="the program did not close its Pipes session`)
}
