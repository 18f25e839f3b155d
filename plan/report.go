package plan

import (
	"fmt"

	"github.com/perdure-io/perdure/wire"
)

const (
	maxBy          = 200
	maxDataVersion = 200
	maxLocation    = 4000
)

// CheckReport finds everything that is wrong with a report of what happened elsewhere, among the partitions that exist.
func (p *Planner) CheckReport(request wire.ReportRequest, existing *Existing) wire.Problems {
	_, problems := request.Recorded()
	add := func(path, code, message, fix string) {
		problems = append(problems, wire.Problem{Path: path, Code: code, Message: message, Fix: fix})
	}
	switch request.Type {
	case wire.ReportMaterialization, wire.ReportObservation:
	case "":
		add("type", wire.CodeMissing, "it is not said what happened", "give materialization or observation")
	default:
		add("type", wire.CodeInvalid, fmt.Sprintf("%q is nothing that can be reported", request.Type), "give materialization or observation")
	}
	problems = append(problems, tooLong([]limitedText{
		{"data_version", request.DataVersion, maxDataVersion},
		{"location", request.Location, maxLocation},
		{"by", request.By, maxBy},
		{"why", request.Why, maxNote},
		{"cause", request.Cause, maxCause},
	})...)
	if len(request.Partitions) > wire.MaxReported {
		add("partitions", wire.CodeTooLarge, fmt.Sprintf("%d partitions are given, and one report is of at most %d", len(request.Partitions), wire.MaxReported),
			"make several reports, each under its own id")
		return problems
	}
	if request.Partition != "" && request.Partitions != nil {
		add("partitions", wire.CodeConflict, `"partition" and "partitions" are given`, "give one of them")
		return problems
	}
	return append(problems, p.checkReported(request, existing)...)
}

// checkReported finds what is wrong with what a report is of.
func (p *Planner) checkReported(request wire.ReportRequest, existing *Existing) wire.Problems {
	if request.Asset == "" {
		return wire.Problems{{Path: "asset", Code: wire.CodeMissing, Message: "no asset is named", Fix: "give its key"}}
	}
	place, known := p.assets[request.Asset]
	if !known {
		names := make([]string, len(p.snapshot.Assets))
		for i, asset := range p.snapshot.Assets {
			names[i] = asset.Key
		}
		return wire.Problems{{
			Path: "asset", Code: wire.CodeUnknown, Message: fmt.Sprintf("location %q has no asset %q", p.snapshot.Location, request.Asset),
			Fix: wire.FixUnknown(request.Asset, names),
		}}
	}
	parts, what := p.assetParts[place], fmt.Sprintf("asset %q", request.Asset)
	asked := wire.RunRequest{Partition: request.Partition, Partitions: request.Partitions}
	path := partitionsPath(asked)
	switch {
	case parts == nil && path == "":
		return nil
	case parts == nil:
		return wire.Problems{p.notPartitioned(path, "asset", []string{request.Asset})}
	case path == "":
		problem := wire.Problem{
			Path: "partition", Code: wire.CodeMissing, Message: fmt.Sprintf("%s has %s, and it is not said which of them", what, existing.of(parts)),
			Fix: `give "partition" or "partitions"`,
		}
		return wire.Problems{problem}
	}
	_, problems := requested(asked, what, existing.of(parts))
	return problems
}
