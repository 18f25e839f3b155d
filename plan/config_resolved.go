package plan

import (
	"encoding/json"
	"maps"
)

// resolvedConfig is what the steps of one plan are configured with.
type resolvedConfig struct {
	// whole are all configs, by section and name.
	whole map[string]map[string]json.RawMessage
	// given are those that a layer gives any of.
	given map[string]map[string]bool
	// execution is how steps run, job and run config laid over each other.
	execution execution
	// level is that of the steps' log, as JSON; nil leaves it to the worker.
	level json.RawMessage
}

// of is a compute's whole config; nil when it takes none.
func (r *resolvedConfig) of(compute *Compute) json.RawMessage {
	return r.whole[compute.section()][compute.configName()]
}

// givenOf are the configs that a layer gives any of; others have their defaults.
func (r *resolvedConfig) givenOf(section string, names ...string) map[string]json.RawMessage {
	var configs map[string]json.RawMessage
	for _, name := range names {
		if r.given[section][name] {
			if configs == nil {
				configs = map[string]json.RawMessage{}
			}
			configs[name] = r.whole[section][name]
		}
	}
	return configs
}

// resources are the configs of those that a step may open.
func (r *resolvedConfig) resources(compute *Compute, job *Job) map[string]json.RawMessage {
	configs := r.givenOf(sectionResources, compute.Resources...)
	if job == nil {
		return configs
	}
	more := r.givenOf(sectionResources, job.Resources...)
	if configs == nil {
		return more
	}
	maps.Copy(configs, more)
	return configs
}

// loggers are the configs of the log handlers of a job, and under LevelKey the level.
func (r *resolvedConfig) loggers(job *Job) map[string]json.RawMessage {
	var configs map[string]json.RawMessage
	if job != nil {
		configs = r.givenOf(sectionLoggers, job.Loggers...)
	}
	if r.level != nil {
		if configs == nil {
			configs = map[string]json.RawMessage{}
		}
		configs[LevelKey] = r.level
	}
	return configs
}
