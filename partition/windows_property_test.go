package partition

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestCronFiresAsTheReferenceDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := drawAround(t, 12)
		cron := drawCron(t, "cron")
		want := a.ticks(cron)
		from, to := a.from+2*secondsPerDay, a.to-2*secondsPerDay

		var forward []int64
		for at := time.Unix(from-1, 0); ; {
			next, ok := cron.Next(at, a.zone)
			require.True(t, ok)
			if next.Unix() >= to {
				break
			}
			forward = append(forward, next.Unix())
			at = next
		}
		require.Equal(t, want, forward)

		var backward []int64
		for at := time.Unix(to, 0); ; {
			previous, ok := cron.Previous(at, a.zone)
			require.True(t, ok)
			if previous.Unix() < from {
				break
			}
			backward = append(backward, previous.Unix())
			at = previous
		}
		slices.Reverse(backward)
		require.Equal(t, want, backward)
	})
}

func TestWindowsAreThoseOfTheReference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := drawAround(t, 16)
		d, w, want, now := drawWindows(t, a, "")
		set := newPartitions(t, Definition{Time: &d}).At(now, nil)
		require.Equal(t, want.existing, set.Count())

		keys := slices.Collect(set.All().Keys())
		require.Len(t, keys, want.existing)
		for i, key := range keys {
			start, end := want.starts[want.first+i], want.ends[want.first+i]
			position, err := set.Position(key)
			require.NoError(t, err)
			require.Equal(t, i, position, "keys are in order and none is there twice")
			window, err := set.Window(key)
			require.NoError(t, err)
			require.Equal(t, []int64{start, end}, []int64{window.Start.Unix(), window.End.Unix()})
			inside := time.Unix(start+rapid.Int64Range(0, end-start-1).Draw(t, "inside"), 0)
			found, err := set.KeyAt(inside)
			require.NoError(t, err)
			require.Equal(t, key, found)
		}
		for i := range want.starts { // also those that do not exist
			require.Equal(t, want.starts[i], mustStart(t, w, i-want.first))
			require.Equal(t, want.ends[i], w.endOf(want.starts[i]))
			require.Equal(t, i-want.first, w.kept.index(want.starts[i]))
		}
		if len(keys) == 0 {
			return
		}
		first, _ := set.All().First()
		last, _ := set.All().Last()
		require.Equal(t, keys[0], first)
		require.Equal(t, keys[len(keys)-1], last)

		span := Window{
			Start: time.Unix(a.from+rapid.Int64Range(0, a.to-a.from).Draw(t, "spanStart"), 0),
			End:   time.Unix(a.from+rapid.Int64Range(0, a.to-a.from).Draw(t, "spanEnd"), 0),
		}
		within, err := set.Within(span)
		require.NoError(t, err)
		var inside []string
		for i, key := range keys {
			if want.starts[want.first+i] >= span.Start.Unix() && want.ends[want.first+i] <= span.End.Unix() {
				inside = append(inside, key)
			}
		}
		require.Equal(t, inside, slices.Collect(within.Keys()))
	})
}

func mustStart(t require.TestingT, w *windows, number int) int64 {
	start, ok := w.startOf(number)
	require.True(t, ok)
	return start
}

func newPartitions(t require.TestingT, d Definition) *Partitions {
	p, err := New(d)
	require.NoError(t, err)
	return p
}
