package partition

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMappingsListEveryProblem(t *testing.T) {
	t.Parallel()
	letters, days, none := Definition{Static: []string{"a", "b"}}, dailyFrom("2001-01-01"), Definition{}
	berlin := Definition{Time: &TimeWindows{Every: Daily, Start: "2001-01-01", Zone: "Europe/Berlin", End: "2002-01-01", Exclude: Exclusions{Keys: []string{"2001-12-25"}}}}
	grid := gridOf("day", days, "band", letters)
	twice := gridOf("x", letters, "y", letters)
	for name, c := range map[string]struct {
		mapping              Mapping
		upstream, downstream Definition
		problems             []string
	}{
		"an unknown kind": {Mapping{Kind: "some"}, letters, letters, []string{
			`kind: "some" is not known (use identity, all, last, specific, static, time, dimension, grid or custom, or leave it out)`,
		}},
		"fields of other kinds": {Mapping{
			Kind: MapAll, Keys: []string{"a"}, Static: map[string][]string{"a": nil}, StartOffset: 1, EndOffset: 1, AllowNonexistent: true,
			Dimension: "x", Through: &Mapping{}, Dimensions: []DimensionMapping{{}}, Function: "f",
		}, letters, letters, []string{
			`keys: a mapping of kind "all" does not read keys (leave it out)`,
			`static: a mapping of kind "all" does not read static (leave it out)`,
			`start_offset: a mapping of kind "all" does not read start_offset (leave it out)`,
			`end_offset: a mapping of kind "all" does not read end_offset (leave it out)`,
			`allow_nonexistent: a mapping of kind "all" does not read allow_nonexistent (leave it out)`,
			`dimension: a mapping of kind "all" does not read dimension (leave it out)`,
			`through: a mapping of kind "all" does not read through (leave it out)`,
			`dimensions: a mapping of kind "all" does not read dimensions (leave it out)`,
			`function: a mapping of kind "all" does not read function (leave it out)`,
		}},
		"an offset without a kind": {Mapping{StartOffset: -1}, days, days, []string{`start_offset: a mapping of kind "" does not read start_offset (leave it out)`}},
		"identity of one side": {Mapping{Kind: MapIdentity}, none, days, []string{
			"kind: an identity needs partitions on both sides or on neither (use all or last)",
		}},
		"specific without keys": {Mapping{Kind: MapSpecific}, days, days, []string{"keys: no keys are given (give the upstream keys)"}},
		"specific keys that can never be": {Mapping{Kind: MapSpecific, Keys: []string{"x", "2001-12-25", "2002-01-01", "2000-01-01", "2001-01-05"}}, berlin, letters, []string{
			`keys[0]: "x" is not a key of the upstream: it is not of the form 2006-01-02 (use a key of the upstream)`,
			`keys[1]: "2001-12-25" is not a key of the upstream: it is excluded (use a key of the upstream)`,
			`keys[2]: "2002-01-01" is not a key of the upstream: it is before the first or after the last (use a key of the upstream)`,
			`keys[3]: "2000-01-01" is not a key of the upstream: it is before the first or after the last (use a key of the upstream)`,
		}},
		"specific keys between windows": {Mapping{Kind: MapSpecific, Keys: []string{"2001-01-02"}}, Definition{Time: &TimeWindows{Every: Weekly, Start: "2001-01-01"}}, letters, []string{
			`keys[0]: "2001-01-02" is not a key of the upstream: no window begins there (use a key of the upstream)`,
		}},
		"specific keys of a grid": {Mapping{Kind: MapSpecific, Keys: []string{"a", "c|2001-01-01", "a|x", "a|2001-01-01"}}, grid, letters, []string{
			`keys[0]: "a" is not a key of the upstream: a key of the grid is band|day (use a key of the upstream)`,
			`keys[1]: "c|2001-01-01" is not a key of the upstream: there is no such key (use a key of the upstream)`,
			`keys[2]: "a|x" is not a key of the upstream: it is not of the form 2006-01-02 (use a key of the upstream)`,
		}},
		"a specific dynamic key": {Mapping{Kind: MapSpecific, Keys: []string{"x", "y\n"}}, Definition{Dynamic: "regions"}, letters, []string{
			`keys[1]: "y\n" is not a key of the upstream: "y\n" holds a control character (use a key of the upstream)`,
		}},
		"static keys that are in neither": {Mapping{Kind: MapStatic, Static: map[string][]string{"A": {"b"}, "c": {"a", "d"}}}, letters, letters, []string{
			`static: the upstream has no key "A" (did you mean "a"?)`,
			`static: the upstream has no key "c" (did you mean "a"?)`,
			`static: "c" is mapped to "d", which the downstream does not have (did you mean "a"?)`,
		}},
		"static without a table":     {Mapping{Kind: MapStatic}, letters, letters, []string{"static: nothing is mapped (map at least one upstream key)"}},
		"static between time":        {Mapping{Kind: MapStatic, Static: map[string][]string{"a": nil}}, days, letters, []string{"kind: a static mapping needs static partitions on both sides, not time upstream and static downstream (use another kind)"}},
		"time between what has none": {Mapping{Kind: MapTime}, days, letters, []string{"kind: a time mapping needs time windows on both sides, not time upstream and static downstream (use another kind)"}},
		"inferred between two zones": {Mapping{}, days, berlin, []string{"kind: a time mapping needs one zone, not UTC upstream and Europe/Berlin downstream (put both sides in one zone)"}},
		"offsets that make no sense": {Mapping{Kind: MapTime, StartOffset: 2_000_000, EndOffset: -2_000_000}, days, days, []string{
			"start_offset: the needed time would end before it begins: 2000000 is more than -2000000 (make it at most end_offset)",
			"start_offset: 2000000 partitions are more than 1000000 (use a smaller number)",
			"end_offset: -2000000 partitions are more than 1000000 (use a smaller number)",
		}},
		"a dimension of no grid": {Mapping{Kind: MapDimension, Dimension: "day"}, days, days, []string{
			"kind: a dimension mapping needs a grid on exactly one side, not time upstream and time downstream (use grid between two grids, another kind where there is none)",
		}},
		"a dimension that there is not": {Mapping{Kind: MapDimension, Dimension: "week"}, grid, days, []string{`dimension: the grid has no dimension "week" (use one of band and day)`}},
		"no dimension fits":             {Mapping{Kind: MapDimension}, grid, Definition{Dynamic: "x"}, []string{"dimension: no dimension of the grid fits the other side (name the dimension: band and day)"}},
		"both dimensions fit":           {Mapping{Kind: MapDimension}, letters, twice, []string{"dimension: both dimensions of the grid fit the other side (name the dimension: x and y)"}},
		"within a dimension":            {Mapping{Kind: MapDimension, Dimension: "day", Through: &Mapping{Kind: MapStatic, Static: map[string][]string{"a": nil}}}, grid, days, []string{"through.kind: a static mapping needs static partitions on both sides, not time upstream and time downstream (use another kind)"}},
		"a grid with what is none":      {Mapping{Kind: MapGrid}, grid, days, []string{"kind: a grid mapping needs grids on both sides, not grid upstream and time downstream (use another kind)"}},
		"pairs of dimensions": {Mapping{Kind: MapGrid, Dimensions: []DimensionMapping{
			{Upstream: "day", Downstream: "x"}, {Upstream: "day", Downstream: "x", Mapping: Mapping{Kind: MapTime}}, {Upstream: "week", Downstream: "z"},
		}}, grid, twice, []string{
			`dimensions[1].upstream: dimension "day" of the upstream grid is mapped twice (map each dimension once)`,
			`dimensions[1].downstream: dimension "x" of the downstream grid is mapped twice (map each dimension once)`,
			"dimensions[1].mapping.kind: a time mapping needs time windows on both sides, not time upstream and static downstream (use another kind)",
			`dimensions[2].upstream: the upstream grid has no dimension "week" (use one of band and day)`,
			`dimensions[2].downstream: the downstream grid has no dimension "z" (use one of x and y)`,
		}},
		"a function without a name": {Mapping{Kind: MapCustom}, letters, letters, []string{"function: no function is named (give the function's name)"}},
	} {
		_, err := c.mapping.Between(newPartitions(t, c.upstream), newPartitions(t, c.downstream), nil)
		problems, ok := errors.AsType[Problems](err)
		require.True(t, ok, name)
		var got []string
		for _, problem := range problems {
			got = append(got, problem.String())
		}
		require.Equal(t, c.problems, got, name)
	}
}

