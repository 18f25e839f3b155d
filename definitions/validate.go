package definitions

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// Validate finds everything that is wrong with the definitions, at once. The error is [ProblemList], nil when they
// are valid. It runs none of the user's functions but the Accepts of IO managers, and needs no connection.
func (d *Definitions) Validate() error {
	if d == nil {
		return ProblemList{{Object: "location", At: place(), Message: "its definitions are nil", Fix: "make them with New"}}
	}
	v := &validation{definitions: d, listed: setOf(d.assets), computes: setOf(d.computes, d.families), resources: setOf(d.resources), logging: setOf(d.loggers)}
	v.names()
	for _, a := range d.assets {
		v.asset(a)
	}
	for _, c := range d.computes {
		if c.node == nil {
			v.compute(c)
		}
	}
	v.ops()
	v.families()
	v.partitions()
	for _, r := range d.resources {
		v.resource(r)
	}
	v.hookConfigs()
	v.opStores()
	v.loggers()
	for _, c := range v.configs() {
		v.problems = append(v.problems, c.problems()...)
	}
	v.remotes()
	v.cycles()
	v.jobs()
	v.triggers()
	return v.problems.err()
}

// validation collects the problems of one Definitions.
type validation struct {
	definitions *Definitions
	// listed, computes and resources are what is among the definitions.
	listed    map[*asset]bool
	computes  map[*compute]bool
	resources map[*resource]bool
	// logging are the log handlers.
	logging map[*resource]bool
	// cyclic are the computes that need each other in a circle.
	cyclic map[*compute]bool
	// planner is of all jobs that can be planned; nil when there is none.
	planner  *plan.Planner
	problems ProblemList
}

func setOf[T comparable](lists ...[]T) map[T]bool {
	set := map[T]bool{}
	for _, list := range lists {
		for _, one := range list {
			set[one] = true
		}
	}
	return set
}

func (v *validation) add(problem Problem) { v.problems = append(v.problems, problem) }

