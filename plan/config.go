package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/perdure-io/perdure/wire"
)

// The sections of a run config.
const (
	sectionAssets    = "assets"
	sectionOps       = "ops"
	sectionResources = "resources"
	sectionExecution = "execution"
	sectionLoggers   = "loggers"
)

var (
	sections = []string{sectionAssets, sectionOps, sectionResources, sectionExecution, sectionLoggers}
	// namedSections hold config objects by name.
	namedSections = []string{sectionAssets, sectionOps, sectionResources, sectionLoggers}
)

// schemas are what takes config, by section and name.
type schemas map[string]map[string]*configSchema

// schemas finds what of a snapshot takes config: a compute under its own name or that of the graph that maps config to it.
func (s *Snapshot) schemas() schemas {
	found := schemas{sectionAssets: {}, sectionOps: {}, sectionResources: {}, sectionLoggers: {}}
	enter := func(section, name string, source *ConfigSchema) {
		if source != nil {
			found[section][name] = newConfigSchema(source)
		}
	}
	for i := range s.Computes {
		if compute := &s.Computes[i]; compute.ConfigUnder == "" {
			enter(compute.section(), compute.Name, compute.Config)
		}
	}
	for _, graph := range s.Graphs {
		enter(sectionOps, graph.Name, graph.Config)
	}
	for _, resource := range s.Resources {
		enter(sectionResources, resource.Name, resource.Config)
	}
	for _, logger := range s.Loggers {
		enter(sectionLoggers, logger.Name, logger.Config)
	}
	return found
}

// ConfigNames are, by section of a run config, the names that something has there, whether or not it takes config.
func (s *Snapshot) ConfigNames() map[string][]string {
	names := map[string][]string{sectionAssets: {}, sectionOps: {}, sectionResources: {}, sectionLoggers: {LevelKey}}
	for i := range s.Computes {
		names[s.Computes[i].section()] = append(names[s.Computes[i].section()], s.Computes[i].Name)
	}
	for _, asset := range s.Assets {
		names[sectionAssets] = append(names[sectionAssets], asset.Key)
	}
	for _, graph := range s.Graphs {
		names[sectionOps] = append(names[sectionOps], graph.Name)
	}
	for _, resource := range s.Resources {
		names[sectionResources] = append(names[sectionResources], resource.Name)
	}
	for _, logger := range s.Loggers {
		names[sectionLoggers] = append(names[sectionLoggers], logger.Name)
	}
	return names
}

// section is where a compute's config stands.
func (c *Compute) section() string {
	if c.Op {
		return sectionOps
	}
	return sectionAssets
}

// configName is the name under which a compute's config stands in its section.
func (c *Compute) configName() string {
	if c.ConfigUnder != "" {
		return c.ConfigUnder
	}
	return c.Name
}

// configUse is, by section, what of a run takes config.
type configUse map[string]map[string]bool

// configUse of these computes, in a run of this job; nil is none.
func (p *Planner) configUse(computes []int, job *Job) configUse {
	use := configUse{sectionAssets: {}, sectionOps: {}, sectionResources: {}, sectionLoggers: {}}
	for _, c := range computes {
		compute := &p.snapshot.Computes[c]
		use[compute.section()][compute.configName()] = true
		for _, name := range compute.Resources {
			use[sectionResources][name] = true
		}
	}
	if job != nil {
		for _, name := range job.Resources {
			use[sectionResources][name] = true
		}
		for _, name := range job.Loggers {
			use[sectionLoggers][name] = true
		}
	}
	return use
}

// configLayer is a run config: the job's, or the request's over it.
type configLayer struct {
	// job is the job's name; "" for the request's.
	job string
	// given are the config objects of each section by name.
	given map[string]map[string]map[string]any
	// execution and level are nil and "" when they are not given.
	execution *executionConfig
	level     string
}

// configResolver works out the config of one plan.
type configResolver struct {
	planner  *Planner
	problems wire.Problems
	layers   []configLayer // the job's first
	use      configUse     // nil when it is not known
}

