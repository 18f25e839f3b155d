package definitions

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// RunRequest is a run of a job that a schedule or sensor asks for. [Job.Request] makes one: it always has a target.
type RunRequest struct {
	job        *Job
	key        string
	asked      wire.RunRequest
	only       *Selection
	runConfig  RunConfig
	configured []configured
	given      map[string]bool
	problems   wire.Problems
}

// RequestOption is an option of [Job.Request].
type RequestOption interface{ applyRequest(*RunRequest) }

// Request asks for a run of the job. Without options it is as the job is; of a partitioned job it says which partitions, with
// [ForPartition], [ForPartitions], [ForRange] or [ForAllPartitions]. What is wrong with it is told when the tick that asks for it
// is evaluated, for all requests of the tick at once.
func (j *Job) Request(opts ...RequestOption) RunRequest {
	r := RunRequest{job: j, given: map[string]bool{}}
	for _, o := range opts {
		if o == nil {
			r.wrong("", wire.CodeInvalid, "it is given a nil option", "leave it out")
			continue
		}
		o.applyRequest(&r)
	}
	return r
}

// Job is what it is a run of; nil for the zero RunRequest.
func (r RunRequest) Job() *Job { return r.job }

// Key is its [RunKey]; "" is none.
func (r RunRequest) Key() string { return r.key }

// Partition is what [ForPartition] was given; "" otherwise.
func (r RunRequest) Partition() string { return r.asked.Partition }

// Tags are what [Tags] was given.
func (r RunRequest) Tags() map[string]string { return maps.Clone(r.asked.Tags) }

// String names the request in messages: job "daily", run key "e1", partition "2001-01-01".
func (r RunRequest) String() string {
	parts := []string{"no job"}
	if r.job != nil {
		parts[0] = r.job.object()
	}
	if r.key != "" {
		key := r.key
		if len(key) > maxShownKey {
			key = key[:maxShownKey] + "…"
		}
		parts = append(parts, fmt.Sprintf("run key %q", key))
	}
	switch {
	case r.asked.Partition != "":
		parts = append(parts, fmt.Sprintf("partition %q", r.asked.Partition))
	case len(r.asked.Partitions) > 0:
		parts = append(parts, fmt.Sprintf("partitions %q", r.asked.Partitions[:min(len(r.asked.Partitions), 3)]))
	case r.asked.Range != nil:
		parts = append(parts, fmt.Sprintf("partitions %q to %q", r.asked.Range.Start, r.asked.Range.End))
	}
	return strings.Join(parts, ", ")
}

const maxShownKey = 60 // bytes of a run key in messages

func (r *RunRequest) wrong(path, code, message, fix string) {
	r.problems = append(r.problems, wire.Problem{Path: path, Code: code, Message: message, Fix: fix})
}

// once remembers an option, and a problem when it was there before.
func (r *RunRequest) once(path, option string) {
	if r.given[option] {
		r.wrong(path, wire.CodeConflict, fmt.Sprintf("the option %s is given twice", option), "give it once")
	}
	r.given[option] = true
}

// RunKey has the run asked for only once: a sensor that asks again with the same key starts no other, ever, however the first one
// ended, and a schedule none for the same tick. Without it each request is a run. At most 500 bytes.
type RunKey string

const maxRunKey = 500

func (v RunKey) applyRequest(r *RunRequest) {
	r.once("run_key", "RunKey")
	r.key = string(v)
	switch {
	case v == "":
		r.wrong("run_key", wire.CodeMissing, "the run key is empty", "leave RunKey out for a run without one")
	case len(v) > maxRunKey:
		r.wrong("run_key", wire.CodeTooLarge, fmt.Sprintf("the run key has %d bytes", len(v)), fmt.Sprintf("use at most %d, a hash for example", maxRunKey))
	case !utf8.ValidString(string(v)), strings.ContainsRune(string(v), 0):
		r.wrong("run_key", wire.CodeInvalid, fmt.Sprintf("the run key %q is no text", string(v)), "use UTF-8 without NUL, a hash in hex for example")
	}
}

// Title is what lists of runs show of the run, at most 200 characters.
type Title string

func (v Title) applyRequest(r *RunRequest) {
	r.once("title", "Title")
	r.asked.Title = string(v)
}

// StaleOnly narrows the run to what of it is stale. When nothing is, it is not started.
type StaleOnly struct{}

func (StaleOnly) applyRequest(r *RunRequest) { r.asked.Only = wire.OnlyStale }

// OnlyAssets narrows a run of an asset job to some of its assets.
func OnlyAssets(what Selection) RequestOption { return onlyAssets(what) }

type onlyAssets Selection

func (v onlyAssets) applyRequest(r *RunRequest) {
	r.once("assets", "OnlyAssets")
	what := Selection(v)
	r.only = &what
	if what.undeclared > 0 {
		r.wrong("assets", wire.CodeInvalid, "it selects an asset handle that was never declared", "declare it with Asset, OptionalAsset, External or Output")
	}
}

func (p ForPartition) applyRequest(r *RunRequest) {
	r.once("partition", "ForPartition")
	r.asked.Partition = string(p)
	if p == "" {
		r.wrong("partition", wire.CodeMissing, "ForPartition is given no key", "name a partition")
	}
}