func TestALinkSaysWhatWasInferred(t *testing.T) {
	t.Parallel()
	letters, days := Definition{Static: []string{"a", "b"}}, dailyFrom("2001-01-01")
	grid := gridOf("day", days, "band", letters)
	for name, c := range map[string]struct {
		mapping              Mapping
		upstream, downstream Definition
		want                 string
		oneToOne             bool
	}{
		"neither side":            {Mapping{}, Definition{}, Definition{}, `{"kind":"all"}`, true},
		"one side":                {Mapping{}, days, Definition{}, `{"kind":"all"}`, false},
		"equal time":              {Mapping{}, days, days, `{"kind":"time"}`, true},
		"another start":           {Mapping{}, days, dailyFrom("2001-01-02"), `{"kind":"time"}`, false},
		"a lag":                   {Mapping{Kind: MapTime, StartOffset: -1, EndOffset: -1}, days, days, `{"kind":"time","start_offset":-1,"end_offset":-1}`, false},
		"equal lists":             {Mapping{}, letters, letters, `{"kind":"identity"}`, true},
		"all of an equal list":    {Mapping{Kind: MapAll}, letters, letters, `{"kind":"all"}`, false},
		"the last of itself":      {Mapping{Kind: MapLast}, letters, letters, `{"kind":"last"}`, false},
		"equal grids":             {Mapping{}, grid, grid, `{"kind":"identity"}`, true},
		"a grid and a list":       {Mapping{}, grid, letters, `{"kind":"dimension","dimension":"band","through":{"kind":"identity"}}`, false},
		"time and a grid":         {Mapping{}, days, grid, `{"kind":"dimension","dimension":"day","through":{"kind":"time"}}`, false},
		"a grid and a named side": {Mapping{Kind: MapDimension, Dimension: "day"}, grid, dailyFrom("2001-02-01"), `{"kind":"dimension","dimension":"day","through":{"kind":"time"}}`, false},
		"within a grid":           {Mapping{Kind: MapGrid, Dimensions: []DimensionMapping{{Upstream: "day", Downstream: "day"}}}, grid, grid, `{"kind":"grid","dimensions":[{"upstream":"day","downstream":"day","mapping":{"kind":"time"}}]}`, false},
	} {
		link, err := c.mapping.Between(newPartitions(t, c.upstream), newPartitions(t, c.downstream), nil)
		require.NoError(t, err, name)
		text, err := json.Marshal(link.Mapping())
		require.NoError(t, err)
		require.JSONEq(t, c.want, string(text), name)
		require.Equal(t, c.oneToOne, link.OneToOne(), name)
	}
}

