package definitions

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/wire"
)

// changes lowers what of dynamic partitions a tick changes.
func (r *Runtime) changes(given answer, into *Evaluated) wire.Problems {
	var problems wire.Problems
	for i, change := range given.changes {
		if change.of.Name() == "" {
			problems = append(problems, wire.Problem{Path: fmt.Sprintf("partitions[%d]", i), Code: wire.CodeInvalid, Message: "it changes a set that was never declared", Fix: "declare it with Dynamic"})
			continue
		}
		if len(change.keys) == 0 {
			continue
		}
		for _, key := range change.keys {
			if err := partition.CheckKey(key); err != nil && !change.remove {
				problems = append(problems, wire.Problem{Path: fmt.Sprintf("partitions[%d]", i), Code: wire.CodeInvalid, Message: err.Error(), Fix: "add another key"})
			}
		}
		lowered := wire.TickPartitions{Name: change.of.Name(), Keys: once(slices.Clone(change.keys))}
		if change.remove {
			into.Remove = append(into.Remove, lowered)
		} else {
			into.Add = append(into.Add, lowered)
		}
	}
	return problems
}

// reports lowers what a tick reports of assets.
func (r *Runtime) reports(given []AssetReport, into *Evaluated) wire.Problems {
	var problems wire.Problems
	for i, report := range given {
		wrong := func(path, message, fix string) {
			problems = append(problems, wire.Problem{Path: fmt.Sprintf("reports[%d].%s", i, path), Code: wire.CodeInvalid, Message: message, Fix: fix})
		}
		a := baseOf(report.Asset)
		switch {
		case a == nil:
			wrong("asset", "it reports an asset that was never declared", "declare it first")
			continue
		case !slices.Contains(r.definitions.assets, a):
			wrong("asset", fmt.Sprintf("it reports %s, which is not among the definitions", a.object()), fmt.Sprintf("add it to New(%q, …)", r.snapshot.Location))
			continue
		case a.partitions != nil && len(report.Partitions) == 0:
			wrong("partitions", fmt.Sprintf("%s is partitioned, and it is not said what of it", a.object()), "give its Partitions")
		case a.partitions == nil && len(report.Partitions) > 0:
			wrong("partitions", fmt.Sprintf("%s is not partitioned", a.object()), "leave Partitions out")
		}
		metadata, version, err := lowerMetadata(report.Metadata)
		if err != nil {
			wrong("metadata", err.Error(), "correct it")
		}
		lowered := wire.ReportRequest{
			Asset: a.name, Type: wire.ReportMaterialization, Partitions: report.Partitions, DataVersion: version, Location: report.Location, Why: report.Why,
		}
		if report.Observed {
			lowered.Type = wire.ReportObservation
		}
		for _, m := range metadata {
			if lowered.Metadata == nil {
				lowered.Metadata = map[string]json.RawMessage{}
			}
			value, err := json.Marshal(map[string]any{"type": m.Type, "value": m.Value})
			if err != nil {
				wrong("metadata", err.Error(), "correct it")
			}
			lowered.Metadata[m.Label] = value
		}
		into.Reports = append(into.Reports, lowered)
	}
	return problems
}
