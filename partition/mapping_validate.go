package partition

import (
	"fmt"
	"slices"
	"strings"
)

func unknownKind(kind MappingKind) Problem {
	return Problem{
		Field: "kind", Message: fmt.Sprintf("%q is not known", kind),
		Fix: "use identity, all, last, specific, static, time, dimension, grid or custom, or leave it out",
	}
}

// validate adds everything for which the mapping does not fit the definitions.
func (m Mapping) validate(prefix string, upstream, downstream *Partitions, problems *Problems) {
	add := func(field, fix, message string, arguments ...any) {
		problems.add(prefix+field, fix, message, arguments...)
	}
	for _, field := range m.unread() {
		add(field, "leave it out", "a mapping of kind %q does not read %s", m.Kind, field)
	}
	if m.Kind == "" {
		m = m.resolve(upstream, downstream)
	}
	switch m.Kind {
	case MapAll, MapLast:
	case MapIdentity:
		if (upstream.kind == KindSingle) != (downstream.kind == KindSingle) {
			add("kind", "use all or last", "an identity needs partitions on both sides or on neither")
		}
	case MapSpecific:
		if len(m.Keys) == 0 {
			add("keys", "give the upstream keys", "no keys are given")
		}
		for i, key := range m.Keys {
			if reason := upstream.neverHas(key); reason != "" {
				add(fmt.Sprintf("keys[%d]", i), "use a key of the upstream", "%q is not a key of the upstream: %s", key, reason)
			}
		}
	case MapStatic:
		m.validateStatic(add, upstream, downstream)
	case MapTime:
		m.validateTime(add, upstream, downstream)
	case MapDimension:
		m.validateDimension(prefix, upstream, downstream, problems)
	case MapGrid:
		m.validateGrid(prefix, upstream, downstream, problems)
	case MapCustom:
		if m.Function == "" {
			add("function", "give the function's name", "no function is named")
		}
	default:
		unknown := unknownKind(m.Kind)
		add(unknown.Field, unknown.Fix, "%s", unknown.Message)
	}
}

// unread are the fields that are given, but mean nothing for the kind.
func (m Mapping) unread() []string {
	var unread []string
	check := func(field string, given bool, kinds ...MappingKind) {
		if given && !slices.Contains(kinds, m.Kind) {
			unread = append(unread, field)
		}
	}
	check("keys", len(m.Keys) > 0, MapSpecific)
	check("static", len(m.Static) > 0, MapStatic)
	check("start_offset", m.StartOffset != 0, MapTime)
	check("end_offset", m.EndOffset != 0, MapTime)
	check("allow_nonexistent", m.AllowNonexistent, MapTime)
	check("dimension", m.Dimension != "", MapDimension)
	check("through", m.Through != nil, MapDimension)
	check("dimensions", len(m.Dimensions) > 0, MapGrid)
	check("function", m.Function != "", MapCustom)
	return unread
}

func (m Mapping) validateStatic(add func(field, fix, message string, arguments ...any), upstream, downstream *Partitions) {
	if upstream.kind != KindStatic || downstream.kind != KindStatic {
		add("kind", "use another kind", "a static mapping needs static partitions on both sides, not %s upstream and %s downstream", upstream.kind, downstream.kind)
		return
	}
	if len(m.Static) == 0 {
		add("static", "map at least one upstream key", "nothing is mapped")
	}
	ups := make([]string, 0, len(m.Static))
	for up := range m.Static {
		ups = append(ups, up)
	}
	slices.Sort(ups)
	for _, up := range ups {
		if _, known := upstream.positions[up]; !known {
			add("static", fixUnknownKey(up, upstream.keys), "the upstream has no key %q", up)
		}
		for _, down := range m.Static[up] {
			if _, known := downstream.positions[down]; !known {
				add("static", fixUnknownKey(down, downstream.keys), "%q is mapped to %q, which the downstream does not have", up, down)
			}
		}
	}
}

func fixUnknownKey(key string, keys []string) string {
	if near := nearestKey(key, keys); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "use one of its keys"
}

