package render

import (
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
)

// Painter repaints a block of lines on a terminal in place.
type Painter struct {
	// Out is a terminal that understands ANSI sequences.
	Out io.Writer
	// Size asks for the terminal's width and height in cells.
	Size func() (width, height int)

	drawn int // lines of the last frame
}

// Paint replaces the last frame. Lines are cut at the terminal's width, and frames at its height, for a wrapped or
// scrolled line could not be reached again.
func (p *Painter) Paint(lines []string) error {
	width, height := p.Size()
	lines = lines[:min(len(lines), max(height-1, 1))]
	var b strings.Builder
	b.WriteString(p.toTop())
	for _, line := range lines {
		b.WriteString(cut(line, width) + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	p.drawn = len(lines)
	_, err := io.WriteString(p.Out, b.String())
	return err
}

// Clear takes the last frame away.
func (p *Painter) Clear() error {
	_, err := io.WriteString(p.Out, p.toTop()+"\x1b[J")
	p.drawn = 0
	return err
}

func (p *Painter) toTop() string {
	if p.drawn == 0 {
		return ""
	}
	return strings.Repeat("\x1b[1A", p.drawn) + "\r"
}

func cut(line string, width int) string {
	if width <= 0 || text.StringWidthWithoutEscSequences(line) <= width {
		return line
	}
	return text.Trim(line, width-1) + "…"
}
