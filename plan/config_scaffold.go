package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/wire"
)

// JobContents is a job and what it is made of.
type JobContents struct {
	Job Job
	// Assets are the keys of those that it makes, Ops the names of the ops that it runs, both sorted.
	Assets []string
	Ops    []string
}

// JobContents looks at a job of the location. Its error is [wire.Problems] when there is no such job.
func (p *Planner) JobContents(name string) (JobContents, error) {
	wanted, problems := p.resolve(wire.RunRequest{Job: name})
	if err := problems.Err(); err != nil {
		return JobContents{}, err
	}
	contents := JobContents{Job: *wanted.job}
	for _, a := range wanted.assets {
		contents.Assets = append(contents.Assets, p.snapshot.Assets[a].Key)
	}
	for _, c := range p.computesOf(wanted) {
		if compute := &p.snapshot.Computes[c]; compute.Op {
			contents.Ops = append(contents.Ops, compute.Name)
		}
	}
	slices.Sort(contents.Ops)
	return contents, nil
}

// ScaffoldConfig is a run config for a job, as YAML, with everything in it that the job's runs can be configured with.
// What holds by itself is commented out by a "#" without a space behind it; what is required has an example for a value.
// Of the facts it takes the instance's defaults. Its error is [wire.Problems] when there is no such job.
func (p *Planner) ScaffoldConfig(job string, facts Facts) (string, error) {
	wanted, problems := p.resolve(wire.RunRequest{Job: job})
	if err := problems.Err(); err != nil {
		return "", err
	}
	limits, err := facts.Limits.orDefault()
	if err != nil {
		return "", err
	}
	r := &configResolver{planner: p, use: p.configUse(p.computesOf(wanted), wanted.job)}
	r.read(job, wanted.job.Config)
	r.checkNames(&r.layers[0])
	if err := r.problems.Err(); err != nil {
		return "", err
	}
	s := &scaffold{planner: p, layer: &r.layers[0]}
	s.text.WriteString("# Run config of job " + job + ` of location ` + p.snapshot.Location + `.
# What is commented out by a "#" without a space behind it holds by itself. To change it, remove that "#", and those of
# the lines it stands below. What is required stands here with an example.
`)
	for _, section := range namedSections {
		if section == sectionLoggers {
			s.section(sectionExecution, s.execution(r.execution(wanted.job), facts.Executor, limits))
		}
		var entries []scaffoldLine
		if section == sectionLoggers {
			entries = s.level()
		}
		for _, name := range slices.Sorted(maps.Keys(r.use[section])) {
			if schema := p.schemas[section][name]; schema != nil {
				if err := schema.compile(); err != nil {
					return "", fmt.Errorf("config of %q: %w", name, err)
				}
				entries = append(entries, s.entry(section, name, schema)...)
			}
		}
		s.section(section, entries)
	}
	return s.text.String(), nil
}

// scaffold writes a template.
type scaffold struct {
	planner *Planner
	layer   *configLayer // the job's
	text    strings.Builder
}

// scaffoldLine is a line of a template, or a comment.
type scaffoldLine struct {
	depth   int
	comment bool
	// live lines are not commented out.
	live bool
	text string
}

func comments(depth int, text string) []scaffoldLine {
	var lines []scaffoldLine
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	for line := range strings.Lines(text) {
		lines = append(lines, scaffoldLine{depth: depth, comment: true, text: strings.TrimSpace(line)})
	}
	return lines
}

// above puts a line above those of its members: it is live when any of these is.
func above(depth int, name string, members []scaffoldLine) []scaffoldLine {
	live := slices.ContainsFunc(members, func(line scaffoldLine) bool { return line.live })
	return append([]scaffoldLine{{depth: depth, live: live, text: yamlKey(name) + ":"}}, members...)
}

func (s *scaffold) section(name string, entries []scaffoldLine) {
	if len(entries) == 0 {
		return
	}
	s.text.WriteString("\n")
	for _, line := range above(0, name, entries) {
		mark := "#"
		switch {
		case line.comment:
			mark = "# "
		case line.live:
			mark = ""
		}
		s.text.WriteString(strings.Repeat("  ", line.depth) + mark + line.text + "\n")
	}
}

// entry is the config of one thing.
func (s *scaffold) entry(section, name string, schema *configSchema) []scaffoldLine {
	root, _ := schema.document.(map[string]any)
	f := scaffoldFields{schema: schema}
	given := s.layer.given[section][name]
	members := f.fields(2, root, scaffoldValues{schema.lay(schema.defaults, given), given, schema.defaults}, false)
	lines := comments(1, s.describe(section, name))
	if len(members) == 0 {
		return append(lines, scaffoldLine{depth: 1, text: yamlKey(name) + ": {}"})
	}
	return append(lines, above(1, name, members)...)
}

// describe says what it is that takes config.
func (s *scaffold) describe(section, name string) string {
	c, isCompute := s.planner.computes[name]
	switch {
	case section == sectionOps && !isCompute:
		return "Graph: its ops get what it makes of this config."
	case section == sectionOps:
		return s.planner.snapshot.Computes[c].Description
	case section != sectionAssets:
		return ""
	}
	if outputs := s.planner.snapshot.Computes[c].Outputs; len(outputs) > 1 || (len(outputs) == 1 && outputs[0] != name) {
		return "Makes " + strings.Join(outputs, ", ") + "."
	}
	return s.planner.snapshot.Assets[s.planner.assets[name]].Description
}

func (s *scaffold) execution(laid execution, instance Executor, limits Limits) []scaffoldLine {
	executor := Executor{Kind: cmp.Or(instance.Kind, ExecutorActivity), MemoryLimit: instance.MemoryLimit}
	if laid.executor != nil {
		executor = *laid.executor
	}
	value := func(depth int, name string, value any) scaffoldLine {
		return scaffoldLine{depth: depth, text: name + ": " + compactJSON(value)}
	}
	tagLimits := laid.tagLimits
	if tagLimits == nil {
		tagLimits = []TagLimit{}
	}
	var lines []scaffoldLine
	lines = append(lines, comments(1, "How steps run that do not choose themselves.")...)
	lines = append(lines, above(1, "executor", slices.Concat(
		comments(2, "one of "+strings.Join(executorKinds, ", ")), []scaffoldLine{value(2, "kind", executor.Kind)},
		comments(2, `bytes, or text such as "512MiB"; for the kind subprocess; 0 is no limit`), []scaffoldLine{value(2, "memory_limit", memorySize(executor.MemoryLimit))},
	))...)
	lines = append(lines, comments(1, fmt.Sprintf("How many steps run at once: whole number, 1 to %d.", maxConcurrentSteps))...)
	lines = append(lines, value(1, "max_concurrent_steps", cmp.Or(laid.maxConcurrentSteps, limits.MaxConcurrentSteps)))
	lines = append(lines, comments(1, `How many steps with a tag run at once: list of {key: TAG, limit: NUMBER}, with "value" for only
that value of the tag, or "per_value: true" for each value by itself.`)...)
	return append(lines, value(1, "tag_limits", tagLimits))
}

func (s *scaffold) level() []scaffoldLine {
	return append(comments(1, "From which level on the log of steps is kept: one of "+strings.Join(logLevels, ", ")+"."),
		scaffoldLine{depth: 1, text: LevelKey + ": " + cmp.Or(s.layer.level, "INFO")})
}

// yamlKey is a name as a key of a YAML object.
func yamlKey(name string) string {
	if plainYAMLKey.MatchString(name) && !slices.Contains(yamlWords, strings.ToLower(name)) {
		return name
	}
	return compactJSON(name)
}
