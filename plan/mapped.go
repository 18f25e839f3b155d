package plan

import (
	"iter"
	"slices"
	"sort"
	"strings"
)

// mapped is what a progress knows of the steps that are mapped over a dynamic output.
type mapped struct {
	walk *Walk
	// templates are those over each fan, ascending; place is a template's position among them.
	templates map[int][]int
	place     map[int]int
	// tallies are of every template.
	tallies map[int]*tally
	// groups are the mapped steps of each fan that gave keys; order has them in the order in which the fans ended, which is
	// that of their numbers.
	groups map[int]*group
	order  []*group
	// positions of the walk's steps by key; nil until somebody asks.
	positions map[string]int
}

// tally counts the mapped steps of one template.
type tally struct {
	steps int
	// open have not ended, missing were skipped or emitted nothing, failed are those because of which nothing that
	// collects them can run.
	open, missing, failed int
}

// group is the steps mapped over one fan: for each key one of every template.
type group struct {
	fan       int
	first     int
	keys      []string
	templates []int
}

// step is the number of a mapped step.
func (g *group) step(key, place int) int { return g.first + key*len(g.templates) + place }

func newMapped(walk *Walk) mapped {
	m := mapped{walk: walk, templates: map[int][]int{}, place: map[int]int{}, tallies: map[int]*tally{}, groups: map[int]*group{}}
	for i := range walk.Steps {
		if fan := m.fanOf(i); fan >= 0 {
			m.place[i] = len(m.templates[fan])
			m.templates[fan] = append(m.templates[fan], i)
			m.tallies[i] = &tally{}
		}
	}
	return m
}

// fanOf is the step that a step of the walk is mapped over; -1 when it is no template.
func (m *mapped) fanOf(step int) int {
	if step >= len(m.walk.Steps) {
		return -1
	}
	return m.walk.Steps[step].Over - 1
}

// add makes room for the steps mapped over a fan.
func (m *mapped) add(fan, first int, keys []string) *group {
	g := &group{fan: fan, first: first, keys: slices.Clone(keys), templates: m.templates[fan]}
	m.groups[fan] = g
	m.order = append(m.order, g)
	for _, template := range g.templates {
		m.tallies[template].steps, m.tallies[template].open = len(keys), len(keys)
	}
	return g
}

// Len is how many steps there are: those of the walk, and those mapped over the dynamic outputs that are known by now.
func (p *Progress) Len() int { return len(p.states) }

// IsTemplate says whether a step only stands for those that are mapped by it.
func (p *Progress) IsTemplate(step int) bool { return p.mapped.fanOf(step) >= 0 }

// Key is a step's key: of a mapped one the template's with the mapping key, as "etl.clean[page_3]".
func (p *Progress) Key(step int) string {
	g, key, template := p.instance(step)
	if g == nil {
		return p.walk.Steps[step].Key
	}
	return MappedKey(p.walk.Steps[template].Key, g.keys[key])
}

// MappingKey is the key of the dynamic output that a step is for; "" when it is not mapped.
func (p *Progress) MappingKey(step int) string {
	g, key, _ := p.instance(step)
	if g == nil {
		return ""
	}
	return g.keys[key]
}

// Step is a step as it is scheduled. That of a mapped one has its own key, and neither followers nor inputs.
func (p *Progress) Step(step int) WalkStep {
	g, key, template := p.instance(step)
	if g == nil {
		return p.walk.Steps[step]
	}
	of := &p.walk.Steps[template]
	return WalkStep{Key: MappedKey(of.Key, g.keys[key]), Type: of.ActivityType(), Kind: of.Kind}
}

// Find is the step of a key; ok is false when there is none, or its dynamic output is not known yet.
func (p *Progress) Find(key string) (step int, ok bool) {
	if p.mapped.positions == nil {
		p.mapped.positions = make(map[string]int, len(p.walk.Steps))
		for i := range p.walk.Steps {
			p.mapped.positions[p.walk.Steps[i].Key] = i
		}
	}
	if step, ok = p.mapped.positions[key]; ok {
		return step, true
	}
	name, mapping, isMapped := SplitMappedKey(key)
	template, known := p.mapped.positions[name]
	if !isMapped || !known {
		return 0, false
	}
	g := p.mapped.groups[p.mapped.fanOf(template)]
	if g == nil {
		return 0, false
	}
	position := slices.Index(g.keys, mapping)
	if position < 0 {
		return 0, false
	}
	return g.step(position, p.mapped.place[template]), true
}

// MappedKey is the step key of what is mapped by a template for one key of a dynamic output: "etl.clean[page_3]".
func MappedKey(template, key string) string { return template + "[" + key + "]" }

// SplitMappedKey takes a step key apart that MappedKey made; ok is false for the key of a step that is not mapped.
func SplitMappedKey(step string) (template, key string, ok bool) {
	inner, closed := strings.CutSuffix(step, "]")
	if !closed {
		return step, "", false
	}
	open := strings.LastIndexByte(inner, '[')
	if open < 0 {
		return step, "", false
	}
	return inner[:open], inner[open+1:], true
}

