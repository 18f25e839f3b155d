package partition

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Partitions is a compiled definition. It never changes and may be used by many goroutines; compile
// a definition once and ask for its [Set] as often as you like.
type Partitions struct {
	kind        Kind
	definition  Definition // normalized
	fingerprint string
	windows     *windows
	keys        []string
	positions   map[string]int // of keys
	dynamic     string
	dimensions  [2]*Partitions // by name
	names       [2]string
	inGrid      bool // keys with "|" are left out
}

// New compiles a definition. Its error is a [Problems] with everything that is wrong.
func New(d Definition) (*Partitions, error) {
	compiled, problems := compile(d)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return compiled, nil
}

// Kind is what the partitions are.
func (p *Partitions) Kind() Kind { return p.kind }

// Fingerprint is the same for two definitions that mean the same, however they are written, and
// another for any others. It stays the same across versions of this package.
func (p *Partitions) Fingerprint() string { return p.fingerprint }

// Dynamic names the dynamic sets whose keys [Partitions.At] needs.
func (p *Partitions) Dynamic() []string {
	switch p.kind {
	case KindDynamic:
		return []string{p.dynamic}
	case KindGrid:
		names := append(p.dimensions[0].Dynamic(), p.dimensions[1].Dynamic()...)
		slices.Sort(names)
		return slices.Compact(names)
	default:
		return nil
	}
}

// Cron gives when time windows begin, and in which zone; it is false for other kinds.
func (p *Partitions) Cron() (Cron, *time.Location, bool) {
	if p.kind != KindTime {
		return Cron{}, nil, false
	}
	return p.windows.cron, p.windows.zone, true
}

func compile(d Definition) (*Partitions, Problems) {
	var problems Problems
	if given := d.given(); len(given) > 1 {
		problems.add("", "give exactly one of time, static, dynamic and grid", "gives %s", strings.Join(given, " and "))
		return nil, problems
	}
	p := &Partitions{kind: d.Kind()}
	switch p.kind {
	case KindTime:
		p.windows = compileWindows(*d.Time, &problems)
		if p.windows != nil {
			normalized := p.windows.normalized
			p.definition.Time = &normalized
		}
	case KindStatic:
		p.compileStatic(d.Static, &problems)
		p.definition.Static = p.keys
	case KindDynamic:
		if err := CheckKey(d.Dynamic); err != nil {
			problems.add("dynamic", "use a name without control characters and \"...\"", "%v", err)
		}
		p.dynamic, p.definition.Dynamic = d.Dynamic, d.Dynamic
	case KindGrid:
		p.compileGrid(d.Grid, &problems)
	case KindSingle:
		p.keys, p.positions = []string{""}, map[string]int{"": 0}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	text, err := json.Marshal(p.definition)
	if err != nil { // strings and numbers only: cannot be
		problems.add("", "use text that JSON can hold", "cannot be written as JSON: %v", err)
		return nil, problems
	}
	hash := sha256.Sum256(text)
	p.fingerprint = hex.EncodeToString(hash[:16])
	return p, nil
}

func (d Definition) given() []string {
	var given []string
	if d.Time != nil {
		given = append(given, "time")
	}
	if d.Static != nil {
		given = append(given, "static")
	}
	if d.Dynamic != "" {
		given = append(given, "dynamic")
	}
	if d.Grid != nil {
		given = append(given, "grid")
	}
	return given
}

func (p *Partitions) compileStatic(keys []string, problems *Problems) {
	if len(keys) == 0 {
		problems.add("static", "give at least one key", "has no keys")
	}
	p.keys, p.positions = slices.Clone(keys), make(map[string]int, len(keys))
	for i, key := range keys {
		field := fmt.Sprintf("static[%d]", i)
		if err := CheckKey(key); err != nil {
			problems.add(field, "use another key", "%v", err)
		}
		if first, doubled := p.positions[key]; doubled {
			problems.add(field, "remove one of the two", "%q is there twice: it is static[%d] already", key, first)
			continue
		}
		p.positions[key] = i
	}
}

func (p *Partitions) compileGrid(dimensions []Dimension, problems *Problems) {
	if len(dimensions) != 2 {
		problems.add("grid", "give exactly two", "has %d dimensions", len(dimensions))
	}
	for i, dimension := range dimensions {
		field := fmt.Sprintf("grid[%d]", i)
		if !isName(dimension.Name) {
			problems.add(field+".name", "use letters, digits, _ and -", "%q is not a name", dimension.Name)
		}
		if slices.ContainsFunc(dimensions[:i], func(other Dimension) bool { return other.Name == dimension.Name }) {
			problems.add(field+".name", "name them differently", "two dimensions are called %q", dimension.Name)
		}
		side, below := compile(dimension.definition())
		for _, problem := range below {
			problem.Field = strings.TrimSuffix(field+"."+problem.Field, ".")
			*problems = append(*problems, problem)
		}
		if side == nil {
			continue
		}
		if side.kind == KindSingle {
			problems.add(field, "give one of time, static and dynamic", "dimension %q has no partitions", dimension.Name)
		}
		for at, key := range side.keys {
			if side.kind == KindStatic && strings.ContainsAny(key, "|[],") {
				problems.add(fmt.Sprintf("%s.static[%d]", field, at), "use another key", "key %q of a grid's dimension may not hold |, [, ] or a comma", key)
			}
		}
		if side.kind == KindTime && strings.Contains(side.windows.keyOf(0), "|") {
			problems.add(field+".time.format", "use another character", "a key of a grid's dimension may not hold |")
		}
		side.inGrid = true
		if i < 2 {
			p.dimensions[i], p.names[i] = side, dimension.Name
		}
	}
	if len(*problems) > 0 {
		return
	}
	if p.names[1] < p.names[0] {
		p.names[0], p.names[1] = p.names[1], p.names[0]
		p.dimensions[0], p.dimensions[1] = p.dimensions[1], p.dimensions[0]
	}
	for i, side := range p.dimensions {
		d := side.definition
		p.definition.Grid = append(p.definition.Grid, Dimension{Name: p.names[i], Time: d.Time, Static: d.Static, Dynamic: d.Dynamic})
	}
}

func isName(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r != '_' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

// MaxKey is the length of the longest key of a static or dynamic set, in bytes: an index of Postgres takes two of them, as a
// grid's key is, beside an asset's key.
const MaxKey = 500

// CheckKey says whether a text can be a key of a static or dynamic set: not empty, at most [MaxKey] bytes, no control
// character, no "...", valid UTF-8.
func CheckKey(key string) error {
	const shown = 50
	switch {
	case key == "":
		return fmt.Errorf("a key is empty")
	case len(key) > MaxKey:
		return fmt.Errorf("the key that begins with %q has %d bytes, more than %d", strings.ToValidUTF8(key[:shown], ""), len(key), MaxKey)
	case strings.ToValidUTF8(key, "") != key:
		return fmt.Errorf("%q is not valid UTF-8", key)
	case strings.Contains(key, "..."):
		return fmt.Errorf("%q holds \"...\", which stands for a range", key)
	case strings.ContainsFunc(key, unicode.IsControl):
		return fmt.Errorf("%q holds a control character", key)
	default:
		return nil
	}
}
