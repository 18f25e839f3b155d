package main

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/storage/blob"
)

func materialize(t *testing.T, options ...definitions.MaterializeOption) *definitions.Result {
	t.Helper()
	options = append(options, definitions.LoadExternal(), definitions.RetryAtOnce{}, definitions.ForAllPartitions{},
		definitions.DynamicKeys(Watched, "RNO", "SMF"))
	result := definitions.Materialize(t.Context(), Location, options...)
	require.NoError(t, result.Err())
	return result
}

func valueIn[T any](t *testing.T, asset *definitions.AssetOf[T], result *definitions.Result) T {
	t.Helper()
	value, err := asset.In(result)
	require.NoError(t, err)
	return value
}

// everyRow is the rows of all partitions of an asset, in the order of the partitions.
func everyRow[T any](t *testing.T, asset *definitions.AssetOf[[]T], result *definitions.Result) []T {
	t.Helper()
	var rows []T
	for _, key := range result.MaterializedPartitions(asset) {
		rows = append(rows, valueOf(t, asset, key, result)...)
	}
	return rows
}

func valueOf[T any](t *testing.T, asset *definitions.AssetOf[T], key string, result *definitions.Result) T {
	t.Helper()
	value, err := asset.InPartition(result, key)
	require.NoError(t, err)
	return value
}