// instance is the group, the position of the key and the template of a mapped step; g is nil for a step of the walk.
func (p *Progress) instance(step int) (g *group, key, template int) {
	if step < len(p.walk.Steps) {
		return nil, 0, 0
	}
	groups := p.mapped.order
	g = groups[sort.Search(len(groups), func(i int) bool { return groups[i].first > step })-1]
	key, place := (step-g.first)/len(g.templates), (step-g.first)%len(g.templates)
	return g, key, g.templates[place]
}

// walkStep is the step of the walk that a step is, or is mapped by.
func (p *Progress) walkStep(step int) *WalkStep {
	if g, _, template := p.instance(step); g != nil {
		step = template
	}
	return &p.walk.Steps[step]
}

// resolve is the step that a mapped one with this key means by a step of the walk: of a template over the same fan the
// one with the same key.
func (p *Progress) resolve(need int, g *group, key int) int {
	if g != nil && p.mapped.fanOf(need) == g.fan {
		return g.step(key, p.mapped.place[need])
	}
	return need
}

// needsOf are the steps that a step needs, templates of collected ones among them.
func (p *Progress) needsOf(step int) iter.Seq[int] {
	return func(yield func(int) bool) {
		g, key, template := p.instance(step)
		of := step
		if g != nil {
			of = template
		}
		for _, need := range p.needs[p.needsFrom[of]:p.needsFrom[of+1]] {
			if !yield(p.resolve(need, g, key)) {
				return
			}
		}
	}
}

// openIn are the steps that a need still waits for: itself, or the open ones among its mapped steps.
func (p *Progress) openIn(need int) iter.Seq[int] {
	return func(yield func(int) bool) {
		if p.states[need].ended() {
			return
		}
		g := p.mapped.groups[p.mapped.fanOf(need)]
		if g == nil {
			yield(need)
			return
		}
		for key := range g.keys {
			if step := g.step(key, p.mapped.place[need]); !p.states[step].ended() && !yield(step) {
				return
			}
		}
	}
}

// expand adds the steps mapped over a fan that has just succeeded.
func (p *Progress) expand(fan int, keys []string) {
	if len(keys) == 0 || len(p.mapped.templates[fan]) == 0 {
		p.endTemplates(fan)
		return
	}
	g := p.addGroup(fan, keys)
	for step := g.first; step < len(p.states); step++ {
		p.unmet[step] = p.countUnmet(step)
	}
	// They may end at once, and others hear of that: all of them are there by now.
	for step := g.first; step < len(p.states); step++ {
		if p.unmet[step] == 0 && p.states[step] == stateWaiting {
			p.decide(step)
		}
	}
}

// addGroup adds waiting steps, whose needs are not counted yet.
func (p *Progress) addGroup(fan int, keys []string) *group {
	g := p.mapped.add(fan, len(p.states), keys)
	count := len(keys) * len(g.templates)
	p.states = append(p.states, make([]stepState, count)...)
	p.unmet = append(p.unmet, make([]int, count)...)
	p.counts[stateWaiting] += count
	return g
}

func (p *Progress) countUnmet(step int) int {
	unmet := 0
	for need := range p.needsOf(step) {
		if !p.states[need].ended() {
			unmet++
		}
	}
	return unmet
}

// endTemplates ends the templates over a fan that has ended and has no steps for them.
func (p *Progress) endTemplates(fan int) {
	for _, template := range p.mapped.templates[fan] {
		p.states[template] = p.templateState(template)
		p.news = append(p.news, template)
	}
}

// templateState is how a template stands, by its fan and the steps that are mapped by it.
func (p *Progress) templateState(template int) stepState {
	switch fan := p.states[p.mapped.fanOf(template)]; {
	case !fan.ended() || p.mapped.tallies[template].open > 0:
		return stateWaiting
	case fan == stateSkipped:
		return stateSkipped
	case fan.failed():
		return stateUpstreamFailed
	default:
		return stateSuccess
	}
}

// spreadMapped tells of the end of a mapped step those with the same key, and ends its template with the last of them.
func (p *Progress) spreadMapped(step int, g *group, key, template int) {
	p.countEnd(step, template)
	for _, next := range p.walk.Steps[template].Next {
		if p.mapped.fanOf(next) == g.fan {
			p.countDown(g.step(key, p.mapped.place[next]))
		}
	}
	if p.mapped.tallies[template].open == 0 {
		p.states[template] = p.templateState(template)
		p.news = append(p.news, template)
	}
}

func (p *Progress) countEnd(step, template int) {
	tally := p.mapped.tallies[template]
	tally.open--
	switch {
	case p.states[step].failed():
		tally.failed++
	case p.missing(step, nil):
		tally.missing++
	}
}
