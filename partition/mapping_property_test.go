package partition

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// needed are the numbers of upstream windows that a downstream window needs, were all there; false
// when the reference does not know them all.
func needed(m Mapping, down plain, number int, up plain) ([]int, bool) {
	var numbers []int
	for at := down.first + number + m.StartOffset; at <= down.first+number+m.EndOffset; at++ {
		if at < 0 || at >= len(down.starts) || down.starts[at] < up.from || down.ends[at] > up.to {
			return nil, false
		}
		for i := range up.starts {
			if up.starts[i] < down.ends[at] && up.ends[i] > down.starts[at] {
				numbers = append(numbers, i-up.first)
			}
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), true
}

func TestTimeMappingIsThatOfTheReference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := drawAround(t, 17)
		upDefinition, upWindows, upPlain, now := drawWindows(t, a, "up")
		downDefinition, _, downPlain, _ := drawWindows(t, a, "down")
		if rapid.IntRange(0, 3).Draw(t, "same") == 0 {
			downDefinition, downPlain = upDefinition, upPlain
		}
		upstream := newPartitions(t, Definition{Time: &upDefinition}).At(now, nil)
		downstream := newPartitions(t, Definition{Time: &downDefinition}).At(now, nil)
		downPlain.existing = downstream.Count() // at another moment than the one it was drawn with
		if downPlain.first+downPlain.existing > len(downPlain.starts) {
			t.Skip("the end offset leads out of the span that the reference knows")
		}
		start := rapid.IntRange(-3, 3).Draw(t, "startOffset")
		m := Mapping{Kind: MapTime, StartOffset: start, EndOffset: rapid.IntRange(start, 3).Draw(t, "endOffset")}

		needs := map[int][]int{} // by downstream number
		var chosen []string
		keys := slices.Collect(downstream.All().Keys())
		few := rapid.Bool().Draw(t, "few")
		for number, key := range keys {
			numbers, known := needed(m, downPlain, number, upPlain)
			if !known {
				continue
			}
			needs[number] = numbers
			if !few || rapid.IntRange(0, 9).Draw(t, "chosen") == 0 {
				chosen = append(chosen, key)
			}
		}

		subset, err := downstream.Of(chosen...)
		require.NoError(t, err)
		var exist, missing []span
		for _, key := range chosen {
			number, err := downstream.Position(key)
			require.NoError(t, err)
			for _, up := range needs[number] {
				switch {
				case up >= 0 && up < upPlain.existing:
					exist = append(exist, span{up, up + 1})
				case upPlain.existing > 0 && (up < 0 && m.StartOffset < 0 || up >= upPlain.existing && m.EndOffset > 0):
				default:
					missing = append(missing, span{up, up + 1})
				}
			}
		}
		got, err := linkUpstream(t, m, subset, upstream)
		require.NoError(t, err)
		require.Equal(t, spansOf(exist), got.Subset.spans)
		var ranges KeyRanges
		for _, one := range spansOf(missing) {
			ranges = append(ranges, KeyRange{
				upWindows.keyOf(upPlain.starts[upPlain.first+one.low]), upWindows.keyOf(upPlain.starts[upPlain.first+one.high-1]), one.size(),
			})
		}
		require.Equal(t, ranges, got.Missing)
		m.AllowNonexistent = true
		allowed, err := linkUpstream(t, m, subset, upstream)
		require.NoError(t, err)
		require.True(t, allowed.Subset.Equal(got.Subset))
		require.Empty(t, allowed.Missing)

		var updated []span
		for number := range upstream.Count() {
			if rapid.IntRange(0, 9).Draw(t, "updated") == 0 {
				updated = append(updated, span{number, number + 1})
			}
		}
		affected, err := linkDownstream(t, m, upstream.ofPositions(spansOf(updated)), downstream)
		require.NoError(t, err)
		for number, ups := range needs {
			want := slices.ContainsFunc(ups, func(up int) bool { return spansOf(updated).has(up) })
			require.Equal(t, want, affected.Has(keys[number]), "%s needs %v", keys[number], ups)
		}
	})
}

