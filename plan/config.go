package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/perdure-io/perdure/wire"
)

// The two sections of a run config.
const (
	sectionAssets    = "assets"
	sectionResources = "resources"
)

// configLayer is a run config: the job's, or the request's over it.
type configLayer struct {
	// job is the job's name; "" for the request's.
	job string
	// given are the config objects of each section by name.
	given map[string]map[string]map[string]any
}

// resolvedConfig is what the steps of one plan are configured with.
type resolvedConfig struct {
	// computes are whole configs by the compute's position.
	computes map[int]json.RawMessage
	// resources are the whole configs of those that the job or the request configures.
	resources map[string]json.RawMessage
	// executor is what the run config says of how steps run; nil when it says nothing.
	executor *Executor
}

func (r *resolvedConfig) resourcesOf(compute *Compute) map[string]json.RawMessage {
	var configs map[string]json.RawMessage
	for _, name := range compute.Resources {
		if config, configured := r.resources[name]; configured {
			if configs == nil {
				configs = map[string]json.RawMessage{}
			}
			configs[name] = config
		}
	}
	return configs
}

// configResolver works out the config of one plan.
type configResolver struct {
	planner  *Planner
	problems wire.Problems
	layers   []configLayer // the job's first
}

// resolveConfig lays the request's config over the job's over the defaults and checks the result. computes are those
// of the run; when wanted is not known, nothing is said of what will run, and only what is given is checked.
func (p *Planner) resolveConfig(given json.RawMessage, wanted target, computes []int) (*resolvedConfig, wire.Problems, error) {
	r := &configResolver{planner: p}
	if wanted.job != nil {
		r.read(wanted.job.Name, wanted.job.Config)
	}
	r.read("", given)
	used := map[string]map[string]bool{sectionAssets: {}, sectionResources: {}}
	for _, c := range computes {
		compute := &p.snapshot.Computes[c]
		used[sectionAssets][compute.Name] = true
		for _, name := range compute.Resources {
			used[sectionResources][name] = true
		}
	}
	if !wanted.known {
		used = nil
	}
	for i := range r.layers {
		r.checkNames(&r.layers[i], used)
	}
	resolved := &resolvedConfig{computes: map[int]json.RawMessage{}, resources: map[string]json.RawMessage{}}
	for _, c := range r.concerned(sectionAssets, used, p.computes) {
		config, _, err := r.resolve(sectionAssets, p.snapshot.Computes[c].Name, p.configs[c])
		if err != nil {
			return nil, nil, fmt.Errorf("config of %q: %w", p.snapshot.Computes[c].Name, err)
		}
		resolved.computes[c] = config
	}
	for _, i := range r.concerned(sectionResources, used, p.resources) {
		name := p.snapshot.Resources[i].Name
		config, overridden, err := r.resolve(sectionResources, name, p.configs[len(p.snapshot.Computes)+i])
		if err != nil {
			return nil, nil, fmt.Errorf("config of resource %q: %w", name, err)
		}
		if overridden {
			resolved.resources[name] = config
		}
	}
	return resolved, r.problems, nil
}

// read adds a layer; what of it cannot be read is left out, as a problem.
func (r *configResolver) read(job string, data json.RawMessage) {
	layer := configLayer{job: job, given: map[string]map[string]map[string]any{sectionAssets: {}, sectionResources: {}}}
	if data != nil {
		sections, problems := wire.DecodeObject(data)
		r.addAll(&layer, problems.Below("config"))
		for _, section := range slices.Sorted(maps.Keys(sections)) {
			r.readSection(&layer, section, sections[section])
		}
	}
	r.layers = append(r.layers, layer)
}

func (r *configResolver) readSection(layer *configLayer, section string, value any) {
	path := wire.FieldPath("config", section)
	if layer.given[section] == nil {
		r.addAll(layer, wire.Problems{{
			Path: path, Code: wire.CodeUnknownField, Message: fmt.Sprintf("unknown field %q", section),
			Fix: wire.FixUnknown(section, []string{sectionAssets, sectionResources}),
		}})
		return
	}
	entries, isObject := value.(map[string]any)
	if !isObject {
		r.addAll(layer, wire.Problems{{Path: path, Code: wire.CodeWrongType, Message: "must be an object, not " + describeValue(value)}})
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		config, isObject := entries[name].(map[string]any)
		if !isObject {
			r.addAll(layer, wire.Problems{{Path: configPath(section, name), Code: wire.CodeWrongType, Message: "must be an object, not " + describeValue(entries[name])}})
			continue
		}
		layer.given[section][name] = config
	}
}

// checkNames drops from a layer, as a problem, what names nothing that takes config. used are the names that the run
// uses; nil when that is not known. A job's config for what was not selected is dropped in silence.
func (r *configResolver) checkNames(layer *configLayer, used map[string]map[string]bool) {
	for _, section := range []string{sectionAssets, sectionResources} {
		for _, name := range slices.Sorted(maps.Keys(layer.given[section])) {
			problem := r.nameProblem(section, name)
			unused := used != nil && !used[section][name]
			if problem.Code == "" && unused && layer.job == "" {
				problem = wire.Problem{Code: wire.CodeInvalid, Message: fmt.Sprintf("config is given for %q, which is not in the selection", name), Fix: "select it or leave its config out"}
				if section == sectionResources {
					problem.Message = fmt.Sprintf("config is given for resource %q, which no selected asset uses", name)
					problem.Fix = "leave its config out"
				}
			}
			if problem.Code != "" {
				problem.Path = configPath(section, name)
				r.addAll(layer, wire.Problems{problem})
			}
			if problem.Code != "" || unused {
				delete(layer.given[section], name)
			}
		}
	}
}

