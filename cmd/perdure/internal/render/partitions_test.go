package render_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/partition"
)

func setOf(t *testing.T, definition partition.Definition) *partition.Set {
	t.Helper()
	partitions, err := partition.New(definition)
	require.NoError(t, err)
	return partitions.At(time.Date(2001, 4, 1, 0, 0, 0, 0, time.UTC), nil)
}

func days(start string) *partition.TimeWindows {
	return &partition.TimeWindows{Every: partition.Daily, Start: start}
}

func span(t *testing.T, set *partition.Set, first, last string) partition.Subset {
	t.Helper()
	subset, err := set.Range(first, last)
	require.NoError(t, err)
	return subset
}

func TestAStripShowsEachPartitionWhereThereIsRoom(t *testing.T) {
	t.Parallel()
	set := setOf(t, partition.Definition{Time: days("2001-01-01")})
	view := render.PartitionsView{
		Set: set, Materialized: span(t, set, "2001-01-01", "2001-02-20").Union(span(t, set, "2001-03-01", "2001-03-10")),
		Failed: span(t, set, "2001-02-21", "2001-02-21"), UpstreamFailed: span(t, set, "2001-02-22", "2001-02-23"),
		Running: span(t, set, "2001-03-15", "2001-03-17"),
		Stale:   span(t, set, "2001-01-05", "2001-01-06"), LastFailed: span(t, set, "2001-01-09", "2001-01-09"),
	}
	require.Equal(t, "90 partitions: 61 materialized (2 stale, 1 whose last attempt failed), 3 running, 1 failed, 2 upstream failed, 23 missing",
		plain.PartitionCounts(view))
	require.Equal(t, `2001-01-01  ████~~██!█ ██████████ ██████████ ██████████ ██████████ █xuu·····█ █████████· ···>>>····
2001-03-22  ··········  to 2001-03-31

x failed   > running   u upstream failed   ! materialized, last attempt failed   ~ stale   █ materialized   · missing
`, plain.PartitionStrip(view, 100))
	colored := render.Style{Color: true}.PartitionStrip(view, 100)
	require.Contains(t, colored, "\x1b[31mx\x1b[0m\x1b[33muu\x1b[0m")
}

func TestAStripPutsManyPartitionsUnderOneCharacter(t *testing.T) {
	t.Parallel()
	set := setOf(t, partition.Definition{Time: days("1973-01-01")})
	view := render.PartitionsView{
		Set: set, Materialized: span(t, set, "1975-01-01", "1999-02-20"), Failed: span(t, set, "1974-02-21", "1974-02-25"),
	}
	require.Equal(t, `1973-01-01  ·········· ·········· xx········ ······▄███ ██████████ ██████████ ██████████ ██████████
1977-05-20  ██████████ ██████████ ██████████ ██████████ ██████████ ██████████ ██████████ ██████████
1981-10-06  ██████████ ██████████ ██████████ ██████████ ██████████ ██████████ ██████████ ██████████
1986-02-22  ██████████ ██████████ ██████████ ██████████ ██████████ ██████████ ██████████ ██████████
1990-07-11  ██████████ ██████████ ██████████ ██████████ ██████████ ██████████ ██████████ ██████████
1994-11-27  ██████████ ██████████ ██████████ ██████████ ██████████ ██████████ ██████████ ███████▄··
1999-04-15  ·········· ·········· ·········· ······  to 2001-03-31

x failed   ▄ some missing   █ materialized   · missing
each character is 20 partitions, and shows the worst of them
`, plain.PartitionStrip(view, 100))
}

func TestAStripHoldsAMillionPartitions(t *testing.T) {
	t.Parallel()
	set := setOf(t, partition.Definition{Time: &partition.TimeWindows{Every: partition.Hourly, Start: "1887-01-01"}})
	view := render.PartitionsView{Set: set, Materialized: set.All()}
	began := time.Now()
	strip := plain.PartitionStrip(view, 80)
	require.Less(t, time.Since(began), time.Second)
	require.Len(t, strings.Split(strip, "\n"), 11+4)
	require.Contains(t, strip, "each character is 2,000 partitions")
	require.Equal(t, 502, strings.Count(strip, "█"), "each stands for 2,000 of the 1,001,472, and one explains them")
}

func TestAGridIsAMatrix(t *testing.T) {
	t.Parallel()
	set := setOf(t, partition.Definition{Grid: []partition.Dimension{
		{Name: "day", Time: days("2001-01-01")}, {Name: "band", Static: []string{"short", "medium", "long"}},
	}})
	view := render.PartitionsView{
		Set: set, Materialized: span(t, set, "short|2001-01-01", "medium|2001-03-01"), Failed: span(t, set, "long|2001-01-03", "long|2001-01-03"),
	}
	require.Equal(t, `band    2001-01-01            2001-02-10            2001-03-22  (day)
short   ██████████ ██████████ ██████████ ·········· ·····
medium  ██████████ ██████████ ██████████ ·········· ·····
long    ·x········ ·········· ·········· ·········· ·····

x failed   █ materialized   · missing
each character is 2 partitions, and shows the worst of them
`, plain.PartitionStrip(view, 100))

	// The dimension with fewer keys goes down, also when it is the second one.
	set = setOf(t, partition.Definition{Grid: []partition.Dimension{
		{Name: "day", Time: days("2001-03-22")}, {Name: "size", Static: []string{"small", "large"}},
	}})
	view = render.PartitionsView{Set: set, Materialized: span(t, set, "2001-03-23|large", "2001-03-25|large")}
	require.Equal(t, `size   2001-03-22  (day)
small  ··········
large  ·███······

█ materialized   · missing
`, plain.PartitionStrip(view, 100))
}

func TestAMatrixOfManyKeysOnBothSides(t *testing.T) {
	t.Parallel()
	set := setOf(t, partition.Definition{Grid: []partition.Dimension{{Name: "a", Time: days("2000-01-01")}, {Name: "b", Time: days("1999-01-01")}}})
	strip := plain.PartitionStrip(render.PartitionsView{Set: set, Materialized: set.All()}, 80)
	lines := strings.Split(strip, "\n")
	require.LessOrEqual(t, len(lines), 30+5)
	require.Contains(t, strip, "each character is 400 partitions")
	for _, line := range lines {
		require.LessOrEqual(t, len([]rune(line)), 90)
	}
}

func TestSmallStrips(t *testing.T) {
	t.Parallel()
	set := setOf(t, partition.Definition{Static: []string{"a", "b", "c"}})
	require.Equal(t, "a  ···  to c\n\n· missing\n", plain.PartitionStrip(render.PartitionsView{Set: set}, 100))
	set = setOf(t, partition.Definition{Static: []string{"only"}})
	require.Equal(t, "only  █\n\n█ materialized\n", plain.PartitionStrip(render.PartitionsView{Set: set, Materialized: set.All()}, 0))
	set = setOf(t, partition.Definition{Dynamic: "regions"})
	require.Empty(t, plain.PartitionStrip(render.PartitionsView{Set: set}, 100))
	require.Equal(t, "0 partitions", plain.PartitionCounts(render.PartitionsView{Set: set}))
}
