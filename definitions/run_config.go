package definitions

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/wire"
)

const runConfigFix = `write {"assets":{KEY:{…}},"ops":{PATH:{…}},"resources":{NAME:{…}},"execution":{…},"loggers":{NAME:{…}}}`

// runConfigSections are a run config as JSON.
type runConfigSections struct {
	Assets    map[string]json.RawMessage `json:"assets,omitempty"`
	Ops       map[string]json.RawMessage `json:"ops,omitempty"`
	Resources map[string]json.RawMessage `json:"resources,omitempty"`
	Loggers   map[string]json.RawMessage `json:"loggers,omitempty"`
	// Execution is the planner's affair.
	Execution json.RawMessage `json:"execution,omitempty"`
}

// runConfig writes each typed config under everything that binds it, beside what is given as JSON. It is nil when
// nothing is configured, and has one form for the same meaning. Its error is [wire.Problems].
func (d *Definitions) runConfig(given RunConfig, typed []configured) (json.RawMessage, error) {
	var sections runConfigSections
	if given != "" {
		object, problems := wire.DecodeObject([]byte(given))
		if len(problems) > 0 {
			for i := range problems {
				problems[i].Fix = runConfigFix
			}
			return nil, problems
		}
		if len(typed) == 0 {
			return json.Marshal(object) // sorted; the planner checks what is in it
		}
		decoder := json.NewDecoder(strings.NewReader(string(given)))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&sections); err != nil {
			return nil, wire.Problems{{Code: wire.CodeInvalid, Message: err.Error(), Fix: runConfigFix}}
		}
	}
	var problems wire.Problems
	for _, c := range typed {
		problems = append(problems, d.configure(&sections, c)...)
	}
	switch {
	case len(problems) > 0:
		return nil, problems
	case given == "" && sections.Assets == nil && sections.Ops == nil && sections.Resources == nil && sections.Loggers == nil:
		return nil, nil
	}
	return json.Marshal(sections)
}

func (d *Definitions) configure(sections *runConfigSections, c configured) wire.Problems {
	value, err := c.encoded()
	if err != nil {
		if problems := wire.ProblemsOf(err); problems != nil {
			return problems
		}
		return wire.Problems{{Code: wire.CodeInvalid, Message: err.Error(), Fix: "use values that JSON has"}}
	}
	var problems wire.Problems
	found := false
	enter := func(section *map[string]json.RawMessage, title, name string) {
		found = true
		if _, doubled := (*section)[name]; doubled {
			problems = append(problems, wire.Problem{Path: wire.FieldPath(title, name), Code: wire.CodeConflict, Message: fmt.Sprintf("%q is configured twice", name), Fix: "configure it once"})
		}
		if *section == nil {
			*section = map[string]json.RawMessage{}
		}
		(*section)[name] = value
	}
	graphs := map[string]bool{}
	for _, one := range d.computes {
		mapped := one.mappedConfig()
		switch {
		case mapped != nil && mapped.outer == c.config:
			if name := one.family.named(mapped.graph.name); !graphs[name] {
				graphs[name] = true
				enter(&sections.Ops, "ops", name)
			}
		case mapped != nil || !slices.Contains(configsOf(one.needs), c.config):
		case one.node != nil:
			enter(&sections.Ops, "ops", one.name)
		default:
			enter(&sections.Assets, "assets", one.name)
		}
	}
	for _, r := range d.resources {
		if slices.Contains(configsOf(r.needs), c.config) {
			enter(&sections.Resources, "resources", r.name)
		}
	}
	for _, l := range d.loggers {
		if slices.Contains(configsOf(l.needs), c.config) {
			enter(&sections.Loggers, "loggers", l.name)
		}
	}
	if !found {
		problems = append(problems, wire.Problem{Code: wire.CodeUnknown, Message: fmt.Sprintf("nothing here binds the config %s (%s)", c.config.name, c.config.at), Fix: "bind it, or leave Configure out"})
	}
	return problems
}

// overConfig lays typed config over a job's, to which given is laid by the planner.
func (d *Definitions) overConfig(job json.RawMessage, given RunConfig, typed []configured) (json.RawMessage, error) {
	if _, err := d.runConfig(given, typed); err != nil {
		return nil, err
	}
	over, err := d.runConfig("", typed)
	if err != nil || over == nil {
		return job, err
	}
	var merged, added runConfigSections
	if err := json.Unmarshal(over, &added); err != nil {
		return nil, fmt.Errorf("lay config over that of the job: %w", err)
	}
	if len(job) > 0 {
		if err := json.Unmarshal(job, &merged); err != nil {
			return nil, fmt.Errorf("lay config over that of the job: %w", err)
		}
	}
	merged.Assets = laidOver(merged.Assets, added.Assets)
	merged.Ops = laidOver(merged.Ops, added.Ops)
	merged.Resources = laidOver(merged.Resources, added.Resources)
	merged.Loggers = laidOver(merged.Loggers, added.Loggers)
	return json.Marshal(merged)
}

func laidOver(under, over map[string]json.RawMessage) map[string]json.RawMessage {
	if under == nil {
		return over
	}
	maps.Copy(under, over)
	return under
}
