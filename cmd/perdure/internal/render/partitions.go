package render

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/perdure-io/perdure/partition"
)

// PartitionsView is where the partitions of an asset stand. The subsets are of Set, and those in the first line have no partition in
// common; what is in none of them is missing.
type PartitionsView struct {
	Set                                           *partition.Set
	Running, Failed, UpstreamFailed, Materialized partition.Subset
	// LastFailed are those of Materialized whose last attempt failed, Stale those whose code or inputs are no longer the current ones.
	LastFailed, Stale partition.Subset
}

// Missing is how many partitions nobody has made.
func (v PartitionsView) Missing() int {
	return v.Set.Count() - v.Running.Count() - v.Failed.Count() - v.UpstreamFailed.Count() - v.Materialized.Count()
}

// cellState is what a character of a strip says. They are in the order in which the worst of several partitions is shown.
type cellState int

const (
	cellFailed cellState = iota
	cellRunning
	cellUpstreamFailed
	cellLastFailed
	cellPartly
	cellStale
	cellMaterialized
	cellMissing
)

var cellKinds = [...]struct{ mark, color, meaning string }{
	cellFailed:         {"x", red, "failed"},
	cellRunning:        {">", cyan, "running"},
	cellUpstreamFailed: {"u", yellow, "upstream failed"},
	cellLastFailed:     {"!", yellow, "materialized, last attempt failed"},
	cellPartly:         {"▄", green, "some missing"},
	cellStale:          {"~", yellow, "stale"},
	cellMaterialized:   {"█", green, "materialized"},
	cellMissing:        {"·", faint, "missing"},
}

// PartitionCounts says how many partitions stand where: "90 partitions: 80 materialized (1 stale), 2 failed, 8 missing".
func (s Style) PartitionCounts(v PartitionsView) string {
	text := Count(v.Set.Count(), "partition")
	var parts []string
	for _, part := range []struct {
		n     int
		state cellState
	}{
		{v.Materialized.Count(), cellMaterialized},
		{v.Running.Count(), cellRunning},
		{v.Failed.Count(), cellFailed},
		{v.UpstreamFailed.Count(), cellUpstreamFailed},
		{v.Missing(), cellMissing},
	} {
		if part.n == 0 {
			continue
		}
		kind := cellKinds[part.state]
		word := s.paint(kind.color, Number(int64(part.n))+" "+kind.meaning)
		if part.state == cellMaterialized {
			word += v.besides()
		}
		parts = append(parts, word)
	}
	if len(parts) == 0 {
		return text
	}
	return text + ": " + strings.Join(parts, ", ")
}

