package partition

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func unix(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

func day(date string) time.Time {
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		panic(err)
	}
	return t
}

// sampleSets is one small set of each kind.
func sampleSets(t require.TestingT) map[string]*Set {
	days := &TimeWindows{Every: Daily, Start: "2001-01-01", Exclude: Exclusions{Crons: []string{"0 0 * * 6,0"}, Keys: []string{"2001-01-10"}}}
	bands := []string{"near", "mid", "far"}
	now, dynamic := day("2001-01-20"), map[string][]string{"regions": {"west", "east", "north", "a|b"}}
	sets := map[string]*Set{}
	for name, d := range map[string]Definition{
		"single":  {},
		"time":    {Time: days},
		"static":  {Static: bands},
		"dynamic": {Dynamic: "regions"},
		"grid":    {Grid: []Dimension{{Name: "day", Time: days}, {Name: "band", Static: bands}}},
		"dynamic grid": {Grid: []Dimension{
			{Name: "region", Dynamic: "regions"}, {Name: "hour", Time: &TimeWindows{Every: Hourly, Start: "2001-01-19T18:00"}},
		}},
		"empty grid": {Grid: []Dimension{{Name: "x", Dynamic: "nothing"}, {Name: "y", Static: bands}}},
	} {
		sets[name] = newPartitions(t, d).At(now, dynamic)
	}
	return sets
}

func drawSubset(t *rapid.T, set *Set, label string) Subset {
	var keys []string
	often := rapid.IntRange(0, 4).Draw(t, label+"Density")
	for key := range set.All().Keys() {
		if rapid.IntRange(0, 4).Draw(t, label) < often {
			keys = append(keys, key)
		}
	}
	subset, err := set.Of(keys...)
	require.NoError(t, err)
	return subset
}

func TestSubsetsAreSetsOfKeys(t *testing.T) {
	t.Parallel()
	for name, set := range sampleSets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := slices.Collect(set.All().Keys())
			require.Len(t, all, set.Count())
			for i, key := range all {
				position, err := set.Position(key)
				require.NoError(t, err)
				require.Equal(t, i, position)
			}
			rapid.Check(t, func(t *rapid.T) {
				a, b := drawSubset(t, set, "a"), drawSubset(t, set, "b")
				of := func(subset Subset, want func(key string) bool) {
					var keys []string
					for _, key := range all {
						require.Equal(t, want(key), subset.Has(key))
						if want(key) {
							keys = append(keys, key)
						}
					}
					require.Equal(t, keys, slices.Collect(subset.Keys()))
					require.Equal(t, len(keys), subset.Count())
					require.Equal(t, len(keys) == 0, subset.IsEmpty())
					for i, key := range keys {
						nth, ok := subset.Nth(i)
						require.True(t, ok)
						require.Equal(t, key, nth)
					}
					_, ok := subset.Nth(len(keys))
					require.False(t, ok)
					same, err := set.Of(keys...)
					require.NoError(t, err)
					require.Equal(t, subset, same, "one subset has one form")
					const unknown = "no such key"
					shuffled := rapid.Permutation(append(slices.Clone(keys), unknown)).Draw(t, "shuffled")
					found, gone := set.Find(append(shuffled, keys...))
					require.Equal(t, subset, found)
					require.Equal(t, []string{unknown}, gone)
				}
				of(a.Union(b), func(key string) bool { return a.Has(key) || b.Has(key) })
				of(a.Intersection(b), func(key string) bool { return a.Has(key) && b.Has(key) })
				of(a.Difference(b), func(key string) bool { return a.Has(key) && !b.Has(key) })
				require.Equal(t, slices.Equal(slices.Collect(a.Keys()), slices.Collect(b.Keys())), a.Equal(b))

				whole := set.None()
				for one := range a.Ranges() {
					part, err := set.Range(one.First, one.Last)
					require.NoError(t, err)
					require.Equal(t, one.Count, part.Count())
					require.True(t, whole.Intersection(part).IsEmpty())
					whole = whole.Union(part)
				}
				require.Equal(t, a, whole)

				most := rapid.IntRange(0, 5).Draw(t, "most")
				whole = set.None()
				for piece := range a.Pieces(most) {
					require.Len(t, rangesOf(piece), 1)
					require.True(t, most == 0 || piece.Count() <= most)
					require.True(t, whole.Intersection(piece).IsEmpty())
					whole = whole.Union(piece)
				}
				require.Equal(t, a, whole)

				text, err := json.Marshal(a)
				require.NoError(t, err)
				decoded, gone, err := set.Decode(text)
				require.NoError(t, err)
				require.Empty(t, gone)
				require.Equal(t, a, decoded)
			})
		})
	}
}