func TestIdentityOfTimeWindowsIsByKey(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) *Set {
			d := TimeWindows{
				Every: Daily, Zone: "Atlantic/Azores", EndOffset: rapid.IntRange(-2, 2).Draw(t, label+"EndOffset"),
				Start: fmt.Sprintf("2023-03-%02d", rapid.IntRange(10, 20).Draw(t, label+"Start")),
			}
			d.Exclude.Crons = rapid.SampledFrom([][]string{nil, {"0 0 * * 6"}, {"0 0 */3 * *"}}).Draw(t, label+"Excluded")
			now := rapid.Int64Range(1679000000, 1681000000).Draw(t, label+"Now")
			return newPartitions(t, Definition{Time: &d}).At(unix(now), nil)
		}
		from, to := draw("from"), draw("to")
		got, err := linkUpstream(t, Mapping{Kind: MapIdentity}, from.All(), to)
		require.NoError(t, err)
		var want []string
		missing := 0
		for key := range from.All().Keys() {
			if to.Has(key) {
				want = append(want, key)
			} else {
				missing++
			}
		}
		require.Equal(t, want, slices.Collect(got.Subset.Keys()))
		require.Equal(t, missing, got.Missing.Count())
		down, err := linkDownstream(t, Mapping{Kind: MapIdentity}, from.All(), to)
		require.NoError(t, err)
		require.True(t, down.Equal(got.Subset))
	})
}

func TestGridMappingIsThatOfEveryPair(t *testing.T) {
	t.Parallel()
	letters := []string{"a", "b", "c", "d", "e"}
	rapid.Check(t, func(t *rapid.T) {
		keys := func(label string) []string {
			return letters[:rapid.IntRange(1, len(letters)).Draw(t, label)]
		}
		up := newPartitions(t, Definition{Grid: []Dimension{{Name: "p", Static: keys("p")}, {Name: "q", Static: keys("q")}}}).At(unix(0), nil)
		down := newPartitions(t, Definition{Grid: []Dimension{{Name: "x", Static: keys("x")}, {Name: "y", Static: keys("y")}}}).At(unix(0), nil)

		m := Mapping{Kind: MapGrid}
		pairs := rapid.Permutation([]string{"x", "y"}).Draw(t, "pairs")
		needs := map[string]func(upKey, downKey string) bool{}
		for i, name := range []string{"p", "q"}[:rapid.IntRange(0, 2).Draw(t, "pairCount")] {
			pair := DimensionMapping{Upstream: name, Downstream: pairs[i]}
			upSide := up.sides[i]
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				pair.Mapping.Kind = MapIdentity
				needs[name] = func(upKey, downKey string) bool { return upKey == downKey }
			case 1:
				pair.Mapping.Kind = MapAll
				needs[name] = func(string, string) bool { return true }
			case 2:
				pair.Mapping.Kind = MapLast
				last, _ := upSide.All().Last()
				needs[name] = func(upKey, _ string) bool { return upKey == last }
			default:
				table := map[string][]string{}
				downSide := down.sides[map[string]int{"x": 0, "y": 1}[pairs[i]]]
				for _, upKey := range upSide.keys {
					table[upKey] = rapid.SliceOfDistinct(rapid.SampledFrom(downSide.keys), rapid.ID[string]).Draw(t, "table")
				}
				pair.Mapping = Mapping{Kind: MapStatic, Static: table}
				needs[name] = func(upKey, downKey string) bool { return slices.Contains(table[upKey], downKey) }
			}
			m.Dimensions = append(m.Dimensions, pair)
		}
		related := func(upKey, downKey string) bool {
			upParts, err := up.Split(upKey)
			require.NoError(t, err)
			downParts, err := down.Split(downKey)
			require.NoError(t, err)
			for _, pair := range m.Dimensions {
				if !needs[pair.Upstream](upParts[pair.Upstream], downParts[pair.Downstream]) {
					return false
				}
			}
			return true
		}
		check := func(from, to, got Subset, related func(fromKey, toKey string) bool) {
			var want []string
			for key := range to.Keys() {
				if slices.ContainsFunc(slices.Collect(from.Keys()), func(one string) bool { return related(one, key) }) {
					want = append(want, key)
				}
			}
			require.Equal(t, want, slices.Collect(got.Keys()))
		}
		downSubset := drawSubset(t, down, "down")
		got, err := linkUpstream(t, m, downSubset, up)
		require.NoError(t, err)
		check(downSubset, up.All(), got.Subset, func(downKey, upKey string) bool { return related(upKey, downKey) })
		upSubset := drawSubset(t, up, "up")
		affected, err := linkDownstream(t, m, upSubset, down)
		require.NoError(t, err)
		check(upSubset, down.All(), affected, related)
	})
}

