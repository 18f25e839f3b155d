package definitions_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// What describes an asset is an option of outputs and external assets, too; what says how to compute, of multi-assets.
func TestOptionsOfOutputsExternalAssetsAndMultiAssets(t *testing.T) {
	t.Parallel()
	disk := d.Resource("disk", d.Bind0(func(d.Context) (*store, error) { return newStore(), nil }), d.NoClose)
	metadata := d.Metadata{d.Int("version", 1)}
	out := d.Output[int]("out", d.Group("g"), d.Description("text"), d.Owners{"team:a"}, d.Tags{"k": "v"}, d.Kinds{"x"}, metadata,
		d.CodeVersion("2"), d.StoredBy(disk), d.Optional{})
	external := d.External[int]("external", d.Group("g"), d.Description("text"), d.Owners{"team:a"}, d.Tags{"k": "v"}, d.Kinds{"x"}, metadata,
		d.StoredBy(disk))
	many := d.MultiAsset("many", d.Outs{out}, d.Bind0(noOutputs), d.Queue("gpu"), d.Pool("api"), d.Retries{Max: 1}, d.Timeout(time.Hour),
		d.After(external))
	snapshot, err := d.New("x", disk, external, many).Snapshot()
	require.NoError(t, err)

	want := plan.Asset{
		Key: "external", Group: "g", Description: "text", Owners: []string{"team:a"}, Tags: map[string]string{"k": "v"}, Kinds: []string{"x"},
		Metadata: []wire.Metadatum{{Label: "version", Type: wire.MetadataInt, Value: []byte(`1`)}}, Type: "int", StoredBy: "disk", At: snapshot.Assets[0].At,
	}
	require.Equal(t, want, snapshot.Assets[0])
	want.Key, want.CodeVersion, want.Compute, want.Optional, want.At = "out", "2", "many", true, snapshot.Assets[1].At
	require.Equal(t, want, snapshot.Assets[1])

	compute := snapshot.Computes[0]
	compute.Shape, compute.At = "", ""
	require.Equal(t, plan.Compute{
		Name: "many", Outputs: []string{"out"}, Inputs: []plan.Input{{Kind: plan.InputAfter, Assets: []string{"external"}}}, Resources: []string{"disk"},
		Queue: "gpu", Pool: "api", Retries: &plan.Retries{Max: 1}, Timeout: time.Hour,
	}, compute)
}
