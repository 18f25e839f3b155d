package activities

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/perdure-io/perdure/wire"
)

const (
	// mostTickLines is how many lines of an evaluation are kept, mostTickText how many bytes of them.
	mostTickLines = 500
	mostTickText  = 64 << 10
)

// tickLog keeps what an evaluation logs, for the tick's record.
type tickLog struct {
	level  slog.Level
	kept   *keptLines
	groups []string
	attrs  []slog.Attr
}

type keptLines struct {
	mu      sync.Mutex
	lines   []wire.TickLine
	bytes   int
	dropped int
}

func newTickLog(level slog.Level) *tickLog { return &tickLog{level: level, kept: &keptLines{}} }

// Enabled is slog.Handler's.
func (l *tickLog) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level }

// Handle is slog.Handler's.
func (l *tickLog) Handle(_ context.Context, record slog.Record) error {
	line := wire.TickLine{At: record.Time.UTC().Format(time.RFC3339Nano), Level: record.Level.String(), Message: storable(record.Message)}
	attributes := map[string]any{}
	into := attributes
	for _, attr := range l.attrs {
		put(attributes, attr)
	}
	for _, group := range l.groups {
		nested, _ := into[group].(map[string]any)
		if nested == nil {
			nested = map[string]any{}
			into[group] = nested
		}
		into = nested
	}
	record.Attrs(func(attr slog.Attr) bool {
		put(into, attr)
		return true
	})
	if len(attributes) > 0 {
		data, err := json.Marshal(attributes)
		if err == nil && len(data) <= maxText {
			line.Attributes = data
		}
	}
	l.kept.add(line)
	return nil
}

func put(into map[string]any, attr slog.Attr) {
	value := attr.Value.Resolve()
	switch {
	case attr.Equal(slog.Attr{}):
	case value.Kind() == slog.KindGroup:
		nested := into
		if attr.Key != "" {
			nested = map[string]any{}
			into[attr.Key] = nested
		}
		for _, inner := range value.Group() {
			put(nested, inner)
		}
	case value.Kind() == slog.KindDuration, value.Kind() == slog.KindTime:
		into[attr.Key] = value.String()
	default:
		if err, ok := value.Any().(error); ok {
			into[attr.Key] = err.Error()
			return
		}
		into[attr.Key] = value.Any()
	}
}

// WithAttrs is slog.Handler's.
func (l *tickLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *l
	for _, group := range slices.Backward(l.groups) {
		attrs = []slog.Attr{{Key: group, Value: slog.GroupValue(attrs...)}}
	}
	with.attrs = append(slices.Clip(l.attrs), attrs...)
	return &with
}

// WithGroup is slog.Handler's.
func (l *tickLog) WithGroup(name string) slog.Handler {
	if name == "" {
		return l
	}
	with := *l
	with.groups = append(slices.Clip(l.groups), name)
	return &with
}

func (k *keptLines) add(line wire.TickLine) {
	k.mu.Lock()
	defer k.mu.Unlock()
	size := len(line.Message) + len(line.Attributes)
	if len(k.lines) >= mostTickLines || k.bytes+size > mostTickText {
		k.dropped++
		return
	}
	k.lines, k.bytes = append(k.lines, line), k.bytes+size
}

// Lines are what was logged, and a last one that says what was left out.
func (l *tickLog) Lines() []wire.TickLine {
	l.kept.mu.Lock()
	defer l.kept.mu.Unlock()
	lines := append([]wire.TickLine(nil), l.kept.lines...)
	if l.kept.dropped > 0 {
		last := wire.TickLine{At: lines[len(lines)-1].At, Level: slog.LevelWarn.String(), Message: "more lines were logged than a tick keeps"}
		last.Attributes, _ = json.Marshal(map[string]int{"dropped": l.kept.dropped}) // a map of numbers can always be encoded
		lines = append(lines, last)
	}
	return lines
}
