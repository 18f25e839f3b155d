package definitions

import (
	"fmt"
	"net/mail"
	"reflect"
	"regexp"
	"strings"

	"github.com/perdure-io/perdure/plan"
)

const maxKinds = 3

var (
	kindForm = regexp.MustCompile(`^[a-z0-9_.-]{1,63}$`)
	teamForm = regexp.MustCompile(`^team:[A-Za-z0-9_.-]+$`)
)

// asset checks what is one asset's own.
func (v *validation) asset(a *asset) {
	v.problems = append(v.problems, a.problems()...)
	v.described(a)
	v.metadata(a)
	v.store(a)
	if a.ofType != nil {
		v.typeFits(&a.declared, a.ofType, a.typ)
	}
	if a.output && a.maker == nil {
		v.add(a.problem("", "no multi-asset lists this output", "list it in the Outs of a MultiAsset, or declare it with Asset"))
	}
	if a.output && a.maker != nil && !v.computes[a.maker] {
		v.add(v.unlisted(&a.declared, "", a.maker.root()))
	}
}

// described checks what describes an asset, where it is declared: what an output has from its multi-asset is
// that one's.
func (v *validation) described(a *asset) {
	if !a.inherited[optionGroup] && a.group != "" && !nameForm.MatchString(a.group) {
		v.add(a.problem("group", fmt.Sprintf("%q is no name of a group", a.group), nameFix))
	}
	if !a.inherited[optionOwners] {
		v.owners(&a.declared, a.owners)
	}
	if !a.inherited[optionTags] {
		v.tags(&a.declared, a.tags)
	}
	if !a.inherited[optionKinds] {
		v.kinds(a)
	}
}

func (v *validation) owners(d *declared, owners []string) {
	for _, owner := range owners {
		if !isOwner(owner) {
			v.add(d.problem("owners", fmt.Sprintf("%q is neither an e-mail address nor a team", owner), `write "ann@example.com" or "team:data"`))
		}
	}
}

func isOwner(owner string) bool {
	if strings.HasPrefix(owner, "team:") {
		return teamForm.MatchString(owner)
	}
	address, err := mail.ParseAddress(owner)
	return err == nil && address.Address == owner
}

func (v *validation) tags(d *declared, tags map[string]string) {
	for _, problem := range plan.TagProblems("tags", tags) {
		v.add(d.problem(problem.Path, problem.Message, problem.Fix))
	}
}

func (v *validation) kinds(a *asset) {
	if len(a.kinds) > maxKinds {
		v.add(a.problem("kinds", fmt.Sprintf("it has %d kinds", len(a.kinds)), fmt.Sprintf("give at most %d", maxKinds)))
	}
	for _, kind := range a.kinds {
		if !kindForm.MatchString(kind) {
			v.add(a.problem("kinds", fmt.Sprintf("%q is no kind", kind), `use lower-case letters, digits, "_", "." and "-", at most 63`))
		}
	}
}

func (v *validation) metadata(a *asset) {
	labels := map[string]bool{}
	for _, m := range a.metadata {
		if err := m.invalid(); err != nil {
			v.add(a.problem("metadata", err.Error(), "give a value that can be recorded"))
		}
		if m.kind == dataVersionKind {
			v.add(a.problem("metadata", "a data version belongs to a materialization, not to the asset", "report it in the function, or use CodeVersion"))
		}
		if labels[m.Label] {
			v.add(a.problem("metadata", fmt.Sprintf("the label %q stands twice", m.Label), "give each label once"))
		}
		labels[m.Label] = true
	}
}

// store checks that the asset's IO manager is there, and keeps values of its type.
func (v *validation) store(a *asset) { v.storage(&a.declared, a.store, a.isNothing(), a.typ) }

