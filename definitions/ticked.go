package definitions

import (
	"strings"

	"github.com/perdure-io/perdure/wire"
)

// Ticked is what a tick asks for.
type Ticked struct {
	Runs []RequestedRun
	// Skip says why there are none, as the function says it.
	Skip string
	// Added and Removed are keys by the name of their dynamic set.
	Added, Removed map[string][]string
	Reports        []Reported
}

// SensorTicked is what a sensor's tick asks for, and its cursor after that.
type SensorTicked[C any] struct {
	Ticked
	Cursor C
}

// RequestedRun is a run that a tick asks for.
type RequestedRun struct {
	Job    string
	RunKey string
	// Partition, Partitions, and From and To are as [ForPartition], [ForPartitions] and [ForRange] gave them.
	Partition     string
	Partitions    []string
	From, To      string
	AllPartitions bool
	// Assets are what [OnlyAssets] narrows it to; "" is all of the job's.
	Assets    string
	StaleOnly bool
	Tags      map[string]string
	// Config is that of the request alone, without the job's.
	Config   RunConfig
	Priority Priority
	Title    string
}

// String is the run in one line: daily [2001-01-01] key e1.
func (r RequestedRun) String() string {
	text := r.Job
	switch {
	case r.Partition != "":
		text += " [" + r.Partition + "]"
	case r.Partitions != nil:
		text += " [" + strings.Join(r.Partitions, ", ") + "]"
	case r.From != "":
		text += " [" + r.From + " to " + r.To + "]"
	case r.AllPartitions:
		text += " [all]"
	}
	if r.Assets != "" {
		text += " only " + r.Assets
	}
	if r.StaleOnly {
		text += " stale only"
	}
	if r.RunKey != "" {
		text += " key " + r.RunKey
	}
	return text
}

// Reported is something that a tick reports of an asset.
type Reported struct {
	Asset       string
	Observed    bool
	Partitions  []string
	Metadata    []Metadatum
	DataVersion string
}

func ticked(e Evaluated) Ticked {
	t := Ticked{Skip: e.Skip, Added: byName(e.Add), Removed: byName(e.Remove)}
	for _, run := range e.Runs {
		t.Runs = append(t.Runs, requestedRun(run))
	}
	for _, report := range e.Reports {
		metadata, _ := report.Recorded() // they were lowered from what is valid
		t.Reports = append(t.Reports, Reported{
			Asset: report.Asset, Observed: report.Type == wire.ReportObservation, Partitions: report.Partitions, Metadata: raiseMetadata(metadata), DataVersion: report.DataVersion,
		})
	}
	return t
}

func byName(changes []wire.TickPartitions) map[string][]string {
	var keys map[string][]string
	for _, change := range changes {
		if keys == nil {
			keys = map[string][]string{}
		}
		keys[change.Name] = append(keys[change.Name], change.Keys...)
	}
	return keys
}

func requestedRun(run wire.TickRun) RequestedRun {
	request := run.Request
	r := RequestedRun{
		Job: run.Job, RunKey: run.RunKey, Partition: request.Partition, Partitions: request.Partitions, AllPartitions: request.AllPartitions,
		StaleOnly: request.Only == wire.OnlyStale, Tags: request.Tags, Config: RunConfig(request.Config), Priority: Priority(request.Priority), Title: request.Title,
	}
	if request.Range != nil {
		r.From, r.To = request.Range.Start, request.Range.End
	}
	if !request.Assets.IsZero() {
		r.Assets = request.Assets.String()
	}
	return r
}
