package definitions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/perdure-io/perdure/internal/step"
)

// LoggerOf is the handle of a log handler, for the option [Loggers] of jobs. Declare one with [Logger].
type LoggerOf struct{ def *resource }

// Logger declares a handler for what the steps of a job log, beside the worker's output and the run's recorded lines. It
// is opened like a resource, with other resources and one [Config] bound as it needs, once in a worker process for each
// config; at the end its Close is called, if it has one. Its records carry run, step and attempt. A handler that cannot
// be opened, or fails, fails no step: the worker's output says so.
//
// The run config sets its config under its name in the section "loggers", and there, as "level", what is logged at all:
// {"loggers":{"level":"warn","audit":{…}}}. Its name follows the rules of a resource's and is no resource's.
func Logger[H slog.Handler](name string, open Compute[H]) *LoggerOf {
	r := &resource{declared: declared{what: "logger", name: name, at: place(), faults: open.faultsOf()}, needs: open.needs}
	r.open = func(s *scope) (any, error) {
		handler, err := open.run(s)
		if err == nil && slog.Handler(handler) == nil {
			err = errors.New("its function returned nil without an error")
		}
		return slog.Handler(handler), err
	}
	r.shut = func(value any) error {
		if closer, ok := value.(io.Closer); ok {
			return closer.Close()
		}
		return nil
	}
	return &LoggerOf{r}
}

// Name is the logger's name.
func (l *LoggerOf) Name() string {
	if l == nil || l.def == nil {
		return ""
	}
	return l.def.name
}

func (l *LoggerOf) definitions() []*declaration {
	if l == nil || l.def == nil {
		return nil
	}
	return []*declaration{{logger: l.def}}
}

// Loggers attaches log handlers to a job, which brings them along: they are not listed themselves.
func Loggers(loggers ...*LoggerOf) JobOption { return jobLoggers(loggers) }

type jobLoggers []*LoggerOf

func (l jobLoggers) applyJob(j *Job) {
	for _, one := range l {
		switch {
		case one == nil || one.def == nil:
			j.wrong("loggers", "Loggers names a handle that was never declared", "declare it with Logger")
		case slices.Contains(j.control.loggers, one.def):
			j.wrong("loggers", fmt.Sprintf("it names the logger %q twice", one.def.name), "name it once")
		default:
			j.control.loggers = append(j.control.loggers, one.def)
		}
	}
}

// loggers checks the log handlers themselves.
func (v *validation) loggers() {
	for _, l := range v.definitions.loggers {
		v.resource(l)
		if l.name == step.LevelKey {
			v.add(l.problem("name", `"level" is where the run config says what is logged`, "choose another name"))
		}
	}
}

func (v *validation) jobLoggers(j *Job) {
	for _, l := range j.control.loggers {
		if !v.logging[l] {
			v.add(v.unlisted(&j.declared, "loggers", &l.declared))
		}
	}
}

// withLoggers adds the handlers of the run's job to what a step logs to.
func (r *Runtime) withLoggers(a *step.Attempt) *slog.Logger {
	j := r.jobs[a.Job]
	if j == nil || len(j.control.loggers) == 0 {
		return a.Log
	}
	own := []slog.Attr{slog.String("run", a.Run), slog.String("step", a.Step), slog.Int("attempt", a.Number)}
	handlers := []slog.Handler{a.Log.Handler()}
	for _, l := range j.control.loggers {
		configs := a.Plan.Resources
		if config, configured := a.Plan.Loggers[l.name]; configured {
			configs = map[string]json.RawMessage{l.name: config}
			maps.Copy(configs, a.Plan.Resources)
		}
		opened, err := r.pool.get(a.Context, l, configs)
		if err != nil {
			a.Log.Warn("a log handler does not open, and gets nothing of this attempt", "logger", l.name, "error", err)
			continue
		}
		handler, _ := opened.(slog.Handler) // Logger has made it one
		handler = &guardedHandler{Handler: handler.WithAttrs(own), name: l.name, to: a.Log, once: new(sync.Once)}
		if config, given := a.Plan.Loggers[step.LevelKey]; given {
			if level, err := step.ParseLevel(config); err == nil { // the attempt has read it before
				handler = step.AtLevel(handler, level)
			}
		}
		handlers = append(handlers, handler)
	}
	return slog.New(slog.NewMultiHandler(handlers...))
}

// guardedHandler keeps a handler that panics or fails from the step, and says so once.
type guardedHandler struct {
	slog.Handler
	name string
	to   *slog.Logger
	once *sync.Once
}

func (h *guardedHandler) Handle(ctx context.Context, record slog.Record) error {
	if err := guarded(func() error { return h.Handler.Handle(ctx, record) }); err != nil {
		h.once.Do(func() {
			h.to.Warn("a log handler failed, and may lack lines of this attempt", "logger", h.name, "error", err)
		})
	}
	return nil
}

func (h *guardedHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &guardedHandler{h.Handler.WithAttrs(attrs), h.name, h.to, h.once}
}

func (h *guardedHandler) WithGroup(name string) slog.Handler {
	return &guardedHandler{h.Handler.WithGroup(name), h.name, h.to, h.once}
}
