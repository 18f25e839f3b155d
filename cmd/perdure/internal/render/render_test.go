package render_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

var (
	noon  = time.Date(2001, 1, 31, 12, 0, 0, 0, time.UTC)
	clock = render.Clock{Now: noon, Zone: time.FixedZone("east", 3600)}
	plain render.Style
)

func before(d time.Duration) time.Time { return noon.Add(-d) }

// view is a run of five steps in the middle of its way.
func view() render.RunView {
	return render.RunView{
		Run: metadata.Run{
			ID: "r1", Status: wire.RunStarted, Location: "flights", Build: "b1", Selection: "*", Cause: "r1", Config: json.RawMessage("null"),
			Tags: map[string]string{"team": "ops", "env": "dev"}, StartedAt: before(5 * time.Second),
		},
		Steps: []metadata.Step{
			{Step: "flights", Index: 0, Status: wire.StepSuccess, Attempt: 1, Worker: "7@host", StartedAt: before(5 * time.Second), EndedAt: before(4500 * time.Millisecond)},
			{
				Step: "airports", Index: 1, Status: wire.StepFailed, Attempt: 3, Worker: "7@host", StartedAt: before(5 * time.Second), EndedAt: before(time.Second),
				Error: &wire.ErrorInfo{Message: "boom\x1b[2J\nand more", Stack: "goroutine 1", Metadata: []wire.Metadatum{{Label: "row", Type: wire.MetadataInt, Value: json.RawMessage("1700")}}},
			},
			{
				Step: "delays", Index: 2, Status: wire.StepRunning, Attempt: 2, Lost: 1, Worker: "8@host", StartedAt: before(3 * time.Second),
				Error: &wire.ErrorInfo{Message: "503"},
			},
			{Step: "routes", Index: 3, Status: wire.StepRunning, Reason: "step routes of run r0 writes it", ReasonSince: before(2 * time.Second)},
			{Step: "report", Index: 4, Status: wire.StepWaiting},
		},
		WaitingFor: map[string][]string{"report": {"delays", "routes", "c", "d", "e"}},
		Link:       "http://ui/r1",
	}
}

func TestRunDetailsBeginWithStatusAndEndWithErrors(t *testing.T) {
	t.Parallel()
	require.Equal(t, `STARTED  r1
  1 of 5 steps done, 2 running, 1 waiting, 1 failed

selection  *
tags       env=dev, team=ops
location   flights (build b1)
started    2001-01-31 12:59:55 (5 s ago)
duration   5.00 s
web ui     http://ui/r1

STEP      STATUS   ATTEMPT  DURATION  WORKER                        REMARK
flights   SUCCESS        1    0.50 s  7@host
airports  FAILED         3    4.00 s  7@host                        boom[2J …
delays    RUNNING        2    3.00 s  8@host (after 1 lost worker)  failed before: 503
routes    RUNNING                                                   step routes of run r0 writes it (for 2.00 s)
report    WAITING                                                   waits for delays, routes, c and 2 more

airports
  boom[2J
  and more
  row: 1,700

--stacks shows the stacks of panics
`, plain.RunDetails(view(), clock, false))
	require.Contains(t, plain.RunDetails(view(), clock, true), "\n    goroutine 1\n")
}

func TestARunSaysWhichPartitionsItIsOver(t *testing.T) {
	t.Parallel()
	for want, run := range map[string]metadata.Run{
		"":                         {},
		"2001-01-01|short":         {Partition: "2001-01-01|short", Tags: map[string]string{"perdure/partition": "2001-01-01|short"}},
		"2001-01-01 to 2001-01-07": {Several: true, Tags: map[string]string{"perdure/partition_range_start": "2001-01-01", "perdure/partition_range_end": "2001-01-07"}},
		"several":                  {Several: true},
	} {
		require.Equal(t, want, render.RunPartitions(run))
	}
	v := view()
	v.Run.Partition, v.Run.Backfill = "2001-01-01", "bf1"
	require.Contains(t, plain.RunDetails(v, clock, false), "\nselection   *\npartitions  2001-01-01\nbackfill    bf1\ntags ")
}

func TestFrameShowsWhatMattersWhenThereIsNoRoom(t *testing.T) {
	t.Parallel()
	frame := plain.Frame(view(), clock, 40, 1)
	require.Equal(t, []string{
		"STARTED  r1  1 of 5 steps done, 2 running, 1 waiting, 1 failed  5.00 s",
		"  ✓ flights       0.50 s",
		"  ✗ airports      4.00 s  attempt 3  boom[2J …",
		"  ⠙ delays        3.00 s  after 1 lost worker  attempt 2  failed before: 503",
		"  ⠙ routes                step routes of run r0 writes it (for 2.00 s)",
		"  · report                waits for delays, routes, c and 2 more",
	}, frame)
	small := plain.Frame(view(), clock, 5, 0)
	require.Equal(t, []string{"airports", "delays"}, []string{strings.Fields(small[1])[1], strings.Fields(small[2])[1]})
	require.Equal(t, "    and 3 steps not shown here", small[3])
	require.Len(t, small, 4)
}

func TestChangesTellOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	steps := view().Steps
	require.Equal(t, []string{
		"12:59:55  SUCCESS          flights  0.50 s",
		"12:59:59  FAILED           airports  4.00 s  attempt 3  boom[2J …",
		"13:00:00  RUNNING          delays  after 1 lost worker  attempt 2  failed before: 503",
		"13:00:00  RUNNING          routes  step routes of run r0 writes it (for 2.00 s)",
	}, plain.Changes(nil, steps, clock))
	require.Empty(t, plain.Changes(steps, steps, clock))
	later := view().Steps
	later[4].Status = wire.StepUpstreamFailed
	require.Equal(t, []string{"13:00:00  UPSTREAM_FAILED  report"}, plain.Changes(steps, later, clock))
}

func TestTableLeavesOutEmptyColumnsAndAlignsWhatIsColoured(t *testing.T) {
	t.Parallel()
	columns := []render.Column{{Title: "name"}, {Title: "empty"}, {Title: "rows", Right: true}}
	rows := [][]string{{"a", "", "20,000"}, {"longer", "", "5"}}
	require.Equal(t, "NAME      ROWS\na       20,000\nlonger       5\n", plain.Table(columns, rows))
	color := render.Style{Color: true}
	rows[0][0] = color.Green("a")
	require.Equal(t, "\x1b[1mNAME\x1b[0m      \x1b[1mROWS\x1b[0m\n\x1b[32ma\x1b[0m       20,000\nlonger       5\n", color.Table(columns, rows))
}

func TestMetadataTable(t *testing.T) {
	t.Parallel()
	fact := wire.Metadatum{Label: "worst", Type: wire.MetadataTable, Value: json.RawMessage(
		`{"columns":[{"name":"airport","type":"string"},{"name":"flights","type":"int"},{"name":"delay","type":"float"}],"rows":[["RNO",293,12.376],["SMF",471,null]]}`)}
	table, err := plain.MetadataTable(fact)
	require.NoError(t, err)
	require.Equal(t, "AIRPORT  FLIGHTS  DELAY\nRNO          293  12.38\nSMF          471\n", table)
	fact.Value = json.RawMessage(`{"columns":[{"name":"a"}],"rows":[[1,2]]}`)
	_, err = plain.MetadataTable(fact)
	require.EqualError(t, err, `read metadata "worst" as a table: row 1 has 2 cells, there are 1 columns`)
}

func TestUnits(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 421 * time.Millisecond: "0.42 s", 12300 * time.Millisecond: "12.3 s", 125 * time.Second: "2 min 05 s",
		187 * time.Minute: "3 h 07 min", 52 * time.Hour: "2 d 4 h",
	} {
		require.Equal(t, want, render.Duration(d))
	}
	for d, want := range map[time.Duration]string{
		-time.Minute: "just now", time.Second: "just now", 40 * time.Second: "40 s ago", 3 * time.Minute: "3 min ago", 5 * time.Hour: "5 h ago", 300 * time.Hour: "12 d ago",
	} {
		require.Equal(t, want, render.Age(noon, before(d)))
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -20000: "-20,000", 1234567: "1,234,567"} {
		require.Equal(t, want, render.Number(n))
	}
	require.Empty(t, clock.Moment(time.Time{}))
	require.Equal(t, "in 2 h", render.Age(noon, noon.Add(2*time.Hour+time.Minute)))
	require.Equal(t, "1 step", render.Count(1, "step"))
}

func TestPainterRepaintsInPlaceAndNeverWraps(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	painter := &render.Painter{Out: &out, Size: func() (int, int) { return 8, 3 }}
	require.NoError(t, painter.Paint([]string{"one", "a line that is too long", "scrolled away"}))
	require.Equal(t, "one\x1b[K\na line …\x1b[K\n\x1b[J", out.String())
	out.Reset()
	require.NoError(t, painter.Paint([]string{"two"}))
	require.Equal(t, "\x1b[1A\x1b[1A\rtwo\x1b[K\n\x1b[J", out.String())
	out.Reset()
	require.NoError(t, painter.Clear())
	require.Equal(t, "\x1b[1A\r\x1b[J", out.String())
}

func TestFieldsStandInAColumnAlsoOverSeveralLines(t *testing.T) {
	t.Parallel()
	require.Equal(t, "next    one\n        two\nstatus  three\n", render.Style{}.Fields([][2]string{{"next", "one\ntwo"}, {"longer than any", ""}, {"status", "three"}}))
}
