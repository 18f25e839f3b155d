package definitions_test

import (
	"reflect"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
)

// delivery is an input manager that gives each partition its own key.
type delivery struct {
	mutex sync.Mutex
	slots []d.Slot
}

func (*delivery) Accepts(reflect.Type) error { return nil }

func (m *delivery) Load(_ d.Context, at d.Slot, into any) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.slots = append(m.slots, at)
	reflect.ValueOf(into).Elem().SetString("delivered " + at.Partition)
	return nil
}

func TestAnExternalAssetIsLoadedByPartitions(t *testing.T) {
	t.Parallel()
	manager := &delivery{}
	files := d.Resource("files", d.Bind0(func(d.Context) (*delivery, error) { return manager, nil }), d.NoClose)
	delivered := d.External[string]("delivered", d.PartitionedBy(days), d.LoadedBy(files))
	upper := d.Asset("upper", d.Bind1(func(_ d.Context, s string) (string, error) { return s, nil }, delivered), d.PartitionedBy(days))
	week := d.Asset("week", d.Bind1(func(_ d.Context, all map[string]string) (int, error) { return len(all), nil }, d.ByKey(delivered)), d.PartitionedBy(weeks))

	run := d.Materialize(t.Context(), d.New("x", files, delivered, upper, week), d.Only(upper), d.ForPartition("2001-01-09"), d.LoadExternal(), march)
	require.NoError(t, run.Err())
	got, err := upper.In(run)
	require.NoError(t, err)
	require.Equal(t, "delivered 2001-01-09", got)
	require.Equal(t, []d.Slot{{Asset: "delivered", Partition: "2001-01-09"}}, manager.slots)

	run = d.Materialize(t.Context(), d.New("x", files, delivered, upper, week), d.Only(week), d.ForPartition("2001-01-07"), d.LoadExternal(), march)
	require.NoError(t, run.Err())
	n, err := week.In(run)
	require.NoError(t, err)
	require.Equal(t, 7, n)
}

func TestAnOptionalPartition(t *testing.T) {
	t.Parallel()
	odd := d.OptionalAsset("odd", d.Bind1(func(_ d.Context, w d.Window) (*int, error) {
		if day := w.Start.Day(); day%2 == 1 {
			return &day, nil
		}
		return nil, nil
	}, days.Window()), d.PartitionedBy(days))
	next := d.Asset("next", d.Bind1(plusOne, odd), d.PartitionedBy(days))
	perhaps := d.Asset("perhaps", d.Bind1(orMinusOne, d.At(odd, d.SamePartition)), d.PartitionedBy(days))
	week := d.Asset("week", d.Bind1(totalOf, d.ByKey(odd)), d.PartitionedBy(weeks))
	run := d.Materialize(t.Context(), d.New("x", odd, next, perhaps, week), d.ForRange("2001-01-07", "2001-01-13"), march)
	require.NoError(t, run.Err())
	require.Equal(t, []string{"2001-01-07", "2001-01-09", "2001-01-11", "2001-01-13"}, run.MaterializedPartitions(next), "the others are skipped")
	got, err := perhaps.InPartition(run, "2001-01-08")
	require.NoError(t, err)
	require.Equal(t, -1, got)
	got, err = week.In(run)
	require.NoError(t, err)
	require.Equal(t, 7+9+11+13, got)
}

func TestTheLoweredPartitions(t *testing.T) {
	t.Parallel()
	shape := func(opts ...d.AssetOption) string {
		snapshot, err := d.New("x", constant("a", opts...)).Snapshot()
		require.NoError(t, err)
		return snapshot.Computes[0].Shape
	}
	plain := shape()
	daily := shape(d.PartitionedBy(d.Daily("2001-01-01")))
	require.NotEqual(t, plain, daily)
	require.Equal(t, daily, shape(d.PartitionedBy(d.Daily("1999-01-01").Ending("2020-01-01").ExcludingKeys("2000-01-01").EndOffset(1))), "which there are is no matter of shape")
	require.NotEqual(t, daily, shape(d.PartitionedBy(d.Daily("2001-01-01").InZone("Europe/Berlin"))))
	require.NotEqual(t, daily, shape(d.PartitionedBy(d.Weekly("2001-01-01"))))
	require.Equal(t, shape(d.PartitionedBy(d.Static("a"))), shape(d.PartitionedBy(d.Static("b", "c"))))
	require.NotEqual(t, shape(d.PartitionedBy(d.Dynamic("a"))), shape(d.PartitionedBy(d.Dynamic("b"))))

	snapshot, err := d.New("x", constant("a", d.PartitionedBy(days), d.SingleRun{}), constant("b", d.PartitionedBy(days), d.MultiRun{}), constant("c", d.PartitionedBy(days))).Snapshot()
	require.NoError(t, err)
	require.Equal(t, 0, snapshot.Assets[0].Backfill.MaxPartitions)
	require.Equal(t, 1, snapshot.Assets[1].Backfill.MaxPartitions)
	require.Nil(t, snapshot.Assets[2].Backfill)
	require.Equal(t, "America/New_York", snapshot.Assets[0].Partitions.Time.Zone)
}