func (m Mapping) validateTime(add func(field, fix, message string, arguments ...any), upstream, downstream *Partitions) {
	if upstream.kind != KindTime || downstream.kind != KindTime {
		add("kind", "use another kind", "a time mapping needs time windows on both sides, not %s upstream and %s downstream", upstream.kind, downstream.kind)
		return
	}
	if up, down := upstream.windows.normalized.Zone, downstream.windows.normalized.Zone; up != down {
		add("kind", "put both sides in one zone", "a time mapping needs one zone, not %s upstream and %s downstream", up, down)
	}
	if m.StartOffset > m.EndOffset {
		add("start_offset", "make it at most end_offset", "the needed time would end before it begins: %d is more than %d", m.StartOffset, m.EndOffset)
	}
	const most = 1_000_000
	for _, offset := range []struct {
		field string
		value int
	}{{"start_offset", m.StartOffset}, {"end_offset", m.EndOffset}} {
		if offset.value > most || offset.value < -most {
			add(offset.field, "use a smaller number", "%d partitions are more than %d", offset.value, most)
		}
	}
}

func (m Mapping) validateDimension(prefix string, upstream, downstream *Partitions, problems *Problems) {
	grid, other := gridAndOther(upstream, downstream)
	if grid == nil {
		problems.add(prefix+"kind", "use grid between two grids, another kind where there is none",
			"a dimension mapping needs a grid on exactly one side, not %s upstream and %s downstream", upstream.kind, downstream.kind)
		return
	}
	dimensions := strings.Join(grid.names[:], " and ")
	if m.Dimension == "" {
		name, candidates := fittingDimension(grid, other)
		if candidates != 1 {
			message := "no dimension of the grid fits the other side"
			if candidates > 1 {
				message = "both dimensions of the grid fit the other side"
			}
			problems.add(prefix+"dimension", "name the dimension: "+dimensions, "%s", message)
			return
		}
		m.Dimension = name
	}
	dimension, known := grid.dimension(m.Dimension)
	if !known {
		problems.add(prefix+"dimension", "use one of "+dimensions, "the grid has no dimension %q", m.Dimension)
		return
	}
	through := Mapping{}
	if m.Through != nil {
		through = *m.Through
	}
	if grid == upstream {
		upstream = grid.dimensions[dimension]
	} else {
		downstream = grid.dimensions[dimension]
	}
	through.validate(prefix+"through.", upstream, downstream, problems)
}

func (m Mapping) validateGrid(prefix string, upstream, downstream *Partitions, problems *Problems) {
	if upstream.kind != KindGrid || downstream.kind != KindGrid {
		problems.add(prefix+"kind", "use another kind", "a grid mapping needs grids on both sides, not %s upstream and %s downstream", upstream.kind, downstream.kind)
		return
	}
	seenUp, seenDown := map[string]bool{}, map[string]bool{}
	for i, pair := range m.Dimensions {
		field := fmt.Sprintf("%sdimensions[%d].", prefix, i)
		side := func(which, name string, grid *Partitions, seen map[string]bool) (*Partitions, bool) {
			dimension, known := grid.dimension(name)
			if !known {
				problems.add(field+which, "use one of "+strings.Join(grid.names[:], " and "), "the %s grid has no dimension %q", which, name)
				return nil, false
			}
			if seen[name] {
				problems.add(field+which, "map each dimension once", "dimension %q of the %s grid is mapped twice", name, which)
			}
			seen[name] = true
			return grid.dimensions[dimension], true
		}
		up, knownUp := side("upstream", pair.Upstream, upstream, seenUp)
		down, knownDown := side("downstream", pair.Downstream, downstream, seenDown)
		if knownUp && knownDown {
			pair.Mapping.validate(field+"mapping.", up, down, problems)
		}
	}
}

// neverHas says why a text can be the key of no partition, existing or to come; "" when it can.
func (p *Partitions) neverHas(key string) string {
	switch p.kind {
	case KindTime:
		tick, _, readable := p.windows.parse(key)
		if !readable {
			return "it is not of the form " + p.windows.layout
		}
		if tick == beyond {
			return "no window begins there"
		}
		if _, kept := p.windows.numberOf(tick); !kept {
			return "it is excluded"
		}
		if tick < p.windows.start || p.windows.endOf(tick) > p.windows.end {
			return "it is before the first or after the last"
		}
		return ""
	case KindDynamic:
		if err := CheckKey(key); err != nil {
			return err.Error()
		}
		return ""
	case KindGrid:
		outer, inner, isPair := strings.Cut(key, gridSeparator)
		if !isPair {
			return fmt.Sprintf("a key of the grid is %s|%s", p.names[0], p.names[1])
		}
		if reason := p.dimensions[0].neverHas(outer); reason != "" {
			return reason
		}
		return p.dimensions[1].neverHas(inner)
	default:
		if _, known := p.positions[key]; !known {
			return "there is no such key"
		}
		return ""
	}
}
