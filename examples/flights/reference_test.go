package main

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The reference computes the example's numbers another way: it splits the file's text itself, sorts, and counts runs of
// equal neighbours in whole numbers, where the example decodes structs and groups them in maps.

// line is a line of flights.csv.
type line struct {
	at, origin, destination string
	miles, delay            int
}

func referenceLines(t *testing.T) []line {
	t.Helper()
	text, err := data.ReadFile("data/flights.csv")
	require.NoError(t, err)
	rows := strings.Split(strings.TrimSpace(string(text)), "\n")
	require.Equal(t, "departed_at,origin,destination,distance_miles,delay_minutes", rows[0])
	lines := make([]line, 0, len(rows)-1)
	for _, row := range rows[1:] {
		cells := strings.Split(row, ",")
		require.Len(t, cells, 5)
		miles, err := strconv.Atoi(cells[3])
		require.NoError(t, err)
		delay, err := strconv.Atoi(cells[4])
		require.NoError(t, err)
		lines = append(lines, line{cells[0], cells[1], cells[2], miles, delay})
	}
	return lines
}

// referenceClean drops what the defaults of CleanConfig reject.
func referenceClean(t *testing.T) []line {
	t.Helper()
	lines := referenceLines(t)
	lines = slices.DeleteFunc(lines, func(l line) bool { return l.delay < -45 || l.delay > 720 })
	slices.SortStableFunc(lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.origin, b.origin), cmp.Compare(a.destination, b.destination))
	})
	return slices.CompactFunc(lines, func(a, b line) bool {
		return a.at == b.at && a.origin == b.origin && a.destination == b.destination
	})
}

// tally is a key with what its flights add up to.
type tally struct {
	key                  string
	flights, late, total int
}

func (s tally) mean() float64 { return float64(s.total) / float64(s.flights) }

// tallies are in the order of their keys.
func tallies(lines []line, key func(line) string) []tally {
	sorted := slices.Clone(lines)
	slices.SortStableFunc(sorted, func(a, b line) int { return cmp.Compare(key(a), key(b)) })
	var found []tally
	for i, l := range sorted {
		if i == 0 || key(sorted[i-1]) != key(l) {
			found = append(found, tally{key: key(l)})
		}
		last := &found[len(found)-1]
		last.flights++
		last.total += l.delay
		if l.delay > 14 {
			last.late++
		}
	}
	return found
}

// number counts days from the first of January 2001, a Monday.
func number(t *testing.T, date string) int {
	t.Helper()
	month, err := strconv.Atoi(date[5:7])
	require.NoError(t, err)
	day, err := strconv.Atoi(date[8:10])
	require.NoError(t, err)
	return []int{0, 31, 31 + 28}[month-1] + day - 1
}

func (l line) weekday(t *testing.T) string {
	t.Helper()
	days := number(t, l.at[:10])
	if days == 0 || days == 14 || days == 49 { // New Year, Martin Luther King Jr. Day, Washington's Birthday
		return "Holiday"
	}
	return []string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}[days%7]
}

func requireDelays(t *testing.T, want tally, got Delays) {
	t.Helper()
	require.Equal(t, want.flights, got.Flights, want.key)
	require.Equal(t, want.late, got.Late, want.key)
	require.InDelta(t, want.mean(), got.MeanDelay, 1e-9, want.key)
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	moment, err := time.Parse(time.DateTime, text)
	require.NoError(t, err)
	return moment
}