// besides is what is to be said of materialized partitions.
func (v PartitionsView) besides() string {
	var parts []string
	if n := v.Stale.Count(); n > 0 {
		parts = append(parts, Number(int64(n))+" stale")
	}
	if n := v.LastFailed.Count(); n > 0 {
		parts = append(parts, Number(int64(n))+" whose last attempt failed")
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

const (
	// mostRows is how many lines a strip has at most, mostLines how many a matrix, mostCells how many characters a line.
	mostRows, mostLines, mostCells = 12, 30, 100
	// groupCells is how many characters stand together; gaps make them countable.
	groupCells = 10
	// widestLabel bounds the keys beside a strip.
	widestLabel = 24
)

// PartitionStrip shows the partitions in the order of their set, one character for each or, when there are too many, for
// several; of a grid as a matrix. A key at the beginning of a line is that of its first partition. "" when there are none.
func (s Style) PartitionStrip(v PartitionsView, width int) string {
	if v.Set.Count() == 0 {
		return ""
	}
	var lines []string
	if sides, names := v.Set.Dimensions(); len(sides) == 2 {
		lines = s.matrix(v, sides, names, width)
	} else {
		lines = s.strip(v, width)
	}
	return strings.Join(lines, "\n") + "\n"
}

func (s Style) strip(v PartitionsView, width int) []string {
	n := v.Set.Count()
	label := labels(v.Set)
	labelWidth := max(utf8.RuneCountInString(label(0)), utf8.RuneCountInString(label(n-1)))
	cells := cellsIn(width - labelWidth - 2)
	g := grid{rows: 1, columns: n, inner: n, perRow: 1, perColumn: roundUp(divideUp(n, cells*mostRows))}
	shown := map[cellState]bool{}
	var lines []string
	for line := range slices.Chunk(g.tally(v)[0], cells) {
		first := label(len(lines) * cells * g.perColumn)
		lines = append(lines, pad(first, labelWidth)+"  "+s.marks(line, shown))
	}
	if n > 1 {
		lines[len(lines)-1] += "  " + s.Faint("to "+label(n-1))
	}
	return append(lines, "", s.legend(shown, g))
}

// matrix has the dimension with fewer keys as lines.
func (s Style) matrix(v PartitionsView, sides []*partition.Set, names []string, width int) []string {
	down, across := 0, 1
	if sides[0].Count() > sides[1].Count() {
		down, across = 1, 0
	}
	g := grid{rows: sides[down].Count(), columns: sides[across].Count(), inner: sides[1].Count(), transposed: down == 1}
	g.perRow = roundUp(divideUp(g.rows, mostLines))
	label, labelWidth := labels(sides[down]), utf8.RuneCountInString(names[down])
	for row := 0; row < g.rows; row += g.perRow {
		labelWidth = max(labelWidth, utf8.RuneCountInString(label(row)))
	}
	cells := cellsIn(width - labelWidth - 2)
	g.perColumn = roundUp(divideUp(g.columns, cells))
	head, top := "", labels(sides[across])
	for at := 0; at*g.perColumn < g.columns; at += groupCells {
		if start := at + at/groupCells; head == "" || utf8.RuneCountInString(head)+2 <= start {
			head = pad(head, start) + top(at*g.perColumn)
		}
	}
	lines := []string{s.Faint(pad(names[down], labelWidth) + "  " + head + "  (" + names[across] + ")")}
	shown := map[cellState]bool{}
	for i, row := range g.tally(v) {
		lines = append(lines, pad(label(i*g.perRow), labelWidth)+"  "+s.marks(row, shown))
	}
	return append(lines, "", s.legend(shown, g))
}

// labels gives the key at a position, cut to the room that there is for it.
func labels(set *partition.Set) func(position int) string {
	all := set.All()
	return func(position int) string {
		key, _ := all.Nth(position)
		return cut(OneLine(key), widestLabel)
	}
}

func divideUp(n, by int) int { return max((n+by-1)/by, 1) }

// cellsIn is how many characters fit into a width with a gap after each group.
func cellsIn(width int) int {
	groups := max((width+1)/(groupCells+1), 1)
	return min(groups*groupCells, mostCells)
}

// roundUp is the next of 1, 2, 5, 10, 20, 50, ….
func roundUp(n int) int {
	for step := 1; ; step *= 10 {
		for _, nice := range []int{step, 2 * step, 5 * step} {
			if nice >= n {
				return nice
			}
		}
	}
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(width-utf8.RuneCountInString(text), 0))
}

// grid is how positions in a set are laid out: in one row, or those of a grid in rows and columns, or the reverse.
type grid struct {
	rows, columns int
	// inner is how many positions the set's second dimension has; transposed makes it the rows.
	inner      int
	transposed bool
	// perRow and perColumn are how many of each are one character.
	perRow, perColumn int
}

// cell is how many partitions of each state are under one character; at cellMissing stands how many there are in all.
type cell [len(cellKinds)]int

// tally counts the partitions under each character.
func (g grid) tally(v PartitionsView) [][]cell {
	cells := make([][]cell, (g.rows+g.perRow-1)/g.perRow)
	for i := range cells {
		cells[i] = make([]cell, (g.columns+g.perColumn-1)/g.perColumn)
	}
	g.add(cells, cellMissing, v.Set.All())
	g.add(cells, cellMaterialized, v.Materialized)
	g.add(cells, cellStale, v.Stale)
	g.add(cells, cellLastFailed, v.LastFailed)
	g.add(cells, cellUpstreamFailed, v.UpstreamFailed)
	g.add(cells, cellRunning, v.Running)
	g.add(cells, cellFailed, v.Failed)
	return cells
}

func (g grid) add(cells [][]cell, state cellState, subset partition.Subset) {
	for span := range subset.Ranges() {
		// The keys are of the set, so they have a position.
		first, _ := subset.Set().Position(span.First)
		last, _ := subset.Set().Position(span.Last)
		top, left, bottom, right := first/g.inner, first%g.inner, last/g.inner, last%g.inner
		if g.transposed {
			top, left, bottom, right = left, top, right, bottom
		}
		for i := top / g.perRow; i <= bottom/g.perRow; i++ {
			height := min(bottom, (i+1)*g.perRow-1) - max(top, i*g.perRow) + 1
			for j := left / g.perColumn; j <= right/g.perColumn; j++ {
				width := min(right, (j+1)*g.perColumn-1) - max(left, j*g.perColumn) + 1
				cells[i][j][state] += height * width
			}
		}
	}
}

// state is what the character shows: the worst, and else whether all are there.
func (c cell) state() cellState {
	for _, worst := range []cellState{cellFailed, cellRunning, cellUpstreamFailed, cellLastFailed} {
		if c[worst] > 0 {
			return worst
		}
	}
	switch {
	case c[cellMaterialized] == 0:
		return cellMissing
	case c[cellMaterialized] < c[cellMissing]:
		return cellPartly
	case c[cellStale] > 0:
		return cellStale
	}
	return cellMaterialized
}

// marks draws a line of cells, in groups, and notes which states are in it.
func (s Style) marks(line []cell, shown map[cellState]bool) string {
	var b strings.Builder
	for i := 0; i < len(line); {
		state, end := line[i].state(), i+1
		for end < len(line) && end%groupCells != 0 && line[end].state() == state {
			end++
		}
		shown[state] = true
		if i > 0 && i%groupCells == 0 {
			b.WriteByte(' ')
		}
		b.WriteString(s.paint(cellKinds[state].color, strings.Repeat(cellKinds[state].mark, end-i)))
		i = end
	}
	return b.String()
}

// legend explains the characters that were drawn.
func (s Style) legend(shown map[cellState]bool, g grid) string {
	var parts []string
	for state, kind := range cellKinds {
		if shown[cellState(state)] {
			parts = append(parts, s.paint(kind.color, kind.mark)+" "+kind.meaning)
		}
	}
	text := strings.Join(parts, "   ")
	if per := g.perRow * g.perColumn; per > 1 {
		text += fmt.Sprintf("\neach character is %s, and shows the worst of them", Count(per, "partition"))
	}
	return text
}