func TestTheWholeLocation(t *testing.T) {
	t.Parallel()
	result := materialize(t)
	clean := referenceClean(t)

	require.Equal(t, []string{
		"airport_delays", "airport_punctuality", "busiest_routes", "clean_flights", "distance_delays", "flights", "holidays", "hourly_delays",
		"joined_flights", "monthly_delays", "rejected_flights", "report", "route_delays", "running_total", "watched_delays", "weekday_delays",
		"weekly_delays", "worst_airports",
	}, result.Materialized())

	t.Run("flights are clean or rejected", func(t *testing.T) {
		t.Parallel()
		flights := everyRow(t, CleanFlights, result)
		require.Len(t, flights, len(clean))
		require.Len(t, flights, 19_996)
		for i, rejected := range everyRow(t, RejectedFlights, result) {
			require.Equal(t, []string{
				"2001-01-02 12:30:00 ALB LAS 58 minutes early",
				"2001-02-14 21:30:00 HOU DAL duplicate of an earlier flight",
				"2001-02-23 08:30:00 HOU DAL duplicate of an earlier flight",
				"2001-03-09 13:00:00 DAL HOU duplicate of an earlier flight",
			}[i], fmt.Sprintf("%s %s %s %s", rejected.DepartedAt.Format("2006-01-02 15:04:05"), rejected.Origin, rejected.Destination, rejected.Reason))
		}
		require.Len(t, everyRow(t, RejectedFlights, result), 4)
		days := result.MaterializedPartitions(CleanFlights)
		require.Len(t, days, 90)
		require.Equal(t, []string{"2001-01-01", "2001-03-31"}, []string{days[0], days[89]})
		for _, day := range days {
			leaving := slices.DeleteFunc(slices.Clone(clean), func(l line) bool { return l.at[:10] != day })
			require.Contains(t, result.PartitionMetadata(CleanFlights, day), definitions.RowCount(len(leaving)), day)
		}
	})

	t.Run("every flight has its cities", func(t *testing.T) {
		t.Parallel()
		joined := everyRow(t, JoinedFlights, result)
		require.Len(t, joined, len(clean))
		for _, flight := range joined {
			require.NotContains(t, []string{"", ", "}, flight.OriginCity)
			require.NotContains(t, []string{"", ", "}, flight.DestinationCity)
		}
	})

	t.Run("delays by route", func(t *testing.T) {
		t.Parallel()
		want := tallies(clean, func(l line) string { return l.origin + " " + l.destination })
		routes := sumRoutes(everyRow(t, RouteDelays, result))
		require.Len(t, routes, len(want))
		require.Len(t, routes, 654)
		for i, route := range routes {
			require.Equal(t, want[i].key, route.Origin+" "+route.Destination)
			requireDelays(t, want[i], route.Delays)
		}
	})

	t.Run("delays by airport", func(t *testing.T) {
		t.Parallel()
		want := tallies(clean, func(l line) string { return l.origin })
		airports := sumAirports(everyRow(t, AirportDelays, result))
		require.Len(t, airports, len(want))
		require.Len(t, airports, 59)
		for i, airport := range airports {
			require.Equal(t, want[i].key, airport.Airport)
			requireDelays(t, want[i], airport.Delays)
		}
	})

	t.Run("delays by day, week and month", func(t *testing.T) {
		t.Parallel()
		for _, sliced := range []struct {
			asset *definitions.AssetOf[[]AirportDelay]
			keys  int
			in    func(day, key string) bool
		}{
			{AirportDelays, 90, func(day, key string) bool { return day == key }},
			{WeeklyDelays, 12, func(day, key string) bool { return number(t, day)/7 == number(t, key)/7 }},
			{MonthlyDelays, 3, func(day, key string) bool { return day[:7] == key[:7] }},
		} {
			keys := result.MaterializedPartitions(sliced.asset)
			require.Len(t, keys, sliced.keys)
			for _, key := range keys {
				within := slices.DeleteFunc(slices.Clone(clean), func(l line) bool { return !sliced.in(l.at[:10], key) })
				want := tallies(within, func(l line) string { return l.origin })
				airports := valueOf(t, sliced.asset, key, result)
				require.Len(t, airports, len(want), key)
				for i, airport := range airports {
					require.Equal(t, want[i].key, airport.Airport)
					requireDelays(t, want[i], airport.Delays)
				}
			}
		}
	})

	t.Run("the running total", func(t *testing.T) {
		t.Parallel()
		days := result.MaterializedPartitions(RunningTotal)
		require.Len(t, days, 90)
		for _, day := range days {
			until := slices.DeleteFunc(slices.Clone(clean), func(l line) bool { return l.at[:10] > day })
			requireDelays(t, tallies(until, func(line) string { return "" })[0], valueOf(t, RunningTotal, day, result))
		}
	})

	t.Run("delays by distance", func(t *testing.T) {
		t.Parallel()
		keys := result.MaterializedPartitions(DistanceDelays)
		require.Len(t, keys, 270)
		bands := map[string]tally{}
		for _, found := range tallies(clean, func(l line) string {
			switch {
			case l.miles < 500:
				return l.at[:10] + "|short"
			case l.miles < 1500:
				return l.at[:10] + "|medium"
			default:
				return l.at[:10] + "|long"
			}
		}) {
			bands[found.key] = found
		}
		for _, key := range keys {
			delays := valueOf(t, DistanceDelays, key, result)
			if want, found := bands[key]; found {
				requireDelays(t, want, delays)
				continue
			}
			require.Zero(t, delays, key)
		}
	})

	t.Run("watched airports", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, []string{"RNO", "SMF"}, result.MaterializedPartitions(WatchedDelays))
		rno := valueOf(t, WatchedDelays, "RNO", result)
		require.Equal(t, "293 78 12.38", fmt.Sprintf("%d %d %.2f", rno.Flights, rno.Late, rno.MeanDelay))
	})

	t.Run("delays by hour", func(t *testing.T) {
		t.Parallel()
		want := tallies(clean, func(l line) string { return l.at[11:13] })
		hours := valueIn(t, HourlyDelays, result)
		require.Len(t, hours, len(want))
		for i, hour := range hours {
			require.Equal(t, want[i].key, fmt.Sprintf("%02d", hour.Hour))
			requireDelays(t, want[i], hour.Delays)
		}
	})

	t.Run("delays by weekday", func(t *testing.T) {
		t.Parallel()
		want := tallies(clean, func(l line) string { return l.weekday(t) })
		weekdays := slices.Clone(valueIn(t, WeekdayDelays, result))
		require.Equal(t, "Monday", weekdays[0].Weekday)
		require.Equal(t, "Holiday", weekdays[7].Weekday)
		slices.SortFunc(weekdays, func(a, b WeekdayDelay) int { return cmp.Compare(a.Weekday, b.Weekday) })
		require.Len(t, weekdays, len(want))
		for i, weekday := range weekdays {
			require.Equal(t, want[i].key, weekday.Weekday)
			requireDelays(t, want[i], weekday.Delays)
		}
	})

	// The numbers below were worked out with awk and a script over the CSV file, apart from this program.
	t.Run("the worst airports", func(t *testing.T) {
		t.Parallel()
		var worst []string
		for _, a := range valueIn(t, WorstAirports, result) {
			worst = append(worst, fmt.Sprintf("%d %s %s: %d flights, %d late, %.2f", a.Rank, a.Airport, a.City, a.Flights, a.Late, a.MeanDelay))
		}
		require.Equal(t, []string{
			"1 RNO Reno, NV: 293 flights, 78 late, 12.38",
			"2 SMF Sacramento, CA: 471 flights, 119 late, 11.72",
			"3 LAX Los Angeles, CA: 908 flights, 254 late, 11.52",
			"4 OAK Oakland, CA: 813 flights, 221 late, 11.00",
			"5 SJC San Jose, CA: 504 flights, 137 late, 10.99",
		}, worst)
	})

	t.Run("the busiest routes", func(t *testing.T) {
		t.Parallel()
		var busiest []string
		for _, r := range valueIn(t, BusiestRoutes, result) {
			busiest = append(busiest, fmt.Sprintf("%s %s %d", r.Origin, r.Destination, r.Flights))
		}
		require.Equal(t, []string{
			"HOU DAL 243", "LAX OAK 212", "HOU MSY 178", "DAL HOU 172", "OAK LAX 170", "MSY HOU 160", "LAS PHX 152",
			"PHX LAX 150", "MDW MCI 135", "LAS LAX 131",
		}, busiest)
	})

	t.Run("the report", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, []string{
			"Mean delay in minutes, by hour of departure",
			"-4.8", "5", "-1.0", "6", "-1.1", "7", "-0.1", "8", "0.8", "9", "2.2", "10", "3.9", "11", "6.3", "12", "8.8", "13",
			"7.9", "14", "10.8", "15", "11.3", "16", "10.8", "17", "11.6", "18", "14.0", "19", "15.6", "20", "19.6", "21",
			"31.2", "22", "64.2", "23",
		}, texts(t, valueIn(t, Report, result)))
		require.Contains(t, result.Metadata(Report), definitions.Markdown("summary",
			"Flights leave **Reno, NV** (RNO) latest: 12.4 minutes on average. 4 flights were rejected."))
	})
}

