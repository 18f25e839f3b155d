package subprocess

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"sync"
)

// marked passes on what is written, but for a mark that says that everything before it has been seen.
type marked struct {
	mutex sync.Mutex
	to    io.Writer
	mark  []byte
	// held is the end of what was written, when it may be the beginning of the mark.
	held []byte
	seen chan struct{}
	once sync.Once
}

func newMarked(to io.Writer, mark []byte) *marked {
	return &marked{to: to, mark: mark, seen: make(chan struct{})}
}

func (m *marked) Write(data []byte) (int, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	text := slices.Concat(m.held, data)
	m.held = nil
	if before, after, found := bytes.Cut(text, m.mark); found {
		_, err := m.to.Write(slices.Concat(before, after))
		m.once.Do(func() { close(m.seen) })
		return len(data), err
	}
	for n := min(len(m.mark)-1, len(text)); n > 0; n-- {
		if bytes.HasSuffix(text, m.mark[:n]) {
			text, m.held = text[:len(text)-n], slices.Clone(text[len(text)-n:])
			break
		}
	}
	_, err := m.to.Write(text)
	return len(data), err
}

// flush passes on what turned out to be no mark.
func (m *marked) flush() {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if len(m.held) > 0 {
		_, _ = m.to.Write(m.held) // whoever takes it was told of its errors
		m.held = nil
	}
}

const (
	// keptTail is how much of standard error is kept for an error, shownLines how much of that is shown.
	keptTail   = 64 << 10
	shownLines = 20
)

// tail keeps the end of a text.
type tail struct {
	mutex sync.Mutex
	kept  []byte
}

func (t *tail) Write(data []byte) (int, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.kept = append(t.kept, data...)
	if len(t.kept) > 2*keptTail {
		t.kept = slices.Clone(t.kept[len(t.kept)-keptTail:])
	}
	return len(data), nil
}

// end are the last lines, or, of a Go program that crashed, the first ones of what it says of that.
func (t *tail) end() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(t.kept), "\uFFFD")), "\n")
	for i, line := range slices.Backward(lines) {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.HasPrefix(line, "SIG") {
			return strings.Join(lines[i:min(len(lines), i+shownLines)], "\n")
		}
	}
	return strings.Join(lines[max(0, len(lines)-shownLines):], "\n")
}