// resolveConfig lays the request's config over the job's over the defaults and checks the result. computes are those
// of the run; when wanted is not known, nothing is said of what will run, and only what is given is checked.
func (p *Planner) resolveConfig(given json.RawMessage, wanted target, computes []int) (*resolvedConfig, wire.Problems, error) {
	r := &configResolver{planner: p}
	if wanted.job != nil {
		r.read(wanted.job.Name, wanted.job.Config)
	}
	r.read("", given)
	if wanted.known {
		r.use = p.configUse(computes, wanted.job)
	}
	for i := range r.layers {
		r.checkNames(&r.layers[i])
	}
	resolved := &resolvedConfig{whole: map[string]map[string]json.RawMessage{}, given: map[string]map[string]bool{}}
	for _, section := range namedSections {
		resolved.whole[section], resolved.given[section] = map[string]json.RawMessage{}, map[string]bool{}
		for _, name := range r.concerned(section) {
			config, given, err := r.resolve(section, name)
			if err != nil {
				return nil, nil, fmt.Errorf("config of %q: %w", name, err)
			}
			resolved.whole[section][name], resolved.given[section][name] = config, given
		}
	}
	resolved.execution = r.execution(wanted.job)
	for _, layer := range r.layers {
		if layer.level != "" {
			resolved.level = json.RawMessage(compactJSON(layer.level))
		}
	}
	return resolved, r.problems, nil
}

// read adds a layer; what of it cannot be read is left out, as a problem.
func (r *configResolver) read(job string, data json.RawMessage) {
	layer := configLayer{job: job, given: map[string]map[string]map[string]any{}}
	for _, section := range namedSections {
		layer.given[section] = map[string]map[string]any{}
	}
	if data != nil {
		given, problems := wire.DecodeObject(data)
		r.addAll(&layer, problems.Below("config"))
		for _, section := range slices.Sorted(maps.Keys(given)) {
			r.readSection(&layer, section, given[section])
		}
	}
	r.layers = append(r.layers, layer)
}

func (r *configResolver) readSection(layer *configLayer, section string, value any) {
	path := wire.FieldPath("config", section)
	if section == sectionExecution {
		r.readExecution(layer, value)
		return
	}
	if layer.given[section] == nil {
		r.addAll(layer, wire.Problems{{
			Path: path, Code: wire.CodeUnknownField, Message: fmt.Sprintf("unknown field %q", section), Fix: wire.FixUnknown(section, sections),
		}})
		return
	}
	entries, isObject := value.(map[string]any)
	if !isObject {
		r.addAll(layer, wire.Problems{{Path: path, Code: wire.CodeWrongType, Message: "must be an object, not " + describeValue(value)}})
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		if section == sectionLoggers && name == LevelKey {
			r.readLevel(layer, entries[name])
			continue
		}
		config, isObject := entries[name].(map[string]any)
		if !isObject {
			r.addAll(layer, wire.Problems{{Path: configPath(section, name), Code: wire.CodeWrongType, Message: "must be an object, not " + describeValue(entries[name])}})
			continue
		}
		layer.given[section][name] = config
	}
}

// concerned are the names of what takes config and is used or configured, sorted.
func (r *configResolver) concerned(section string) []string {
	names := map[string]bool{}
	enter := func(name string) {
		if r.planner.schemas[section][name] != nil {
			names[name] = true
		}
	}
	for name := range r.use[section] {
		enter(name)
	}
	for _, layer := range r.layers {
		for name := range layer.given[section] {
			enter(name)
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// resolve is the whole config under a name, and whether a layer gives any of it.
func (r *configResolver) resolve(section, name string) (config json.RawMessage, given bool, err error) {
	schema := r.planner.schemas[section][name]
	for _, layer := range r.layers {
		_, inLayer := layer.given[section][name]
		given = given || inLayer
	}
	if !given && !schema.mayRequire {
		return schema.source.Defaults, false, nil
	}
	if err := schema.compile(); err != nil {
		return nil, false, err
	}
	merged := schema.defaults
	for _, layer := range r.layers {
		merged = schema.lay(merged, layer.given[section][name])
	}
	for _, found := range schema.validate(merged) {
		r.addFound(section, name, merged, found)
	}
	if !given {
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
