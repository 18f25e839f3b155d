package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/wire"
)

// checkNames drops from a layer, as a problem, what names nothing that takes config, and what the run does not use. A
// job's config for what was not selected is dropped in silence.
func (r *configResolver) checkNames(layer *configLayer) {
	for _, section := range namedSections {
		for _, name := range slices.Sorted(maps.Keys(layer.given[section])) {
			problem := r.planner.nameProblem(section, name)
			unused := r.use != nil && !r.use[section][name]
			if problem.Code == "" && unused && layer.job == "" {
				problem = r.unusedProblem(section, name)
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

// unusedProblem says that a run does not use what is configured.
func (r *configResolver) unusedProblem(section, name string) wire.Problem {
	problem := wire.Problem{
		Code: wire.CodeInvalid, Message: fmt.Sprintf("config is given for %q, which is not in the selection", name), Fix: "select it or leave its config out",
	}
	switch section {
	case sectionResources:
		problem.Message, problem.Fix = fmt.Sprintf("config is given for resource %q, which nothing selected uses", name), "leave its config out"
	case sectionLoggers:
		problem.Message, problem.Fix = fmt.Sprintf("config is given for logger %q, which no job of this run has", name), "leave its config out"
	case sectionOps:
		if _, isOp := r.planner.computes[name]; !isOp {
			problem.Message = fmt.Sprintf("config is given for graph %q, of which no op is in the selection", name)
			problem.Fix = "select one or leave its config out"
		}
	}
	return problem
}

// nameProblem says why a name takes no config in a section; its code is "" when it does.
func (p *Planner) nameProblem(section, name string) wire.Problem {
	if p.schemas[section][name] != nil {
		return wire.Problem{}
	}
	switch section {
	case sectionResources:
		_, known := p.resources[name]
		return p.noConfig("resource", name, known, slices.Sorted(maps.Keys(p.resources)))
	case sectionLoggers:
		var names []string
		for _, logger := range p.snapshot.Loggers {
			names = append(names, logger.Name)
		}
		return p.noConfig("logger", name, slices.Contains(names, name), append(names, LevelKey))
	case sectionOps:
		return p.opNameProblem(name)
	default:
		return p.assetNameProblem(name)
	}
}

func (p *Planner) noConfig(what, name string, known bool, takers []string) wire.Problem {
	if known {
		return wire.Problem{Code: wire.CodeInvalid, Message: fmt.Sprintf("%s %q takes no config", what, name), Fix: "leave it out"}
	}
	return wire.Problem{Code: wire.CodeUnknown, Message: fmt.Sprintf("there is no %s %q", what, name), Fix: wire.FixUnknown(name, takers)}
}

func (p *Planner) assetNameProblem(name string) wire.Problem {
	if c, known := p.computes[name]; known {
		if p.snapshot.Computes[c].Op {
			return misplaced("an op", name, sectionOps)
		}
		return p.noConfig("asset", name, true, nil)
	}
	a, known := p.assets[name]
	if !known {
		if p.schemas[sectionOps][name] != nil {
			return misplaced("a graph", name, sectionOps)
		}
		return p.noConfig("asset or multi-asset", name, false, slices.Sorted(maps.Keys(p.schemas[sectionAssets])))
	}
	c := p.computeOf[a]
	if c < 0 {
		return p.noConfig("asset", name, true, nil)
	}
	maker := &p.snapshot.Computes[c]
	if !maker.Op {
		return wire.Problem{
			Code: wire.CodeInvalid, Message: fmt.Sprintf("asset %q has no config of its own: multi-asset %q makes it", name, maker.Name),
			Fix: fmt.Sprintf("write it under %q", maker.Name),
		}
	}
	return p.graphAssetProblem(name, c, fmt.Sprintf("in %q ", sectionOps))
}

// graphAssetProblem says of an asset made by an op where the config of its ops stands.
func (p *Planner) graphAssetProblem(name string, c int, where string) wire.Problem {
	names := map[string]bool{}
	for _, op := range p.withOps([]int{c}) {
		if taker := p.snapshot.Computes[op].configName(); p.schemas[sectionOps][taker] != nil {
			names[taker] = true
		}
	}
	if len(names) == 0 {
		return p.noConfig("asset", name, true, nil)
	}
	return wire.Problem{
		Code: wire.CodeInvalid, Message: fmt.Sprintf("asset %q has no config of its own: the ops of a graph make it", name),
		Fix: "write it " + where + "under " + listed(slices.Sorted(maps.Keys(names))),
	}
}

func (p *Planner) opNameProblem(name string) wire.Problem {
	if c, known := p.computes[name]; known {
		compute := &p.snapshot.Computes[c]
		switch {
		case !compute.Op:
			return misplaced("an asset", name, sectionAssets)
		case compute.ConfigUnder != "":
			return graphTakes("op", name, compute.ConfigUnder)
		}
		return p.noConfig("op", name, true, nil)
	}
	if a, known := p.assets[name]; known {
		if c := p.computeOf[a]; c >= 0 && p.snapshot.Computes[c].Op {
			return p.graphAssetProblem(name, c, "")
		}
		return p.assetNameProblem(name)
	}
	// A graph without config of its own is known by its ops.
	var inside []string
	isGraph := false
	for i := range p.snapshot.Computes {
		compute := &p.snapshot.Computes[i]
		if !compute.Op || !strings.HasPrefix(compute.Name, name+".") {
			continue
		}
		isGraph = true
		switch {
		case compute.ConfigUnder != "":
			return graphTakes("graph", name, compute.ConfigUnder)
		case compute.Config != nil:
			inside = append(inside, compute.Name)
		}
	}
	switch {
	case !isGraph:
		return p.noConfig("op or graph", name, false, slices.Sorted(maps.Keys(p.schemas[sectionOps])))
	case len(inside) == 0:
		return p.noConfig("graph", name, true, nil)
	}
	slices.Sort(inside)
	return wire.Problem{
		Code: wire.CodeInvalid, Message: fmt.Sprintf("graph %q has no config of its own: its ops do", name), Fix: "write it under " + listed(inside),
	}
}

func misplaced(what, name, section string) wire.Problem {
	return wire.Problem{Code: wire.CodeInvalid, Message: fmt.Sprintf("%q is %s", name, what), Fix: fmt.Sprintf("write its config in %q", section)}
}

func graphTakes(what, name, graph string) wire.Problem {
	return wire.Problem{
		Code: wire.CodeInvalid, Message: fmt.Sprintf("%s %q has no config of its own: graph %q makes it of the graph's", what, name, graph),
		Fix: fmt.Sprintf("write the config of graph %q", graph),
	}
}
