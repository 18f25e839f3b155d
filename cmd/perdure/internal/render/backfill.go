package render

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/perdure-io/perdure/wire"
)

// BackfillStatus is a backfill's status in its colour; one that is paused says so.
func (s Style) BackfillStatus(status wire.BackfillStatus, paused bool) string {
	switch status {
	case wire.BackfillSucceeded:
		return s.paint(green, string(status))
	case wire.BackfillFailed, wire.BackfillBroken, wire.BackfillFailing:
		return s.paint(red, string(status))
	case wire.BackfillCanceled, wire.BackfillCanceling:
		return s.paint(yellow, string(status))
	case wire.BackfillRequested:
		if paused {
			return s.paint(yellow, string(status)+" (paused)")
		}
	}
	return s.paint(cyan, string(status))
}

// BackfillSum adds up what a backfill is for.
func BackfillSum(assets []wire.BackfillAsset) (all wire.BackfillAsset) {
	for _, one := range assets {
		all.Targeted += one.Targeted
		all.InProgress += one.InProgress
		all.Materialized += one.Materialized
		all.Failed += one.Failed
		all.Blocked += one.Blocked
		all.Skipped += one.Skipped
	}
	return all
}

// ended is how many partitions nothing more will come of.
func ended(of wire.BackfillAsset) int { return of.Materialized + of.Failed + of.Blocked + of.Skipped }

// BackfillCounts are partitions in one line: "61 of 90 partitions made, 3 running, 1 failed, 2 wait for what failed".
func BackfillCounts(of wire.BackfillAsset) string {
	parts := []string{fmt.Sprintf("%s of %s made", Number(int64(of.Materialized)), Count(of.Targeted, "partition"))}
	for _, kind := range []struct {
		n    int
		word string
	}{
		{of.InProgress, "running"},
		{of.Failed, "failed"},
		{of.Blocked, "left out (upstream failed)"},
		{of.Skipped, "skipped"},
	} {
		if kind.n > 0 {
			parts = append(parts, Number(int64(kind.n))+" "+kind.word)
		}
	}
	return strings.Join(parts, ", ")
}

// barWidth is how many characters a progress bar has.
const barWidth = 30

// Bar is a progress bar with its percentage, such as "  41% ████████████░░░░░░░░░░░░░░░░░░".
func Bar(done, total int) string {
	bar := progressbar.NewOptions(max(total, 1), progressbar.OptionSetWriter(io.Discard), progressbar.OptionSetWidth(barWidth),
		progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionSetRenderBlankState(true),
		progressbar.OptionSetTheme(progressbar.Theme{Saucer: "█", SaucerHead: "█", SaucerPadding: "░"}))
	// It writes nowhere, so nothing can fail.
	_ = bar.Set(min(done, total))
	return strings.TrimRight(strings.TrimPrefix(bar.String(), "\r"), " ")
}

// BackfillFrame is one picture of a backfill for a terminal of that height: a bar, rate and time left, the counts of each asset,
// and the first failures.
func (s Style) BackfillFrame(p wire.BackfillProgress, since time.Time, clock Clock, height int) []string {
	all := BackfillSum(p.Assets)
	lines := []string{
		strings.TrimRight(fmt.Sprintf("%s  %s  %s", s.BackfillStatus(p.Status, p.Paused), s.Bold(p.BackfillID), s.Faint(elapsed(since, clock))), " "),
		strings.TrimRight(fmt.Sprintf("  %s  %s", Bar(ended(all), all.Targeted), BackfillPace(p)), " "),
		"  " + BackfillCounts(all),
		"  " + BackfillRuns(p),
	}
	if p.Reason != "" {
		lines = append(lines, "  "+s.paint(yellow, OneLine(p.Reason)))
	}
	below := s.backfillAssets(p.Assets)
	for _, failure := range p.Failures {
		below = append(below, "  "+s.paint(red, "✗")+" "+backfillFailure(failure))
	}
	room := max(height-2-len(lines), 0)
	if hidden := len(below) - room; hidden > 0 && room > 0 {
		below = append(below[:room-1:room-1], s.Faint(fmt.Sprintf("    and %s not shown here", Count(hidden+1, "line"))))
	} else if room == 0 {
		below = nil
	}
	return append(lines, below...)
}

// backfillAssets are the counts of each asset, where there are several.
func (s Style) backfillAssets(assets []wire.BackfillAsset) []string {
	if len(assets) < 2 {
		return nil
	}
	width := 0
	for _, one := range assets {
		width = max(width, len(one.Asset))
	}
	lines := make([]string, len(assets))
	for i, one := range assets {
		lines[i] = fmt.Sprintf("  %s %-*s  %s", s.backfillMark(one), width, one.Asset, BackfillCounts(one))
	}
	return lines
}

