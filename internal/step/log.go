package step

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure-io/perdure/plan"
)

// Execution names one attempt at a step, for what it logs and prints.
type Execution struct {
	Run, Step string
	// Attempt counts failures of the user's function, from 1; of two executions of one attempt the later has the greater Token.
	Attempt int
	Token   int64
}

// Lines takes what steps log, to be recorded. It may be called from several goroutines, and does not make them wait for
// its store.
type Lines interface {
	Log(of Execution, line Line)
}

// Line is one log record.
type Line struct {
	// Number counts the lines of an execution, from 1.
	Number  int64
	At      time.Time
	Level   slog.Level
	Message string
	// Attributes is an object.
	Attributes json.RawMessage
}

// Printer takes what steps print.
type Printer interface {
	// Begin is called when a step prints for the first time.
	Begin(of Execution) Prints
}

// Prints is what one execution prints. Its writers may be called from several goroutines.
type Prints interface {
	Stdout() io.Writer
	Stderr() io.Writer
	// Close is called once the execution has ended.
	Close(context.Context) error
}

const (
	// maxMessage and maxAttributes bound a recorded line, in bytes: more is cut, and left out.
	maxMessage    = 32 << 10
	maxAttributes = 64 << 10
	// LevelKey is the key in a step's Loggers that holds the level of the run's lines, as a JSON string.
	LevelKey = plan.LevelKey
)

// ParseLevel reads the level of a run's config: "debug", "info", "warn" or "error".
func ParseLevel(config json.RawMessage) (slog.Level, error) {
	var text string
	var level slog.Level
	if err := json.Unmarshal(config, &text); err != nil {
		return 0, fmt.Errorf("the log level is %s: %w", config, err)
	}
	if err := level.UnmarshalText([]byte(text)); err != nil {
		return 0, fmt.Errorf(`the log level is %q: use "debug", "info", "warn" or "error"`, text)
	}
	return level, nil
}

// logger is what the function logs to: the worker's output and the recorded lines, from the level of the run on.
func (e *execution) logger(claimed *Attempt) (*slog.Logger, error) {
	level, handlers := e.runner.Level, []slog.Handler{e.log.With("attempt", claimed.Number).Handler()}
	config, given := claimed.Plan.Loggers[LevelKey]
	if given {
		var err error
		if level, err = ParseLevel(config); err != nil {
			return nil, err
		}
	}
	if e.runner.Lines != nil {
		handlers = append(handlers, AtLevel(Recorder(e.runner.Lines, claimed.execution()), level))
	}
	handler := slog.Handler(slog.NewMultiHandler(handlers...))
	if given {
		handler = AtLevel(handler, level)
	}
	return slog.New(handler), nil
}

func (a *Attempt) execution() Execution {
	return Execution{Run: a.Run, Step: a.Step, Attempt: a.Number, Token: a.Token}
}

// AtLevel drops what is below a level.
func AtLevel(handler slog.Handler, level slog.Level) slog.Handler { return &atLevel{handler, level} }

type atLevel struct {
	slog.Handler
	level slog.Level
}

func (h *atLevel) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.level && h.Handler.Enabled(ctx, level)
}

func (h *atLevel) WithAttrs(attrs []slog.Attr) slog.Handler {
	return AtLevel(h.Handler.WithAttrs(attrs), h.level)
}

func (h *atLevel) WithGroup(name string) slog.Handler {
	return AtLevel(h.Handler.WithGroup(name), h.level)
}

// Recorder makes lines of log records, whatever their level. It counts from 1: make one for an execution.
func Recorder(lines Lines, of Execution) slog.Handler {
	return &recorder{lines: lines, of: of, count: new(atomic.Int64)}
}

// recorder makes lines of records.
type recorder struct {
	lines Lines
	of    Execution
	count *atomic.Int64
	// with are the groups and attributes so far.
	with []func(slog.Handler) slog.Handler
}

// Enabled lets all pass.
func (r *recorder) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs is as slog.Handler says.
func (r *recorder) WithAttrs(attrs []slog.Attr) slog.Handler {
	return r.and(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup is as slog.Handler says.
func (r *recorder) WithGroup(name string) slog.Handler {
	return r.and(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (r *recorder) and(with func(slog.Handler) slog.Handler) slog.Handler {
	copied := *r
	copied.with = append(append([]func(slog.Handler) slog.Handler{}, r.with...), with)
	return &copied
}

// Handle writes the attributes as slog's JSON does.
func (r *recorder) Handle(ctx context.Context, record slog.Record) error {
	line := Line{Number: r.count.Add(1), At: record.Time, Level: record.Level, Message: record.Message}
	if line.At.IsZero() {
		line.At = time.Now()
	}
	if len(line.Message) > maxMessage {
		line.Message = strings.ToValidUTF8(line.Message[:maxMessage], "") + "…"
	}
	var text bytes.Buffer
	handler := slog.Handler(slog.NewJSONHandler(&text, &slog.HandlerOptions{Level: record.Level, ReplaceAttr: onlyAttributes}))
	for _, with := range r.with {
		handler = with(handler)
	}
	if err := handler.Handle(ctx, record); err != nil {
		return err
	}
	line.Attributes = bytes.TrimSpace(text.Bytes())
	if size := len(line.Attributes); size > maxAttributes {
		line.Attributes = fmt.Appendf(nil, `{"perdure_dropped_bytes":%d}`, size)
	}
	r.lines.Log(r.of, line)
	return nil
}

// onlyAttributes leaves out what a line has as its own. A user's attribute of the same name is of another type.
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

// prints are what one execution prints, from when it prints first.
type prints struct {
	mutex   sync.Mutex
	printer Printer
	of      Execution
	begun   Prints
	ended   bool
}

// Stdout takes what the step prints. It is the process's own where nobody takes it.
func (a *Attempt) Stdout() io.Writer {
	if begun := a.prints.begin(); begun != nil {
		return begun.Stdout()
	}
	return os.Stdout
}

// Stderr is like Stdout.
func (a *Attempt) Stderr() io.Writer {
	if begun := a.prints.begin(); begun != nil {
		return begun.Stderr()
	}
	return os.Stderr
}

func (p *prints) begin() Prints {
	if p == nil || p.printer == nil {
		return nil
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.begun == nil && !p.ended {
		p.begun = p.printer.Begin(p.of)
	}
	return p.begun
}

func (p *prints) close(ctx context.Context) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.ended = true
	if p.begun == nil {
		return nil
	}
	return p.begun.Close(ctx)
}