func linkUpstream(t require.TestingT, m Mapping, downstream Subset, upstream *Set) (Upstream, error) {
	link, err := m.Between(upstream.of, downstream.set.of, nil)
	require.NoError(t, err)
	return link.Upstream(downstream, upstream)
}

func linkDownstream(t require.TestingT, m Mapping, upstream Subset, downstream *Set) (Subset, error) {
	link, err := m.Between(upstream.set.of, downstream.of, nil)
	require.NoError(t, err)
	return link.Downstream(upstream, downstream)
}

// A mapping through a dimension is that of its sides, for each partition of the other dimension.
func TestDimensionMappingIsThatOfItsSides(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := day("2001-01-08")
		days := func(label string) TimeWindows {
			return TimeWindows{
				Every: Daily, EndOffset: rapid.IntRange(-1, 1).Draw(t, label+"EndOffset"), Start: fmt.Sprintf("2001-01-%02d", rapid.IntRange(1, 4).Draw(t, label)),
			}
		}
		side, other := days("side"), days("other")
		sideName, letterName := "a", "b"
		if rapid.Bool().Draw(t, "last") {
			sideName, letterName = letterName, sideName
		}
		grid := newPartitions(t, Definition{Grid: []Dimension{{Name: sideName, Time: &side}, {Name: letterName, Static: []string{"x", "y"}}}}).At(now, nil)
		single := newPartitions(t, Definition{Time: &other}).At(now, nil)
		start := rapid.IntRange(-2, 2).Draw(t, "startOffset")
		through := rapid.SampledFrom([]Mapping{
			{}, {Kind: MapIdentity}, {Kind: MapAll}, {Kind: MapLast}, {Kind: MapTime, StartOffset: start, EndOffset: rapid.IntRange(start, 2).Draw(t, "endOffset")},
		}).Draw(t, "through")
		m := Mapping{Kind: MapDimension, Dimension: sideName, Through: &through}

		ofGrid := grid.sides[0]
		if sideName == "b" {
			ofGrid = grid.sides[1]
		}
		parts := func(key string) string { all, err := grid.Split(key); require.NoError(t, err); return all[sideName] }
		of := func(set *Set, keys ...string) Subset {
			subset, err := set.Of(keys...)
			require.NoError(t, err)
			return subset
		}
		up, down := drawSubset(t, grid, "grid"), drawSubset(t, single, "single")
		keysOn := func(subset Subset) []string {
			var keys []string
			for key := range subset.Keys() {
				keys = append(keys, parts(key))
			}
			return keys
		}
		check := func(got Subset, wanted Subset) {
			for key := range grid.All().Keys() {
				require.Equal(t, wanted.Has(parts(key)), got.Has(key), key)
			}
		}

		needs, err := linkUpstream(t, m, down, grid)
		require.NoError(t, err)
		ofSide, err := linkUpstream(t, through, down, ofGrid)
		require.NoError(t, err)
		check(needs.Subset, ofSide.Subset)
		require.Equal(t, 2*ofSide.Missing.Count(), needs.Missing.Count())
		affected, err := linkDownstream(t, m, up, single)
		require.NoError(t, err)
		ofSideDown, err := linkDownstream(t, through, of(ofGrid, keysOn(up)...), single)
		require.NoError(t, err)
		require.True(t, affected.Equal(ofSideDown))

		needed, err := linkUpstream(t, m, up, single)
		require.NoError(t, err)
		ofSide, err = linkUpstream(t, through, of(ofGrid, keysOn(up)...), single)
		require.NoError(t, err)
		require.True(t, needed.Subset.Equal(ofSide.Subset))
		require.Equal(t, ofSide.Missing.String(), needed.Missing.String())
		affected, err = linkDownstream(t, m, down, grid)
		require.NoError(t, err)
		ofSideDown, err = linkDownstream(t, through, down, ofGrid)
		require.NoError(t, err)
		check(affected, ofSideDown)
	})
}