// nameProblem says why a name takes no config; its code is "" when it does.
func (r *configResolver) nameProblem(section, name string) wire.Problem {
	s := r.planner.snapshot
	var schema *ConfigSchema
	what := "asset"
	if section == sectionResources {
		what = "resource"
		position, known := r.planner.resources[name]
		if !known {
			return wire.Problem{Code: wire.CodeUnknown, Message: fmt.Sprintf("there is no resource %q", name), Fix: wire.FixUnknown(name, slices.Sorted(maps.Keys(r.planner.resources)))}
		}
		schema = s.Resources[position].Config
	} else if position, known := r.planner.computes[name]; known {
		schema = s.Computes[position].Config
	} else if position, known := r.planner.assets[name]; !known {
		var takers []string
		for _, compute := range s.Computes {
			if compute.Config != nil {
				takers = append(takers, compute.Name)
			}
		}
		slices.Sort(takers)
		return wire.Problem{Code: wire.CodeUnknown, Message: fmt.Sprintf("there is no asset or multi-asset %q", name), Fix: wire.FixUnknown(name, takers)}
	} else if c := r.planner.computeOf[position]; c >= 0 {
		return wire.Problem{
			Code: wire.CodeInvalid, Message: fmt.Sprintf("asset %q has no config of its own: multi-asset %q makes it", name, s.Computes[c].Name),
			Fix: fmt.Sprintf("write it under %q", s.Computes[c].Name),
		}
	}
	if schema == nil {
		return wire.Problem{Code: wire.CodeInvalid, Message: fmt.Sprintf("%s %q takes no config", what, name), Fix: "leave it out"}
	}
	return wire.Problem{}
}

// concerned are the positions of what takes config and is used or configured, ascending by name.
func (r *configResolver) concerned(section string, used map[string]map[string]bool, positions map[string]int) []int {
	names := maps.Clone(used[section])
	if names == nil {
		names = map[string]bool{}
	}
	for _, layer := range r.layers {
		for name := range layer.given[section] {
			names[name] = true
		}
	}
	offset := 0
	if section == sectionResources {
		offset = len(r.planner.snapshot.Computes)
	}
	var found []int
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if position := positions[name]; r.planner.configs[offset+position] != nil {
			found = append(found, position)
		}
	}
	return found
}

// resolve is the whole config under a name, and whether a layer gives any of it.
func (r *configResolver) resolve(section, name string, schema *configSchema) (config json.RawMessage, overridden bool, err error) {
	for _, layer := range r.layers {
		_, given := layer.given[section][name]
		overridden = overridden || given
	}
	if !overridden && !schema.mayRequire {
		return schema.source.Defaults, false, nil
	}
	if err := schema.compile(); err != nil {
		return nil, false, err
	}
	merged := schema.defaults
	for _, layer := range r.layers {
		merged = merge(merged, layer.given[section][name])
	}
	for _, found := range schema.validate(merged) {
		r.addFound(section, name, merged, found)
	}
	if !overridden {
		return schema.source.Defaults, false, nil
	}
	data, err := json.Marshal(merged)
	return data, true, err
}

// addFound reports a problem with the layer that gives the value at fault.
func (r *configResolver) addFound(section, name string, merged map[string]any, found schemaProblem) {
	problem := found.problem
	problem.Path = valuePath(configPath(section, name), merged, found.location)
	if problem.Code == wire.CodeMissing {
		problem.Fix = "give it, for example " + exampleConfig(section, name, found.location, found.example)
	}
	from := &r.layers[len(r.layers)-1]
	for i := range r.layers {
		if holds(r.layers[i].given[section][name], found.location) {
			from = &r.layers[i]
		}
	}
	r.addAll(from, wire.Problems{problem})
}

// addAll adds problems of a layer. The request cannot mend the job's config, but it names the job.
func (r *configResolver) addAll(layer *configLayer, problems wire.Problems) {
	for _, problem := range problems {
		if layer.job != "" {
			problem.Message = fmt.Sprintf("the config of job %q: %s: %s", layer.job, problem.Path, problem.Message)
			problem.Path = "job"
		}
		r.problems = append(r.problems, problem)
	}
}

func configPath(section, name string) string {
	return wire.FieldPath(wire.FieldPath("config", section), name)
}

// merge lays over upon under: objects are merged, everything else is replaced. Neither is changed.
func merge(under, over map[string]any) map[string]any {
	if len(over) == 0 {
		return under
	}
	merged := maps.Clone(under)
	if merged == nil {
		merged = map[string]any{}
	}
	for name, value := range over {
		lower, lowerIsObject := merged[name].(map[string]any)
		upper, upperIsObject := value.(map[string]any)
		if lowerIsObject && upperIsObject {
			value = merge(lower, upper)
		}
		merged[name] = value
	}
	return merged
}