func (p forPartitions) applyRequest(r *RunRequest) {
	r.once("partitions", "ForPartitions")
	r.asked.Partitions = slices.Clone(p)
	if len(p) == 0 {
		r.wrong("partitions", wire.CodeMissing, "ForPartitions is given no keys", "name at least one partition")
	}
}

func (p forRange) applyRequest(r *RunRequest) {
	r.once("range", "ForRange")
	r.asked.Range = &wire.PartitionRange{Start: p.start, End: p.end}
}

func (ForAllPartitions) applyRequest(r *RunRequest) { r.asked.AllPartitions = true }

func (v Tags) applyRequest(r *RunRequest) {
	r.once("tags", "Tags")
	r.asked.Tags = maps.Clone(v)
}

func (v Priority) applyRequest(r *RunRequest) {
	r.once("priority", "Priority")
	r.asked.Priority = wire.Priority(v)
	if v == 0 {
		r.wrong("priority", wire.CodeInvalid, "the priority is 0", "use 1 to 5, 1 first")
	}
}

func (v RunConfig) applyRequest(r *RunRequest) {
	r.once("config", "RunConfig")
	r.runConfig = v
}

func (c configured) applyRequest(r *RunRequest) {
	if c.config == nil {
		r.wrong("config", wire.CodeInvalid, "Configure names a config handle that was never declared", "declare it with Config")
		return
	}
	r.configured = append(r.configured, c)
}

// requests lowers what a schedule or sensor asks for. The problems are all that is wrong with all of them, but for which of their
// partitions exist.
type requests struct {
	definitions *Definitions
	check       func(wire.RunRequest) wire.Problems
	// checked are problems by what was asked.
	checked map[string]wire.Problems
	// targets are the jobs that may be asked for; what names them in messages.
	targets []*Job
	what    string
}

func (q *requests) lower(asked []RunRequest) ([]wire.TickRun, wire.Problems) {
	var problems wire.Problems
	runs := make([]wire.TickRun, 0, len(asked))
	for i, r := range asked {
		run, wrong := q.one(r)
		if len(wrong) > 0 {
			problems = append(problems, wrong.Below(fmt.Sprintf("runs[%d] (%s)", i, r))...)
		}
		runs = append(runs, run)
	}
	return runs, problems
}

func (q *requests) one(r RunRequest) (wire.TickRun, wire.Problems) {
	if r.job == nil {
		return wire.TickRun{}, wire.Problems{{Path: "job", Code: wire.CodeMissing, Message: "it asks for a run of no job", Fix: "make it with the Request of a job"}}
	}
	problems := slices.Clone(r.problems)
	if !slices.Contains(q.targets, r.job) {
		return wire.TickRun{}, append(problems, q.outside(r))
	}
	request := r.asked
	request.Job = r.job.name
	if r.only != nil {
		if r.job.isOps {
			problems = append(problems, wire.Problem{Path: "assets", Code: wire.CodeConflict, Message: "OnlyAssets narrows a job of ops, which selects none", Fix: "leave it out"})
		} else {
			request.Assets = r.only.lower()
		}
	}
	config, err := q.definitions.runConfig(r.runConfig, r.configured)
	if err != nil {
		wrong := wire.ProblemsOf(err)
		if wrong == nil {
			wrong = wire.Problems{{Code: wire.CodeInvalid, Message: err.Error()}}
		}
		problems = append(problems, wrong.Below("config")...)
	} else {
		request.Config = config
	}
	problems = append(problems, q.checkRequest(request)...)
	return wire.TickRun{RunKey: r.key, Job: r.job.name, Request: request}, problems
}

func (q *requests) outside(r RunRequest) wire.Problem {
	problem := wire.Problem{Path: "job", Code: wire.CodeInvalid, Message: fmt.Sprintf("%s is no target of %s", r.job.object(), q.what), Fix: "request one of its targets"}
	names := make([]string, len(q.targets))
	for i, target := range q.targets {
		names[i] = target.Name()
	}
	switch len(names) {
	case 0:
		problem.Message, problem.Fix = fmt.Sprintf("%s requests runs, and has no targets", q.what), "list the jobs that it may request runs of"
	default:
		problem.Fix = "request a run of " + list(names) + ", or list the job as a target"
	}
	return problem
}

// checkRequest checks a request as the planner will.
func (q *requests) checkRequest(request wire.RunRequest) wire.Problems {
	if q.check == nil {
		return nil
	}
	return append(plan.DescriptionProblems(request), q.checkOnce(request)...)
}

// checkOnce checks what takes long once for all requests that are alike in it.
func (q *requests) checkOnce(request wire.RunRequest) wire.Problems {
	const alike = "*"
	request.Tags, request.Title, request.Priority = nil, "", 0
	if request.Partition != "" {
		request.Partition = alike
	}
	if len(request.Partitions) > 0 {
		request.Partitions = []string{alike}
	}
	if request.Range != nil {
		request.Range = &wire.PartitionRange{Start: alike, End: alike}
	}
	text, err := json.Marshal(request)
	if err != nil {
		return wire.Problems{{Path: "config", Code: wire.CodeInvalid, Message: err.Error()}}
	}
	if problems, known := q.checked[string(text)]; known {
		return problems
	}
	if q.checked == nil {
		q.checked = map[string]wire.Problems{}
	}
	problems := q.check(request)
	q.checked[string(text)] = problems
	return problems
}