func (s Style) backfillMark(of wire.BackfillAsset) string {
	switch {
	case of.Failed > 0 || of.Blocked > 0:
		return s.paint(red, "✗")
	case of.Materialized+of.Skipped == of.Targeted:
		return s.paint(green, "✓")
	case of.InProgress > 0:
		return s.paint(cyan, ">")
	}
	return s.paint(faint, "·")
}

// BackfillPace is the rate and what time is left: "12.3 runs a minute, 1 h 20 min left"; "" when neither is known.
func BackfillPace(p wire.BackfillProgress) string { return strings.Join(pace(p), ", ") }

// pace is the rate and what time is left.
func pace(p wire.BackfillProgress) []string {
	var parts []string
	if p.RunsPerMinute > 0 {
		parts = append(parts, fmt.Sprintf("%.3g runs a minute", p.RunsPerMinute))
	}
	if left, err := time.ParseDuration(p.TimeLeft); err == nil {
		parts = append(parts, Duration(left)+" left")
	}
	return parts
}

// BackfillRuns are the runs of a backfill in one line: "runs: 3 open of at most 20, 31 succeeded, 1 failed".
func BackfillRuns(p wire.BackfillProgress) string {
	text := fmt.Sprintf("runs: %s open of at most %d, %s succeeded", Number(int64(p.Runs.Open)), p.MaxConcurrentRuns, Number(int64(p.Runs.Succeeded)))
	if p.Runs.Failed > 0 {
		text += fmt.Sprintf(", %s failed", Number(int64(p.Runs.Failed)))
	}
	return text
}

func backfillFailure(failure wire.BackfillFailure) string {
	text := failure.RunID
	if failure.Partitions != "" {
		text += " [" + OneLine(failure.Partitions) + "]"
	}
	return text + "  " + OneLine(failure.Message)
}

func elapsed(since time.Time, clock Clock) string {
	if since.IsZero() {
		return ""
	}
	return Duration(clock.Now.Sub(since))
}

// BackfillLine is a backfill in one line, for a log: "12:59:55  REQUESTED  bf1  61 of 90 partitions made, 3 running".
func (s Style) BackfillLine(p wire.BackfillProgress, clock Clock) string {
	parts := append([]string{BackfillCounts(BackfillSum(p.Assets))}, pace(p)...)
	if p.Reason != "" {
		parts = append(parts, OneLine(p.Reason))
	}
	return fmt.Sprintf("%s  %s  %s  %s", clock.Now.In(clock.Zone).Format(time.TimeOnly), s.BackfillStatus(p.Status, p.Paused), p.BackfillID, strings.Join(parts, ", "))
}

// BackfillFailure is a failure in one line, for a log.
func (s Style) BackfillFailure(failure wire.BackfillFailure, clock Clock) string {
	return fmt.Sprintf("%s  %s  %s", clock.Now.In(clock.Zone).Format(time.TimeOnly), s.RunStatus(wire.RunFailure), backfillFailure(failure))
}

// BackfillTable is the counts of each asset.
func (s Style) BackfillTable(assets []wire.BackfillAsset) string {
	rows := make([][]string, len(assets))
	for i, one := range assets {
		rows[i] = []string{
			one.Asset, Number(int64(one.Targeted)), Number(int64(one.Materialized)), some(one.InProgress), some(one.Failed), some(one.Blocked), some(one.Skipped),
		}
	}
	return s.Table([]Column{
		{Title: "asset"},
		{Title: "targeted", Right: true},
		{Title: "made", Right: true},
		{Title: "running", Right: true},
		{Title: "failed", Right: true},
		{Title: "upstream failed", Right: true},
		{Title: "skipped", Right: true},
	}, rows)
}

// some is a number, "" for none.
func some(n int) string {
	if n == 0 {
		return ""
	}
	return Number(int64(n))
}

// BackfillFailures lists the first failures; "" when there are none.
func (s Style) BackfillFailures(failures []wire.BackfillFailure) string {
	var b strings.Builder
	for _, failure := range failures {
		heading := failure.RunID
		if failure.Partitions != "" {
			heading += " [" + OneLine(failure.Partitions) + "]"
		}
		fmt.Fprintf(&b, "\n%s\n%s\n", s.Red(heading), Indent(failure.Message, 2))
	}
	return b.String()
}
