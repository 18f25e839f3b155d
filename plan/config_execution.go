package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/perdure-io/perdure/wire"
)

// LevelKey is the key in the section "loggers" of a run config, and in [Step].Loggers, of the level from which on steps
// log: DEBUG, INFO, WARN or ERROR, a JSON string.
const LevelKey = "level"

var (
	logLevels     = []string{"DEBUG", "INFO", "WARN", "ERROR"}
	executorKinds = []string{string(ExecutorActivity), string(ExecutorLocalActivity), string(ExecutorSubprocess)}
)

// execution is how the steps of one run run.
type execution struct {
	// executor is for steps whose compute has none; nil is the instance's.
	executor *Executor
	// executorPath is where the request chose it; "" when it did not.
	executorPath string
	// maxConcurrentSteps is 0 for the instance's.
	maxConcurrentSteps int
	tagLimits          []TagLimit
}

// executionConfig is the section "execution" of a run config.
type executionConfig struct {
	Executor           *executorConfig `json:"executor"`
	MaxConcurrentSteps *int            `json:"max_concurrent_steps"`
	TagLimits          *[]TagLimit     `json:"tag_limits"`
}

type executorConfig struct {
	Kind        ExecutorKind `json:"kind"`
	MemoryLimit memorySize   `json:"memory_limit"`
}

// memorySize is an amount of memory in bytes, read from a number or from text such as "512MiB".
type memorySize int64

var memoryUnits = []struct {
	name  string
	bytes float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1}}

// UnmarshalJSON reads bytes as a number, or a text with its unit.
func (m *memorySize) UnmarshalJSON(data []byte) error {
	text, unit := string(bytes.TrimSpace(data)), 1.0
	if strings.HasPrefix(text, `"`) {
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		known := false
		for _, one := range memoryUnits {
			if number, cut := strings.CutSuffix(text, one.name); cut && !known {
				text, unit, known = strings.TrimSpace(number), one.bytes, true
			}
		}
		if !known {
			text = ""
		}
	}
	number, err := strconv.ParseFloat(text, 64)
	if size := number * unit; err == nil && size >= 0 && size < 1<<62 && size == float64(int64(size)) {
		*m = memorySize(size)
		return nil
	}
	return fmt.Errorf(`must be a number of bytes, or text such as "512MiB" or "2GiB", not %s`, bytes.TrimSpace(data))
}

// MarshalJSON writes a text with a unit where that is exact.
func (m memorySize) MarshalJSON() ([]byte, error) {
	for _, unit := range slices.Backward(memoryUnits[:3]) {
		if size := memorySize(unit.bytes); m > 0 && m%size == 0 {
			return json.Marshal(fmt.Sprintf("%d%s", m/size, unit.name))
		}
	}
	return json.Marshal(int64(m))
}

// String is the executor for people.
func (e Executor) String() string {
	if e.MemoryLimit == 0 {
		return string(e.Kind)
	}
	limit := strings.Trim(compactJSON(memorySize(e.MemoryLimit)), `"`)
	if !strings.HasSuffix(limit, "B") {
		limit += " bytes"
	}
	return fmt.Sprintf("%s, at most %s of memory", e.Kind, limit)
}

// execution lays the request's section over the job's over the job's options, member by member.
func (r *configResolver) execution(job *Job) execution {
	var laid execution
	if job != nil {
		laid = execution{executor: job.Executor, maxConcurrentSteps: job.MaxConcurrentSteps, tagLimits: slices.Clone(job.TagLimits)}
	}
	for _, layer := range r.layers {
		given := layer.execution
		if given == nil {
			continue
		}
		if given.Executor != nil {
			laid.executor = &Executor{Kind: given.Executor.Kind, MemoryLimit: int64(given.Executor.MemoryLimit)}
			if layer.job == "" {
				laid.executorPath = "config.execution.executor"
			}
		}
		if given.MaxConcurrentSteps != nil {
			laid.maxConcurrentSteps = *given.MaxConcurrentSteps
		}
		if given.TagLimits != nil {
			laid.tagLimits = append([]TagLimit(nil), *given.TagLimits...)
		}
	}
	return laid
}

