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
		Queue: "gpu", Pool: "api", Retries: &plan.Retries{Max: 1}, Timeout: time.Hour, Tags: map[string]string{"k": "v"},
	}, compute)
}

func TestOutputsTakeWhatTheyLackFromTheirMultiAsset(t *testing.T) {
	t.Parallel()
	disk := d.Resource("disk", d.Bind0(func(d.Context) (*store, error) { return newStore(), nil }), d.NoClose)
	plain := d.Output[int]("a_plain")
	own := d.Output[int]("b_own", d.Group("own"), d.Owners{"team:own"}, d.Tags{"own": ""}, d.Kinds{"own"}, d.CodeVersion("own"))
	nothing := d.Output[d.Nothing]("c_nothing")
	many := d.MultiAsset("many", d.Outs{plain, own, nothing}, d.Bind0(noOutputs), d.Group("g"), d.Owners{"team:a"}, d.Tags{"k": "v"},
		d.Kinds{"x"}, d.CodeVersion("2"), d.StoredBy(disk))
	snapshot, err := d.New("x", disk, many).Snapshot()
	require.NoError(t, err)

	want := plan.Asset{
		Key: "a_plain", Group: "g", Owners: []string{"team:a"}, Tags: map[string]string{"k": "v"}, Kinds: []string{"x"}, CodeVersion: "2",
		Compute: "many", Type: "int", StoredBy: "disk", At: snapshot.Assets[0].At,
	}
	require.Equal(t, want, snapshot.Assets[0])
	require.Equal(t, plan.Asset{
		Key: "b_own", Group: "own", Owners: []string{"team:own"}, Tags: map[string]string{"own": ""}, Kinds: []string{"own"}, CodeVersion: "own",
		Compute: "many", Type: "int", StoredBy: "disk", At: snapshot.Assets[1].At,
	}, snapshot.Assets[1])
	want.Key, want.Type, want.StoredBy, want.At = "c_nothing", "definitions.Nothing", "", snapshot.Assets[2].At
	require.Equal(t, want, snapshot.Assets[2])
}

func TestOptionsOfABundleGiveWayToTheAssetsOwn(t *testing.T) {
	t.Parallel()
	disk := d.Resource("disk", d.Bind0(func(d.Context) (*store, error) { return newStore(), nil }), d.NoClose)
	first := constant("first")
	inner := d.Options{d.Group("inner"), d.Kinds{"inner"}, d.Pool("inner")}
	bundle := d.Options{
		inner, d.Group("g"), d.Description("text"),
		d.Owners{"team:a"},
		d.Tags{"k": "v"},
		d.Metadata{d.Int("version", 1)},
		d.CodeVersion("2"),
		d.StoredBy(disk), d.Queue("gpu"),
		d.Retries{Max: 1},
		d.Timeout(time.Hour), d.After(first),
	}
	all := constant("all", bundle)
	own := constant("own", d.Group("own"), bundle, d.Queue("own"), d.Retries{Max: 2})
	nothing := d.Asset("z_nothing", d.Do0(func(d.Context) error { return nil }), bundle)
	snapshot, err := d.New("x", disk, first, all, own, nothing).Snapshot()
	require.NoError(t, err)
	require.Empty(t, snapshot.Assets[3].StoredBy, "there is nothing to store")

	want := plan.Asset{
		Key: "all", Group: "g", Description: "text", Owners: []string{"team:a"}, Tags: map[string]string{"k": "v"}, Kinds: []string{"inner"},
		Metadata: []wire.Metadatum{{Label: "version", Type: wire.MetadataInt, Value: []byte(`1`)}}, CodeVersion: "2",
		Compute: "all", Type: "int", StoredBy: "disk", At: snapshot.Assets[0].At,
	}
	require.Equal(t, want, snapshot.Assets[0])
	want.Key, want.Compute, want.Group, want.At = "own", "own", "own", snapshot.Assets[2].At
	require.Equal(t, want, snapshot.Assets[2])

	compute := plan.Compute{
		Name: "all", Outputs: []string{"all"}, Inputs: []plan.Input{{Kind: plan.InputAfter, Assets: []string{"first"}}}, Resources: []string{"disk"},
		Queue: "gpu", Pool: "inner", Retries: &plan.Retries{Max: 1}, Timeout: time.Hour, Tags: map[string]string{"k": "v"}, Shape: snapshot.Computes[0].Shape, At: snapshot.Computes[0].At,
	}
	require.Equal(t, compute, snapshot.Computes[0])
	require.Equal(t, "own", snapshot.Computes[2].Queue)
	require.Equal(t, &plan.Retries{Max: 2}, snapshot.Computes[2].Retries)
	require.Equal(t, "inner", snapshot.Computes[2].Pool)
}
