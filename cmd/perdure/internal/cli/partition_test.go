package cli_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/metadata"
)

// sliced is a location of partitioned assets: daily → late, five days of which the third fails; gates, a grid with a dynamic
// set; ranking, a dynamic set; total, which is not partitioned; slow, which ends only when it is cancelled.
func sliced(name string) *definitions.Definitions {
	days := definitions.Daily("2001-01-01").Ending("2001-01-06")
	airports := definitions.Dynamic("airports")
	daily := definitions.Asset("daily", definitions.Bind1(func(_ definitions.Context, day string) (int, error) {
		if day == "2001-01-03" {
			return 0, fmt.Errorf("no flights on %s", day)
		}
		return 1, nil
	}, days.Key()), definitions.PartitionedBy(days))
	late := definitions.Asset("late", definitions.Bind1(func(_ definitions.Context, flights int) (int, error) { return flights, nil }, daily),
		definitions.PartitionedBy(days))
	grid := definitions.GridOf("airport", airports, "size", definitions.Static("small", "large"))
	gates := definitions.Asset("gates", definitions.Bind0(func(definitions.Context) (int, error) { return 1, nil }), definitions.PartitionedBy(grid))
	ranking := definitions.Asset("ranking", definitions.Bind0(func(definitions.Context) (int, error) { return 1, nil }),
		definitions.PartitionedBy(definitions.Dynamic("rankings")))
	total := definitions.Asset("total", definitions.Bind0(func(definitions.Context) (int, error) { return 1, nil }))
	slow := definitions.Asset("slow", definitions.Bind0(func(ctx definitions.Context) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	}), definitions.PartitionedBy(days))
	return definitions.New(name, daily, late, gates, ranking, total, slow)
}

func TestKeysOfDynamicSetsAreAddedListedAndRemoved(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	s.register(t, sliced("cli_sets"))
	require.Equal(t, "SET       KEYS\nairports     0\nrankings     0\n", s.ok(t, "partition", "list"))
	require.Equal(t, "the set \"airports\" has no keys: `perdure partition add airports KEY` adds one\n", s.ok(t, "partition", "list", "airports"))
	require.Equal(t, "airports: 2 keys added\n", s.ok(t, "partition", "add", "airports", "RNO", "SMF", "--why", "new routes"))
	require.Equal(t, "airports: 1 key added, 1 there already: SMF\n", s.ok(t, "partition", "add", "airports", "SMF", "LAX"))
	require.Equal(t, "SET       KEYS\nairports     3\nrankings     0\n", s.ok(t, "partition", "list"))
	listed := parsed[metadata.Page[metadata.DynamicPartition]](t, s.ok(t, "partition", "list", "airports", "--limit", "2", "-o", "json"))
	require.Equal(t, []string{"RNO", "SMF"}, []string{listed.Rows[0].Key, listed.Rows[1].Key})
	require.Contains(t, s.ok(t, "partition", "list", "airports", "--limit", "2", "--cursor", listed.Next), "LAX  ")

	require.Equal(t, "airports: 1 key removed, 1 not there: RNX\n", s.ok(t, "partition", "remove", "airports", "SMF", "RNX", "--why", "closed"))
	require.Equal(t, metadata.PartitionsChanged{Changed: []string{}, Unchanged: []string{"SMF"}},
		parsed[metadata.PartitionsChanged](t, s.ok(t, "partition", "remove", "airports", "SMF", "-o", "json")))
	require.Contains(t, s.fails(t, 1, "partition", "list", "airport"), `there is no dynamic partition set "airport" (did you mean "airports"? known: airports, rankings)`)

	store, err := metadata.Open(t.Context(), s.environ[0][len("PERDURE_POSTGRES_DSN="):], metadata.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	events, err := store.Events(t.Context(), 0, metadata.EventFilter{Types: []metadata.EventType{metadata.EventPartitionsAdded}}, 10)
	require.NoError(t, err)
	require.Contains(t, string(events[0].Body), `"tester"`)
	require.Contains(t, string(events[0].Body), `"new routes"`)
}

func TestKeysThatNoSetCanHaveAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	s.register(t, sliced("cli_bad_keys"))
	complaint := s.fails(t, 1, "partition", "add", "airports", "a|b", "", "c...d", "fine")
	require.Contains(t, complaint, `keys[0]: "a|b" holds |, and the set "airports" is a dimension of a grid (use another character)`)
	require.Contains(t, complaint, "keys[1]: ")
	require.Contains(t, complaint, "keys[2]: ")
	require.NotContains(t, complaint, "keys[3]")
	require.Equal(t, "rankings: 1 key added\n", s.ok(t, "partition", "add", "rankings", "a|b"), "it is no dimension")
	require.Contains(t, s.fails(t, 1, "partition", "add", "airport", "RNO"), `no code location has a dynamic partition set "airport" (did you mean "airports"?`)
	require.Contains(t, s.fails(t, 1, "partition", "remove", "airport", "RNO"), `no code location has a dynamic partition set "airport"`)
	require.Contains(t, s.ok(t, "partition", "list"), "rankings")
}

func TestPartitionsOfAnAssetThatNobodyHasMade(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	s.register(t, sliced("cli_missing"))
	require.Equal(t, "daily: 5 partitions: 5 missing\n\nSTATUS   COUNT  PARTITIONS\nmissing      5  2001-01-01 to 2001-01-05 (5)\n", s.ok(t, "asset", "partitions", "daily"))
	require.Equal(t, "gates: 0 partitions\nthe set \"airports\" has no keys: `perdure partition add airports KEY` adds one\n", s.ok(t, "asset", "partitions", "gates"))
	s.ok(t, "partition", "add", "airports", "RNO")
	require.Contains(t, s.ok(t, "asset", "partitions", "gates"), "gates: 2 partitions: 2 missing\n")
	require.Contains(t, s.ok(t, "asset", "partitions", "daily", "--status", "missing", "--limit", "2", "--cursor", "2"),
		"PARTITION   STATUS\n2001-01-03  missing\n2001-01-04  missing\n\n2 of 5; next: --cursor 4\n")
	require.Equal(t, "no partition matches\n", s.ok(t, "asset", "partitions", "daily", "--status", "failed,running"))
	require.Contains(t, s.fails(t, 1, "asset", "partitions", "dayly"), `there is no asset "dayly" (did you mean "daily"?`)
	require.Equal(t, "Error: asset \"total\" has no partitions: `perdure asset list --select total` shows it\n", s.fails(t, 1, "asset", "partitions", "total"))
}

func TestWhatHappenedElsewhereIsReported(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	s.register(t, sliced("cli_report"))
	report := []string{"asset", "report", "daily", "--partition", "2001-01-01", "--metadata", "rows=3", "--metadata", "note=by hand", "--id", "r1"}
	require.Equal(t, "materialization of daily (1 partition) is recorded as r1\n", s.ok(t, report...))
	require.Equal(t, "materialization of daily (1 partition) was reported before, as r1\n", s.ok(t, report...))
	require.Contains(t, s.ok(t, "asset", "partitions", "daily"), "daily: 5 partitions: 1 materialized, 4 missing\n")
	require.Contains(t, s.ok(t, "asset", "partitions", "daily", "--status", "materialized"), "reported")
	require.Equal(t, "observation of total is recorded as r2\n", s.ok(t, "asset", "report", "total", "--observation", "--data-version", "v1", "--id", "r2"))
	require.Contains(t, s.fails(t, 1, "asset", "report", "daily"), "daily")
}