var (
	keyForm  = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$`)
	nameForm = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
)

const (
	keyFix     = `use parts of letters, digits, "_", "." and "-", joined by "/"`
	nameFix    = `use letters, digits, "_", "." and "-"`
	maxKeySize = 500
)

// keyFault says why a text is no key; "" when it is one.
func keyFault(key string) (message, fix string) {
	switch {
	case key == "":
		return "the key is empty", keyFix
	case !keyForm.MatchString(key):
		return fmt.Sprintf("%q is no key", key), keyFix
	case len(key) > maxKeySize:
		return fmt.Sprintf("the key has %d characters", len(key)), fmt.Sprintf("use at most %d", maxKeySize)
	case strings.HasPrefix(key, wire.SystemPrefix):
		return fmt.Sprintf("%q begins with %q, which is Perdure's own", key, wire.SystemPrefix), "choose another key"
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "." || part == ".." {
			return fmt.Sprintf("%q has the part %q, which a path takes for a folder", key, part), "choose another part"
		}
	}
	return "", ""
}

// names checks that every name is one, and is there once.
func (v *validation) names() {
	d := v.definitions
	if name := d.location.name; !nameForm.MatchString(name) || len(name) > maxKeySize {
		v.add(d.location.problem("name", fmt.Sprintf("%q is no name of a location", name), nameFix))
	} else if strings.HasPrefix(name, "perdure.") || strings.HasPrefix(name, "perdure-") {
		v.add(d.location.problem("name", fmt.Sprintf("%q begins as the names that are Perdure's own", name), "choose another name"))
	}
	v.problems = append(v.problems, d.location.problems()...)

	keys := map[string]*declared{}
	for _, a := range d.assets {
		v.key(&a.declared)
		v.first(keys, &a.declared, "key")
	}
	for _, c := range slices.Concat(d.computes, d.families) {
		switch {
		case c.multi:
			v.key(&c.declared)
			v.first(keys, &c.declared, "name")
		case c.node != nil && !c.node.broken:
			v.first(keys, &c.declared, "name")
		}
	}
	v.graphNames(keys)
	resources := map[string]*declared{}
	for _, r := range slices.Concat(d.resources, d.loggers) {
		v.name(&r.declared)
		v.first(resources, &r.declared, "name")
	}
	jobs := map[string]*declared{}
	for _, j := range d.jobs {
		v.name(&j.declared)
		v.first(jobs, &j.declared, "name")
	}
	triggers := map[string]*declared{}
	for _, s := range d.schedules {
		v.name(&s.declared)
		v.first(triggers, &s.declared, "name")
	}
	for _, s := range d.sensors {
		v.name(&s.declared)
		v.first(triggers, &s.declared, "name")
	}
}

func (v *validation) key(d *declared) {
	if message, fix := keyFault(d.name); message != "" {
		v.add(d.problem("key", message, fix))
	}
}

func (v *validation) name(d *declared) {
	if !nameForm.MatchString(d.name) || len(d.name) > maxKeySize {
		v.add(d.problem("name", fmt.Sprintf("%q is no name of a %s", d.name, d.what), nameFix))
	}
}

// first remembers a declaration under its name, and reports one that has the name of another.
func (v *validation) first(seen map[string]*declared, d *declared, field string) {
	other, doubled := seen[d.name]
	if !doubled {
		seen[d.name] = d
		return
	}
	places := sorted([]string{d.at, other.at}) // whichever of the two was listed first
	problem := d.problem(field, fmt.Sprintf("it is declared twice, at %s and at %s", places[0], places[1]), "rename one of the two, or leave it out")
	switch {
	case d.what != other.what:
		problem.Message = fmt.Sprintf("%s (%s) has the same name", other.object(), other.at)
		problem.Fix = "rename one of the two: assets, multi-assets, ops and graphs share one space of names"
		switch d.what {
		case "logger", "resource":
			problem.Fix = "rename one of the two: resources and loggers share one space of names"
		case "schedule", "sensor":
			problem.Fix = "rename one of the two: schedules and sensors share one space of names"
		}
	case d.what == "op":
		problem.Message = fmt.Sprintf("there are two of this name, declared at %s and at %s", places[0], places[1])
		problem.At, problem.Fix = places[0], "give the two ops two names, also where they run the same function"
	default:
		problem.At = places[0]
	}
	v.add(problem)
}

// configs are all that something binds, each once.
func (v *validation) configs() []*config {
	var all []*config
	for _, c := range v.definitions.computes {
		all = append(all, configsOf(c.needs)...)
		if mapped := c.mappedConfig(); mapped != nil {
			all = append(all, mapped.outer)
		}
		for _, h := range c.control.hooks {
			all = append(all, configsOf(h.run.needs)...)
		}
	}
	for _, r := range slices.Concat(v.definitions.resources, v.definitions.loggers) {
		all = append(all, configsOf(r.needs)...)
	}
	for _, j := range v.definitions.jobs {
		for _, h := range j.control.hooks {
			all = append(all, configsOf(h.run.needs)...)
		}
	}
	return once(all)
}

// keepsValues says whether the resource is an IO manager, or an input manager.
func (r *resource) keepsValues() bool { return r.typ.Implements(reflect.TypeFor[InputManager]()) }

// resource checks one resource.
func (v *validation) resource(r *resource) {
	v.problems = append(v.problems, r.problems()...)
	for _, n := range r.needs {
		n.each(nil, func(n need) {
			switch n.kind {
			case needAsset:
				v.add(r.problem("inputs", fmt.Sprintf("it is opened with %s (%s), and a resource outlives the runs that make it", n.asset.object(), n.asset.at),
					"bind only other resources and config"))
			case needRequested:
				v.add(r.problem("inputs", "it binds Requested, which only the function of a multi-asset can", "bind only other resources and config"))
			case needPartition, needPrevious, needReport:
				v.add(r.problem("inputs", "it binds "+n.describe()+", which only a step's function can", "bind only other resources and config"))
			case needMappingKey:
				v.add(r.problem("inputs", "it binds MappingKey, which only a mapped op can", "bind only other resources and config"))
			case needOp, needElement, needCollect:
				v.add(r.problem("inputs", fmt.Sprintf("it is opened with the value of op %q (%s), and a resource outlives the runs that make it", n.node.name, n.node.at),
					"bind only other resources and config"))
			default:
			}
		})
	}
	v.needsListed(&r.declared, r.needs)
	v.noHook(&r.declared, r.needs)
	v.oneConfig(&r.declared, r.needs)
	if r.accepts != nil && !r.keepsValues() {
		v.add(r.problem("accepts", fmt.Sprintf("it has the option Accepts, and %v is no IO manager", r.typ), "leave Accepts out"))
	}
}

// needsListed reports resources that are bound and not among the definitions.
func (v *validation) needsListed(d *declared, needs []need) {
	for _, r := range resourcesOf(needs) {
		if !v.resources[r] {
			v.add(v.unlisted(d, "resources", &r.declared))
		}
	}
}

// unlisted is a need that is not among the definitions.
func (v *validation) unlisted(d *declared, field string, needed *declared) Problem {
	return d.problem(field, fmt.Sprintf("it needs %s (%s), which is not among the definitions", needed.object(), needed.at),
		fmt.Sprintf("add it to New(%q, …)", v.definitions.location.name))
}

func (v *validation) oneConfig(d *declared, needs []need) {
	if found := configsOf(needs); len(found) > 1 {
		v.add(d.problem("config", fmt.Sprintf("it binds two configs, %s (%s) and %s (%s)", found[0].name, found[0].at, found[1].name, found[1].at),
			"put both into one struct"))
	}
}
