package render

import (
	"strings"
	"unicode"

	"github.com/perdure-io/perdure/wire"
)

// Style colours text. The zero value leaves it plain.
type Style struct {
	// Color turns colours on.
	Color bool
}

// SGR codes of terminals.
const (
	bold   = "1"
	faint  = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (s Style) paint(code, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Bold is for what the eye should find first.
func (s Style) Bold(text string) string { return s.paint(bold, text) }

// Faint is for what only explains.
func (s Style) Faint(text string) string { return s.paint(faint, text) }

// Red is for what went wrong.
func (s Style) Red(text string) string { return s.paint(red, text) }

// Green is for what went well.
func (s Style) Green(text string) string { return s.paint(green, text) }

// RunStatus is a run's status in its colour.
func (s Style) RunStatus(status wire.RunStatus) string {
	switch status {
	case wire.RunSuccess:
		return s.paint(green, string(status))
	case wire.RunFailure:
		return s.paint(red, string(status))
	case wire.RunCanceled, wire.RunCanceling:
		return s.paint(yellow, string(status))
	default:
		return s.paint(cyan, string(status))
	}
}

// StepStatus is a step's status in its colour.
func (s Style) StepStatus(status wire.StepStatus) string {
	return s.paint(stepColor(status), string(status))
}

func stepColor(status wire.StepStatus) string {
	switch status {
	case wire.StepSuccess:
		return green
	case wire.StepFailed:
		return red
	case wire.StepRunning:
		return cyan
	case wire.StepCanceled, wire.StepUpstreamFailed:
		return yellow
	default:
		return faint
	}
}

// OneLine makes text from anywhere fit a cell: its first line, without control characters, which could move the
// terminal's cursor.
func OneLine(text string) string {
	line, _, more := strings.Cut(strings.TrimSpace(text), "\n")
	line = printable(line)
	if more {
		line += " …"
	}
	return line
}

// printable drops control characters but tabs and line ends.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, text)
}

// Indent puts spaces before each line of text that others wrote.
func Indent(text string, by int) string {
	prefix := strings.Repeat(" ", by)
	return prefix + strings.ReplaceAll(printable(strings.TrimRight(text, "\n")), "\n", "\n"+prefix)
}