// storage checks what keeps values of a type.
func (v *validation) storage(d *declared, s *storage, nothing bool, typ reflect.Type) {
	if s == nil || s.need.kind == needInvalid {
		return
	}
	if nothing {
		v.add(d.problem(s.field, "there is nothing to store, for its value is Nothing", "leave "+s.option+" out"))
		return
	}
	r := s.resource()
	if r == nil {
		v.add(d.problem(s.field, s.option+" is given a source that is not one resource", "declare the IO manager with Resource"))
		return
	}
	v.needsListed(d, []need{s.need})
	if known, refusal := s.refuses(typ); known && refusal != nil {
		v.add(d.problem(s.field, fmt.Sprintf("the IO manager %q does not keep a %v: %v", r.name, typ, refusal),
			fmt.Sprintf("change the %s's type, or store it with an IO manager that keeps it", d.what)))
	}
}

// compute checks what is one step's own.
func (v *validation) compute(c *compute) {
	if c.multi {
		v.problems = append(v.problems, c.problems()...)
		v.described(c.defaults)
	}
	v.inputs(c)
	v.needsListed(&c.declared, c.needs)
	v.oneConfig(&c.declared, c.needs)
	v.requested(c)
	v.fans(c)
	v.orderedOps(c)
	v.noHook(&c.declared, c.needs)
	v.settings(c)
}

// settings checks how a step is run.
func (v *validation) settings(c *compute) {
	if c.queue != "" && !nameForm.MatchString(c.queue) {
		v.add(c.problem("queue", fmt.Sprintf("%q is no name of a queue", c.queue), nameFix))
	}
	if c.queue == "control" || c.queue == "evaluate" {
		v.add(c.problem("queue", fmt.Sprintf("the queue %q is Perdure's own", c.queue), "choose another name"))
	}
	if c.pool != "" && !nameForm.MatchString(c.pool) {
		v.add(c.problem("pool", fmt.Sprintf("%q is no name of a pool", c.pool), nameFix))
	}
	for _, f := range c.retries.faults() {
		v.add(c.problem(f.field, f.message, f.fix))
	}
	if c.timeout != nil && *c.timeout <= 0 {
		v.add(c.problem("timeout", fmt.Sprintf("the timeout is %s", c.timeout.duration()), "set a positive duration, or leave Timeout out for no bound"))
	}
	v.control(c)
}

// inputs checks the assets that a step needs.
func (v *validation) inputs(c *compute) {
	loaded := map[*asset]bool{}
	missing := map[*asset]bool{}
	check := func(field string, a *asset) {
		if !v.listed[a] && !missing[a] {
			missing[a] = true
			v.add(v.unlistedAsset(c, field, a))
		}
	}
	for _, n := range c.needs {
		n.each(nil, func(n need) {
			if n.kind == needAsset {
				loaded[n.asset] = true
				check("inputs", n.asset)
			}
		})
	}
	for _, one := range c.after {
		a := one.asset
		check("after", a)
		if loaded[a] {
			v.add(c.problem("after", fmt.Sprintf("%s is loaded and named in After, too", a.object()), "leave it out of After: what is loaded comes before anyhow"))
			loaded[a] = false // once is enough
		}
	}
}

func (v *validation) unlistedAsset(c *compute, field string, a *asset) Problem {
	for _, other := range v.definitions.assets {
		if other.name == a.name {
			return c.problem(field, fmt.Sprintf("it binds the declaration of %s at %s, and the definitions have another one, at %s", a.object(), a.at, other.at),
				"use one handle in both places")
		}
	}
	problem := v.unlisted(&c.declared, field, &a.declared)
	if a.output && a.maker != nil {
		problem.Fix = fmt.Sprintf("add %s, which makes it, to New(%q, …)", a.maker.root().object(), v.definitions.location.name)
	}
	return problem
}

// requested checks that a step which may be asked for a part can know it, and no other asks.
func (v *validation) requested(c *compute) {
	binds := false
	for _, n := range c.needs {
		n.each(nil, func(n need) { binds = binds || n.kind == needRequested })
	}
	switch {
	case binds && !c.multi:
		v.add(c.problem("inputs", "it binds Requested, which only the function of a multi-asset can", "leave Requested out"))
	case binds && !c.canSubset:
		v.add(c.problem("inputs", "it binds Requested, and is always asked for everything", "give it the option CanSubset, or leave Requested out"))
	case !binds && c.canSubset:
		v.add(c.problem("inputs", "it can be asked for some of its outputs, and its function does not learn which", "bind Requested, or leave CanSubset out"))
	}
}
