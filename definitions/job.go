package definitions

import (
	"encoding/json"
	"reflect"

	"github.com/perdure-io/perdure/wire"
)

// Job is a selection of assets, or a graph of ops, under a name, with config and tags of its own. Declare one with
// [AssetJob] or [OpJob].
type Job struct {
	declared
	selection Selection
	// ops are all that an op job runs, in the order of their declaration; results are those that it lists.
	ops, results []*node
	isOps        bool
	// partitions is how an op job is sliced; nil is not at all.
	partitions  *partitionSet
	description string
	tags        map[string]string
	runConfig   RunConfig
	configured  []configured
	retries     *Retries
	priority    Priority
	control     jobControl
	options     optionNames
}

// JobOption is an option of [AssetJob] and [OpJob].
type JobOption interface{ applyJob(*Job) }

// AssetJob declares a job that materializes the selected assets. name is letters, digits, "_", "." and "-".
func AssetJob(name string, what Selection, opts ...JobOption) *Job {
	j := &Job{declared: declared{what: "job", name: name, at: place()}, selection: what}
	for _, o := range opts {
		if o == nil {
			j.nilOption()
			continue
		}
		o.applyJob(j)
	}
	return j
}

// Name is the job's name.
func (j *Job) Name() string {
	if j == nil {
		return ""
	}
	return j.name
}

func (j *Job) definitions() []*declaration {
	if j == nil || j.at == "" {
		return nil
	}
	declarations := []*declaration{{job: j}}
	for _, logger := range j.control.loggers {
		declarations = append(declarations, &declaration{logger: logger})
	}
	return declarations
}

// Priority orders runs that wait: 1 first, 5 last. Without it, [NormalPriority].
type Priority int

// The named priorities.
const (
	HighPriority   = Priority(wire.PriorityHigh)
	NormalPriority = Priority(wire.PriorityNormal)
	LowPriority    = Priority(wire.PriorityLow)
)

// RunConfig is a run's config as JSON: of a job's runs, or of [Materialize].
//
//	{"assets": {KEY: {…}}, "ops": {PATH: {…}}, "resources": {NAME: {…}},
//	 "execution": {"executor": {"kind": "subprocess", "memory_limit": "2GiB"}, "max_concurrent_steps": 10,
//	               "tag_limits": [{"key": "database", "limit": 2}]},
//	 "loggers": {"level": "WARN", NAME: {…}}}
//
// The path of an op is its name with those of the graphs it lies in, "etl.clean", and of one in a graph asset the key of
// that before it; a graph with [MapConfig] takes config under its own path, and its ops take none. What it leaves out has
// its default: a field at a time, while a list or a map is taken whole. See [Configure] for the typed form.
type RunConfig string

// ConfigOption is what [Configure] returns.
type ConfigOption interface {
	JobOption
	MaterializeOption
	RequestOption
	ScheduleOption
	SensorOption
	AssetSensorOption
	RunSensorOption
}

// Configure sets a whole config, required fields too, for everything selected that binds it: assets, ops, resources,
// loggers, and graphs by their [MapConfig]. No field keeps its default, and no map an entry. Given to a schedule or sensor, it is for
// the resources that its function binds; given to [Job.Request], for the run.
func Configure[C any](config *ConfigOf[C], value C) ConfigOption {
	var c configured
	if config != nil && config.def != nil {
		c.config, c.value = config.def, reflect.ValueOf(value)
	}
	return c
}

// configured is a config and the value it is to have.
type configured struct {
	config *config
	value  reflect.Value
}

// encoded is the value as JSON; an error says why it is no valid config.
func (c configured) encoded() (json.RawMessage, error) {
	data, err := c.config.encode(c.value)
	if err != nil {
		return nil, err
	}
	if _, err := c.config.decode(data); err != nil {
		return nil, err
	}
	return data, nil
}

func (c configured) applyJob(j *Job) {
	if c.config == nil {
		j.wrong("config", "Configure names a config handle that was never declared", "declare it with Config")
		return
	}
	j.configured = append(j.configured, c)
}

func (v Description) applyJob(j *Job) {
	j.options.once(&j.declared, "description", "Description")
	j.description = string(v)
}

func (v Tags) applyJob(j *Job) {
	j.options.once(&j.declared, "tags", "Tags")
	j.tags = v
}

func (v RunConfig) applyJob(j *Job) {
	j.options.once(&j.declared, "config", "RunConfig")
	j.runConfig = v
}

func (v Retries) applyJob(j *Job) {
	j.options.once(&j.declared, "retries", "Retries")
	j.retries = &v
}

func (v Priority) applyJob(j *Job) {
	j.options.once(&j.declared, "priority", "Priority")
	j.priority = v
}