func TestConfigChangesWhatIsComputed(t *testing.T) {
	t.Parallel()
	// As of the eighth of January, there are seven days.
	result := materialize(t, definitions.AsOf(at(t, "2001-01-08 00:00:00")), definitions.Only(WorstAirports),
		definitions.Configure(WorstConfig, worstConfig{Top: 2, MinFlights: 60}))

	require.Len(t, result.MaterializedPartitions(AirportDelays), 7)
	week := slices.DeleteFunc(referenceClean(t), func(l line) bool { return l.at > "2001-01-08" })
	want := slices.DeleteFunc(tallies(week, func(l line) string { return l.origin }), func(a tally) bool { return a.flights < 60 })
	slices.SortStableFunc(want, func(a, b tally) int { return cmp.Compare(b.mean(), a.mean()) })
	worst := valueIn(t, WorstAirports, result)
	require.Equal(t, []string{want[0].key, want[1].key}, []string{worst[0].Airport, worst[1].Airport})
	require.Len(t, worst, 2)
}

func TestTheStoresTakeEveryAsset(t *testing.T) {
	t.Parallel()
	storage, err := blob.Open(t.Context(), "mem://")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, storage.Close()) })

	runtime, err := definitions.NewRuntime(Location, definitions.Environment{Storage: storage})

	require.NoError(t, err)
	require.Len(t, runtime.Snapshot().Assets, 20)
	require.NoError(t, runtime.Close(t.Context()))
}

func TestTheTablesLieWhereTheEnvironmentSays(t *testing.T) {
	t.Parallel()
	snapshot, err := Location.Snapshot()
	require.NoError(t, err)
	defaults := map[string]string{}
	for _, resource := range snapshot.Resources {
		if resource.Config != nil {
			defaults[resource.Name] = string(resource.Config.Defaults)
		}
	}
	require.JSONEq(t, `{"dsn":{"env":"PERDURE_POSTGRES_DSN"},"schema":"flights"}`, defaults[Tables.Name()])
}
