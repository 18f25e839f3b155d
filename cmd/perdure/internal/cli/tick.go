package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// runsSince is since when a schedule or sensor has been running; "" while it is stopped.
func runsSince(clock render.Clock, row metadata.Trigger) string {
	if row.Status != wire.TriggerRunning {
		return ""
	}
	return clock.Moment(row.Since)
}

// tickTable prints ticks; named says of which schedule or sensor each is.
func (a *app) tickTable(ticks []metadata.Tick, named, log bool) string {
	style, clock := a.style(), a.clock()
	columns := []render.Column{{Title: "tick"}, {Title: "status"}, {Title: "evaluated"}, {Title: "what"}}
	if named {
		columns = append([]render.Column{{Title: string(ticks[0].Kind)}}, columns...)
	}
	lines := make([][]string, len(ticks))
	for i, tick := range ticks {
		what := tickName(tick)
		if tick.Manual {
			what += " (by hand)"
		}
		lines[i] = []string{what, tickStatus(style, tick.Status), clock.Moment(tick.StartedAt), tickSays(tick)}
		if named {
			lines[i] = append([]string{tick.Name}, lines[i]...)
		}
	}
	text := style.Table(columns, lines)
	if !log {
		return text
	}
	for _, tick := range ticks {
		text += a.tickLog(tick)
	}
	return text
}

// tickName is what a tick is called: that of a schedule by its nominal time, that of a sensor by its number.
func tickName(tick metadata.Tick) string {
	if tick.Kind == wire.TriggerSensor {
		return strconv.FormatInt(tick.ID, 10)
	}
	return tick.Key
}

// tickLog prints the runs of a tick that has several or could not start one, why it failed, and what it logged.
func (a *app) tickLog(tick metadata.Tick) string {
	style := a.style()
	var b strings.Builder
	for _, run := range tick.Runs {
		said := run.Request.Partition
		switch {
		case run.Error != "":
			said = style.Red(run.Error)
		case run.Known:
			said = "had been asked for before"
		case len(tick.Runs) == 1:
			continue // the table has it
		}
		b.WriteString(render.Indent(strings.TrimSpace(run.RunID+" "+said), 2) + "\n")
	}
	if tick.Error != nil {
		b.WriteString(render.Indent(style.Red(tick.Error.Message), 2) + "\n")
		if tick.Error.Stack != "" {
			b.WriteString(render.Indent(style.Faint(strings.TrimSpace(tick.Error.Stack)), 4) + "\n")
		}
	}
	for _, line := range tick.Log {
		b.WriteString(render.Indent(strings.TrimSpace(fmt.Sprintf("%s %-5s %s %s", line.At, line.Level, line.Message, line.Attributes)), 2) + "\n")
	}
	if b.Len() == 0 {
		return ""
	}
	return "\n" + style.Bold(tick.Name+" "+tickName(tick)) + "\n" + b.String()
}