func TestCustomMappingsNeedTheirLocation(t *testing.T) {
	t.Parallel()
	letters := newPartitions(t, Definition{Static: []string{"a", "b"}})
	set := letters.At(unix(0), nil)
	link, err := Mapping{Kind: MapCustom, Function: "nearest"}.Between(letters, letters, nil)
	require.NoError(t, err)
	_, err = link.Upstream(set.All(), set)
	require.ErrorIs(t, err, ErrNoEvaluator)
	require.EqualError(t, err, `mapping "nearest" is a function of its code location, which this program does not have`)
	_, err = link.Downstream(set.All(), set)
	require.ErrorIs(t, err, ErrNoEvaluator)

	link, err = Mapping{Kind: MapCustom, Function: "nearest"}.Between(letters, letters, tableEvaluator{})
	require.NoError(t, err)
	_, err = link.Upstream(set.All(), set)
	require.ErrorIs(t, err, errUnknownFunction)
	_, err = link.Downstream(set.All(), set)
	require.EqualError(t, err, `mapping "nearest": there is no such function`)
}

func TestALinkTakesOnlyItsOwnPartitions(t *testing.T) {
	t.Parallel()
	letters, days := newPartitions(t, Definition{Static: []string{"a", "b"}}), newPartitions(t, dailyFrom("2001-01-01"))
	link, err := Mapping{Kind: MapAll}.Between(letters, days, nil)
	require.NoError(t, err)
	lettersSet, daysSet := letters.At(day("2001-02-01"), nil), days.At(day("2001-02-01"), nil)
	const message = "the mapping is between other partitions than "
	_, err = link.Upstream(daysSet.All(), daysSet)
	require.ErrorContains(t, err, message+"daily partitions")
	_, err = link.Upstream(lettersSet.All(), lettersSet)
	require.ErrorContains(t, err, message+"the static partitions")
	_, err = link.Downstream(lettersSet.All(), lettersSet)
	require.ErrorContains(t, err, message+"the static partitions")
	_, err = link.Downstream(daysSet.All(), daysSet)
	require.ErrorContains(t, err, message+"daily partitions")
}
