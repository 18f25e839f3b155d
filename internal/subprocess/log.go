package subprocess

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"

	"github.com/perdure-io/perdure/internal/step"
)

// sender is a slog.Handler that sends records to the worker.
type sender struct {
	level slog.Level
	send  func(answer)
	// with are the groups and attributes so far.
	with []func(slog.Handler) slog.Handler
}

// Enabled says whether the worker would drop it.
func (s *sender) Enabled(_ context.Context, level slog.Level) bool { return level >= s.level }

// WithAttrs is as slog.Handler says.
func (s *sender) WithAttrs(attrs []slog.Attr) slog.Handler {
	return s.and(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup is as slog.Handler says.
func (s *sender) WithGroup(name string) slog.Handler {
	return s.and(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (s *sender) and(with func(slog.Handler) slog.Handler) slog.Handler {
	return &sender{level: s.level, send: s.send, with: append(append([]func(slog.Handler) slog.Handler{}, s.with...), with)}
}

// Handle sends the attributes as slog's JSON has them.
func (s *sender) Handle(ctx context.Context, r slog.Record) error {
	var text bytes.Buffer
	handler := slog.Handler(slog.NewJSONHandler(&text, &slog.HandlerOptions{Level: r.Level, ReplaceAttr: onlyAttributes}))
	for _, with := range s.with {
		handler = with(handler)
	}
	if err := handler.Handle(ctx, r); err != nil {
		return err
	}
	s.send(answer{Log: &record{Time: r.Time, Level: r.Level, Message: r.Message, Attributes: bytes.TrimSpace(text.Bytes())}})
	return nil
}

// onlyAttributes leaves out what a record has as its own. A user's attribute of the same name is of another type.
func onlyAttributes(groups []string, attr slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return attr
	}
	_, isLevel := attr.Value.Any().(slog.Level)
	if attr.Key == slog.TimeKey && attr.Value.Kind() == slog.KindTime || attr.Key == slog.LevelKey && isLevel || attr.Key == slog.MessageKey {
		return slog.Attr{}
	}
	return attr
}

// write logs a record of the child to the attempt's log.
func (r *record) write(a *step.Attempt) {
	handler := a.Log.Handler()
	if !handler.Enabled(a, r.Level) {
		return
	}
	again := slog.NewRecord(r.Time, r.Level, r.Message, 0)
	decoder := json.NewDecoder(bytes.NewReader(r.Attributes))
	if opened, err := decoder.Token(); err == nil && opened == json.Delim('{') {
		for decoder.More() {
			key, err := decoder.Token()
			var value any
			if err == nil {
				err = decoder.Decode(&value)
			}
			if err != nil {
				break // what is left is no attribute
			}
			name, _ := key.(string)
			again.AddAttrs(slog.Any(name, value))
		}
	}
	_ = handler.Handle(a, again) // as slog.Logger does
}
