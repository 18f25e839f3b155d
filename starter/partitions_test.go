package starter_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// records is a starter without Temporal, on a location with an asset of each kind of partitions.
func records(t *testing.T) *starter.Starter {
	t.Helper()
	dsn := testenv.Prepared(t, metadata.Migrate)
	store, err := metadata.Open(t.Context(), dsn, metadata.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	asset := func(key string, partitions *partition.Definition) plan.Asset {
		return plan.Asset{Key: key, Compute: key, Partitions: partitions}
	}
	snapshot := &plan.Snapshot{
		V: plan.SnapshotVersion, Location: "flights",
		Assets: []plan.Asset{
			asset("airports", nil), asset("sides", &partition.Definition{Static: []string{"east", "west"}}),
			asset("customers", &partition.Definition{Dynamic: "customers"}),
			asset("cells", &partition.Definition{Grid: []partition.Dimension{
				{Name: "side", Static: []string{"east"}}, {Name: "band", Dynamic: "bands"},
			}}),
		},
	}
	for _, one := range snapshot.Assets {
		snapshot.Computes = append(snapshot.Computes, plan.Compute{Name: one.Key, Outputs: []string{one.Key}, Shape: "0123456789abcdef"})
	}
	_, err = store.RegisterBuild(t.Context(), "b1", snapshot, true)
	require.NoError(t, err)
	return &starter.Starter{Store: store, Limits: plan.DefaultLimits()}
}

func TestKeysAreAddedAndRemoved(t *testing.T) {
	t.Parallel()
	s := records(t)
	added, err := s.AddPartitions(t.Context(), metadata.PartitionChange{Name: "customers", Keys: []string{"ann", "bob"}, Who: "ana"})
	require.NoError(t, err)
	require.Equal(t, []string{"ann", "bob"}, added.Changed)
	for _, test := range []struct {
		change metadata.PartitionChange
		paths  []string
		says   string
	}{
		{metadata.PartitionChange{Name: "customers"}, []string{"keys"}, "no key is given"},
		{metadata.PartitionChange{Keys: []string{"a"}}, []string{"name"}, `no code location has a dynamic partition set ""`},
		{metadata.PartitionChange{Name: "customers", Keys: []string{"c", "", "a...b"}}, []string{"keys[1]", "keys[2]"}, "a key is empty; keys[2]: "},
		{metadata.PartitionChange{Name: "bands", Keys: []string{"a|b"}}, []string{"keys[0]"}, `the set "bands" is a dimension of a grid`},
	} {
		_, err := s.AddPartitions(t.Context(), test.change)
		problems := wire.ProblemsOf(err)
		var paths []string
		for _, problem := range problems {
			paths = append(paths, problem.Path)
		}
		require.Equal(t, test.paths, paths)
		require.ErrorContains(t, err, test.says)
	}
	removed, err := s.RemovePartitions(t.Context(), metadata.PartitionChange{Name: "customers", Keys: []string{"ann", "eve"}})
	require.NoError(t, err)
	require.Equal(t, []string{"ann"}, removed.Changed)
	keys, err := s.Store.DynamicKeys(t.Context(), []string{"customers", "bands"})
	require.NoError(t, err)
	require.Equal(t, []string{"bob"}, keys["customers"])
	require.Empty(t, keys["bands"])
}

func TestAReportAndItsWipe(t *testing.T) {
	t.Parallel()
	s := records(t)
	report := starter.NewReport{Location: "flights", Request: wire.ReportRequest{Asset: "sides", Type: wire.ReportMaterialization, Partitions: []string{"west", "east", "west"}}}
	first, err := s.Report(t.Context(), report)
	require.NoError(t, err)
	require.True(t, first.New)
	require.Equal(t, 2, first.Partitions)
	require.NotEmpty(t, first.ReportID)
	report.ID = first.ReportID
	again, err := s.Report(t.Context(), report)
	require.NoError(t, err)
	first.New = false
	require.Equal(t, first, again)
	report.Request.Partitions = []string{"west"}
	_, err = s.Report(t.Context(), report)
	require.Equal(t, wire.CodeExists, wire.ProblemsOf(err)[0].Code)
	_, err = s.Report(t.Context(), starter.NewReport{Location: "flight", Request: report.Request})
	require.ErrorContains(t, err, `did you mean "flights"?`)

	// What is recorded stays so although a key of it does not exist any more.
	_, err = s.AddPartitions(t.Context(), metadata.PartitionChange{Name: "customers", Keys: []string{"ann"}})
	require.NoError(t, err)
	ann := starter.NewReport{Location: "flights", ID: "ann-1", Request: wire.ReportRequest{Asset: "customers", Type: wire.ReportObservation, Partition: "ann"}}
	_, err = s.Report(t.Context(), ann)
	require.NoError(t, err)
	_, err = s.RemovePartitions(t.Context(), metadata.PartitionChange{Name: "customers", Keys: []string{"ann"}})
	require.NoError(t, err)
	again, err = s.Report(t.Context(), ann)
	require.NoError(t, err)
	require.False(t, again.New)
	ann.ID = "ann-2"
	_, err = s.Report(t.Context(), ann)
	require.Equal(t, "partition", wire.ProblemsOf(err)[0].Path)

	_, err = s.WipeAsset(t.Context(), "flights", metadata.Wipe{Asset: "side"})
	require.ErrorContains(t, err, `did you mean "sides"?`)
	_, err = s.WipeAsset(t.Context(), "flights", metadata.Wipe{Asset: "airports", Partitions: []string{"east"}})
	require.ErrorContains(t, err, `asset "airports" is not partitioned`)
	wiped, err := s.WipeAsset(t.Context(), "flights", metadata.Wipe{Asset: "sides", Partitions: []string{"west"}})
	require.NoError(t, err)
	require.Equal(t, metadata.Wiped{Partitions: []string{"west"}, Count: 1}, wiped)
	wiped, err = s.WipeAsset(t.Context(), "flights", metadata.Wipe{Asset: "sides", Partitions: []string{}})
	require.NoError(t, err)
	require.Equal(t, []string{"east"}, wiped.Partitions)
}