// readExecution reads a layer's section; with a problem in it, nothing of it counts.
func (r *configResolver) readExecution(layer *configLayer, value any) {
	path := wire.FieldPath("config", sectionExecution)
	if _, isObject := value.(map[string]any); !isObject {
		r.addAll(layer, wire.Problems{{Path: path, Code: wire.CodeWrongType, Message: "must be an object, not " + describeValue(value)}})
		return
	}
	var given executionConfig
	problems := wire.Decode([]byte(compactJSON(value)), &given).Below(path)
	if len(problems) == 0 {
		problems = given.problems(path)
	}
	if len(problems) > 0 {
		r.addAll(layer, problems)
		return
	}
	layer.execution = &given
}

func (e *executionConfig) problems(path string) wire.Problems {
	var problems wire.Problems
	if e.Executor != nil {
		problems = e.Executor.problems(wire.FieldPath(path, "executor"))
	}
	if most := e.MaxConcurrentSteps; most != nil && (*most < 1 || *most > maxConcurrentSteps) {
		problems = append(problems, wire.Problem{
			Path: wire.FieldPath(path, "max_concurrent_steps"), Code: wire.CodeInvalid, Message: fmt.Sprintf("is %d", *most),
			Fix: fmt.Sprintf("give 1 to %d", maxConcurrentSteps),
		})
	}
	if e.TagLimits != nil {
		problems = append(problems, tagLimitProblems(wire.FieldPath(path, "tag_limits"), *e.TagLimits)...)
	}
	return problems
}

func (e *executorConfig) problems(path string) wire.Problems {
	kindPath, kind := wire.FieldPath(path, "kind"), string(e.Kind)
	switch {
	case kind == "":
		return wire.Problems{{
			Path: kindPath, Code: wire.CodeMissing, Message: "it is not said how steps run", Fix: "give one of " + strings.Join(executorKinds, ", "),
		}}
	case !slices.Contains(executorKinds, kind):
		return wire.Problems{{Path: kindPath, Code: wire.CodeUnknown, Message: fmt.Sprintf("there is no executor %q", kind), Fix: wire.FixUnknown(kind, executorKinds)}}
	case e.MemoryLimit > 0 && e.Kind != ExecutorSubprocess:
		return wire.Problems{{
			Path: wire.FieldPath(path, "memory_limit"), Code: wire.CodeConflict, Message: fmt.Sprintf("executor %q has no memory limit", kind),
			Fix: fmt.Sprintf("leave it out, or choose the kind %q", ExecutorSubprocess),
		}}
	}
	return nil
}

// tagLimitProblems says what is wrong with the limits at a path.
func tagLimitProblems(path string, limits []TagLimit) wire.Problems {
	var problems wire.Problems
	seen := map[[2]string]bool{}
	for i, limit := range limits {
		at := wire.ItemPath(path, i)
		add := func(field, code, fix, format string, arguments ...any) {
			problems = append(problems, wire.Problem{Path: wire.FieldPath(at, field), Code: code, Message: fmt.Sprintf(format, arguments...), Fix: fix})
		}
		switch of := [2]string{limit.Key, limit.Value}; {
		case limit.Key == "":
			add("key", wire.CodeMissing, "give it", "it is not said which tag is limited")
		case !tagKey.MatchString(limit.Key):
			add("key", wire.CodeInvalid, "give the key of a tag", "the tag key %q is not allowed", limit.Key)
		case !tagValue.MatchString(limit.Value):
			add("value", wire.CodeInvalid, "give the value of a tag", "the tag value %q is not allowed", limit.Value)
		case limit.Value != "" && limit.PerValue:
			add("per_value", wire.CodeConflict, "leave one of the two out", "it is for the value %q and for each value", limit.Value)
		case seen[of]:
			add("key", wire.CodeConflict, "give one for each tag and value", "the tag %q has two limits", limit.Key)
		default:
			seen[of] = true
		}
		if limit.Limit < 1 {
			add("limit", wire.CodeInvalid, "give at least 1", "the limit is %d", limit.Limit)
		}
	}
	return problems
}

// readLevel reads the level of a layer's log.
func (r *configResolver) readLevel(layer *configLayer, value any) {
	text, isText := value.(string)
	level := strings.ToUpper(text)
	if isText && slices.Contains(logLevels, level) {
		layer.level = level
		return
	}
	problem := wire.Problem{
		Path: configPath(sectionLoggers, LevelKey), Code: wire.CodeWrongType, Message: "must be a log level, not " + describeValue(value),
		Fix: "give one of " + strings.Join(logLevels, ", "),
	}
	if isText {
		problem.Code, problem.Message, problem.Fix = wire.CodeUnknown, fmt.Sprintf("there is no log level %q", text), wire.FixUnknown(level, logLevels)
	}
	r.addAll(layer, wire.Problems{problem})
}
