package partition

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fuzzSets are sets whose keys are hard to read: clocks that change, exclusions, grids.
func fuzzSets(t testing.TB) []*Set {
	t.Helper()
	hours := &TimeWindows{Every: Hourly, Start: "2021-11-01", Zone: "America/Chicago"}
	var sets []*Set
	for _, d := range []Definition{
		{},
		{Time: hours},
		{Time: &TimeWindows{Cron: "*/30 * * * *", Start: "2021-03-20", Zone: "Australia/Lord_Howe", Exclude: Exclusions{Crons: []string{"0 2 * * *"}}}},
		{Time: &TimeWindows{Every: Daily, Start: "2021-01-01", Zone: "Atlantic/Azores", Exclude: Exclusions{Keys: []string{"2021-03-28"}}}},
		{Time: &TimeWindows{Every: Hourly, Start: "2021-11-01", Zone: "America/Chicago", Format: time.RFC3339}},
		{Time: &TimeWindows{Every: Monthly, Start: "2020-01", Format: "2006-01"}},
		{Static: []string{"a", "b|c", "ä"}},
		{Grid: []Dimension{{Name: "hour", Time: hours}, {Name: "region", Dynamic: "regions"}}},
	} {
		sets = append(sets, newPartitions(t, d).At(day("2021-11-20"), map[string][]string{"regions": {"west", "east"}}))
	}
	return sets
}

// A text is the key of at most one partition, and its only key.
func FuzzKeys(f *testing.F) {
	sets := fuzzSets(f)
	for _, key := range []string{
		"", "a", "b|c", "2021-11-07-01:00", "2021-11-07-01:00-0600", "2021-11-07-01:00-0500", "2021-04-04-01:30+1030", "2021-03-28", "2021-01-01",
		"2021-11-07T01:00:00-06:00", "2020-01", "2021-11-07-01:00|west", "|", "9999-12-31-23:00", "0000-00-00", "2021-11-07-01:00.5", "2021-11-07-01:00:00",
	} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		for _, set := range sets {
			position, err := set.Position(key)
			require.Equal(t, err == nil, set.Has(key))
			if err != nil {
				wrong, isKeyError := err.(*KeyError) //nolint:errorlint // Position returns it as it is
				require.True(t, isKeyError)
				require.Equal(t, key, wrong.Key)
				if wrong.Nearest != "" {
					require.True(t, set.Has(wrong.Nearest), wrong.Nearest)
				}
				continue
			}
			same, ok := set.All().Nth(position)
			require.True(t, ok)
			require.Equal(t, key, same)
			if set.of.kind == KindTime {
				window, err := set.Window(key)
				require.NoError(t, err)
				found, err := set.KeyAt(window.Start)
				require.NoError(t, err)
				require.Equal(t, key, found)
			}
		}
	})
}

// Whatever is read is written as something that reads the same, with nothing gone.
func FuzzDecode(f *testing.F) {
	sets := fuzzSets(f)
	for _, set := range sets {
		text, err := json.Marshal(set.All())
		require.NoError(f, err)
		f.Add(string(text))
	}
	for _, text := range []string{
		"", "null", "{}", `{"v":1}`, `{"v":1,"kind":"keys","keys":["a","x","a"]}`,
		`{"v":1,"kind":"time","of":[{"cron":"0 * * * *","zone":"America/Chicago","format":"2006-01-02-15:04"}],"ranges":[["2021-10-01-00:00","2021-12-01-00:00"]]}`,
		`{"v":1,"kind":"time","of":[{"cron":"0 0 * * *","zone":"Atlantic/Azores","format":"2006-01-02","exclude":{"crons":["0 0 * * 1"]}}],"ranges":[["2020-10-06","2021-12-01"]]}`,
		`{"v":1,"kind":"grid","of":[{"name":"hour","kind":"time","cron":"0 * * * *","zone":"America/Chicago","format":"2006-01-02-15:04"},{"name":"region","kind":"keys"}],"blocks":[[{},{"keys":["north"]}]]}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, set := range sets {
			subset, gone, err := set.Decode([]byte(text))
			if err != nil {
				require.True(t, subset.IsEmpty())
				require.Empty(t, gone)
				continue
			}
			require.LessOrEqual(t, subset.Count(), set.Count())
			written, err := json.Marshal(subset)
			require.NoError(t, err)
			again, gone, err := set.Decode(written)
			require.NoError(t, err)
			require.Empty(t, gone)
			require.Equal(t, subset.Count(), again.Count())
			require.True(t, subset.Equal(again))
		}
	})
}

// Whatever parses fires before the calendar ends, and is the same when written and read again.
func FuzzCron(f *testing.F) {
	for _, text := range []string{"0 0 * * *", "*/15 1-5 1,15 JAN-MAR MON", "0 0 29 2 *", "@daily", "59 23 31 12 7", "5/10 * * * *"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cron, err := ParseCron(text)
		if err != nil {
			return
		}
		again, err := ParseCron(cron.String())
		require.NoError(t, err)
		require.Equal(t, cron, again)
		next, ok := cron.Next(day("2021-01-01"), time.UTC)
		require.True(t, ok)
		require.True(t, fits(cron, next))
		previous, ok := cron.Previous(next.Add(time.Second), time.UTC)
		require.True(t, ok)
		require.Equal(t, next, previous)
	})
}
