package definitions

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/perdure-io/perdure/internal/pipes"
	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/wire"
)

// The types of the events that a program reports.
const (
	eventCheck  = "ASSET_CHECK_EVALUATION"
	eventCustom = "CUSTOM_MESSAGE"
)

// pipesContext is what a program is told of its step.
func pipesContext(s *scope, extras map[string]any) pipes.Context {
	a := s.attempt
	about := pipes.Context{RunID: a.Run, RetryNumber: a.Number - 1, Extras: extras}
	if a.Job != "" {
		about.JobName = &a.Job
	}
	for _, output := range a.Plan.Outputs {
		if about.AssetKeys == nil {
			about.CodeVersionByAssetKey = map[string]*string{}
			about.ProvenanceByAssetKey = map[string]*pipes.Provenance{}
		}
		about.AssetKeys = append(about.AssetKeys, output.Asset)
		about.CodeVersionByAssetKey[output.Asset] = nil
		if version := output.CodeVersion; version != "" {
			about.CodeVersionByAssetKey[output.Asset] = &version
		}
		about.ProvenanceByAssetKey[output.Asset] = nil
	}
	if partition := a.Plan.Partition; partition != "" {
		about.PartitionKey = &partition
		about.PartitionKeyRange = &pipes.Range{Start: partition, End: partition}
	}
	if partitions := a.Plan.Partitions; len(partitions) > 0 {
		about.PartitionKeyRange = &pipes.Range{Start: partitions[0], End: partitions[len(partitions)-1]}
	}
	about.PartitionTimeWindow = s.pipesWindow()
	return about
}

// pipesWindow is the span of time of the step's partitions; nil where they have none.
func (s *scope) pipesWindow() *pipes.Range {
	keys, own := s.stepKeys(), s.runtime.definitions.partitionsOf(s.compute)
	if len(keys) == 0 || own == nil {
		return nil
	}
	window, err := own.window(keys)
	if err != nil {
		return nil
	}
	return &pipes.Range{Start: window.Start.Format(time.RFC3339), End: window.End.Format(time.RFC3339)}
}

// reports is what a program has reported.
type reports struct {
	attempt *step.Attempt
	log     *slog.Logger
	keys    []string
	opened  bool
	closed  bool
	// exception is what it closed with; made what it said of assets, by key.
	exception *pipes.Exception
	made      map[string]made
	// keepOwn leaves what it said of each asset to the outputs.
	keepOwn bool
}

// made is what a program said of an asset that it made.
type made struct {
	metadata []wire.Metadatum
	version  string
}

func newReports(s *scope) *reports {
	return &reports{
		attempt: s.attempt, log: s.context.Log(), keys: s.attempt.Requested(), made: map[string]made{},
		keepOwn: s.compute.multi,
	}
}

// take takes one message.
func (r *reports) take(m *pipes.Message) error {
	switch m.Method {
	case pipes.MethodOpened:
		r.opened = true
	case pipes.MethodClosed:
		r.closed, r.exception = true, m.Closed
	case pipes.MethodLog:
		r.log.Log(r.attempt, levelOf(m.Log.Level), m.Log.Message) //nolint:sloglint // the message is the program's
	case pipes.MethodMaterialization:
		return r.materialized(m.Materialization)
	case pipes.MethodCheck:
		return r.checked(m.Check)
	case pipes.MethodCustom:
		return r.event(wire.StepEvent{Type: eventCustom}, map[string]any{"payload": m.Custom})
	case pipes.MethodStream:
		to := r.attempt.Stdout()
		if m.Stream.Stream == "stderr" {
			to = r.attempt.Stderr()
		}
		_, err := io.WriteString(to, m.Stream.Text)
		return err
	}
	return nil
}

// levelOf is a level of Python's logging; one that a program has made for itself counts as INFO.
func levelOf(level string) slog.Level {
	switch level {
	case "DEBUG":
		return slog.LevelDebug
	case "WARNING":
		return slog.LevelWarn
	case "ERROR", "CRITICAL":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// key finds the asset that a message is about.
func (r *reports) key(method pipes.Method, given string) (string, error) {
	switch {
	case len(r.keys) == 0 && given == "":
		return "", fmt.Errorf("%s is about an asset, and this step makes none", method)
	case len(r.keys) == 0:
		return "", fmt.Errorf("%s is about asset %q, and this step makes no asset", method, given)
	case given == "" && len(r.keys) > 1:
		return "", fmt.Errorf("%s names no asset, and this step makes several: name %s", method, list(r.keys))
	case given == "":
		return r.keys[0], nil
	case !slices.Contains(r.keys, given):
		return "", fmt.Errorf("%s is about asset %q, which this step does not make: it makes %s", method, given, list(r.keys))
	}
	return given, nil
}

func (r *reports) materialized(m *pipes.Materialization) error {
	key, err := r.key(pipes.MethodMaterialization, m.AssetKey)
	if err != nil {
		return err
	}
	if _, twice := r.made[key]; twice {
		return fmt.Errorf("asset %q is reported as materialized twice", key)
	}
	metadata, err := m.Metadata.Lower()
	if err != nil {
		return err
	}
	r.made[key] = made{metadata, m.DataVersion}
	return nil
}

func (r *reports) checked(c *pipes.Check) error {
	key, err := r.key(pipes.MethodCheck, c.AssetKey)
	if err != nil {
		return err
	}
	metadata, err := c.Metadata.Lower()
	if err != nil {
		return err
	}
	event := wire.StepEvent{Type: eventCheck, Asset: key, Partition: r.attempt.Plan.Partition}
	body := map[string]any{"check_name": c.CheckName, "passed": *c.Passed, "severity": c.Severity}
	if len(metadata) > 0 {
		body["metadata"] = metadata
	}
	return r.event(event, body)
}

func (r *reports) event(event wire.StepEvent, body map[string]any) error {
	var err error
	if event.Body, err = json.Marshal(body); err != nil {
		return fmt.Errorf("record %s: %w", event.Type, err)
	}
	r.attempt.Event(event)
	return nil
}

// handOver gives the attempt what the program said of its one asset.
func (r *reports) handOver() {
	if r.opened && !r.closed {
		r.log.Warn("the program did not close its Pipes session: something may be missing of what it reports; use open_dagster_pipes() as a context manager")
	}
	if r.keepOwn {
		return
	}
	for _, one := range r.made {
		r.attempt.Report(one.metadata...)
		if one.version != "" {
			r.attempt.ReportDataVersion(one.version)
		}
	}
}

// outputs are a multi-asset's: those that are required, and those that the program reported.
func (r *reports) outputs(s *scope) Outputs {
	var outputs Outputs
	for _, out := range s.compute.outs {
		said, reported := r.made[out.name]
		if !slices.Contains(r.keys, out.name) || out.optional && !reported {
			continue
		}
		one := Produced{of: out, value: Nothing{}, metadata: raiseMetadata(said.metadata)}
		if said.version != "" {
			one.metadata = append(one.metadata, DataVersion(said.version))
		}
		outputs = append(outputs, one)
	}
	return outputs
}
