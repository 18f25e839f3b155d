package selection

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// unsupported are filters of Dagster's language that ask for what no definition carries.
var unsupported = map[string]string{
	"column":            "assets do not declare their columns",
	"table_name":        "assets do not declare their table",
	"column_tag":        "assets do not declare their columns",
	"changed_in_branch": "there are no branch deployments to compare",
}

var filters = map[string]func(value string) expression{
	"key_substring": func(value string) expression { return keySubstring{value} },
	"group":         func(value string) expression { return attributeFilter{groupNames, value} },
	"kind":          func(value string) expression { return attributeFilter{kindNames, value} },
	"owner":         func(value string) expression { return attributeFilter{ownerNames, value} },
	"code_location": func(value string) expression { return attributeFilter{locationNames, value} },
}

var functions = map[string]direction{"sinks": downstream, "roots": upstream}

func attributeOrFunction(name string) bool {
	_, isFilter := filters[name]
	_, isUnsupported := unsupported[name]
	_, isFunction := functions[name]
	return isFilter || isUnsupported || isFunction || name == "key" || name == "tag"
}

// isReserved is whether a word cannot stand for the key that is spelt like it.
func isReserved(name string) bool {
	return attributeOrFunction(name) || name == "and" || name == "or" || name == "not"
}

func reservedMessage(name string) string {
	form := name + ":VALUE"
	if _, isFunction := functions[name]; isFunction {
		form = name + "(…)"
	}
	return fmt.Sprintf("%s is a word of the language: write %s, or key:%s for an asset of that key", name, form, name)
}

// lowering turns the parser's tree into an expression in normal form, and refuses what the grammar
// lets pass.
type lowering struct{ text string }

func (l lowering) disjunction(d *disjunction) (expression, *SyntaxError) {
	operands := make([]expression, len(d.Terms))
	for i, term := range d.Terms {
		operand, problem := l.conjunction(term)
		if problem != nil {
			return nil, problem
		}
		operands[i] = operand
	}
	return newUnion(operands), nil
}

func (l lowering) conjunction(c *conjunction) (expression, *SyntaxError) {
	operands := make([]expression, len(c.Factors))
	for i, factor := range c.Factors {
		operand, problem := l.factor(factor)
		if problem != nil {
			return nil, problem
		}
		operands[i] = operand
	}
	return newIntersection(operands), nil
}

func (l lowering) factor(f *factor) (expression, *SyntaxError) {
	switch {
	case f.Not != nil:
		operand, problem := l.factor(f.Not)
		if problem != nil {
			return nil, problem
		}
		return newComplement(operand), nil
	case f.All:
		return everything{}, nil
	default:
		return l.traversal(f.Traversal)
	}
}

func (l lowering) traversal(t *traversal) (expression, *SyntaxError) {
	up, problem := l.depth(t.Up)
	if problem != nil {
		return nil, problem
	}
	start, problem := l.item(t.Item)
	if problem != nil {
		return nil, problem
	}
	down, problem := l.depth(t.Down)
	if problem != nil {
		return nil, problem
	}
	if up == 0 && down == 0 {
		return start, nil
	}
	return neighborhood{start, up, down}, nil
}

func (l lowering) depth(d *depth) (int, *SyntaxError) {
	switch {
	case d == nil:
		return 0, nil
	case d.Number == "":
		return unlimited, nil
	}
	layers, err := strconv.ParseInt(d.Number, 10, 32)
	if err != nil {
		return 0, syntaxError(l.text, d.Pos.Offset, "the depth %s is too large (a + without a number takes all layers)", d.Number)
	}
	return int(layers), nil
}

func (l lowering) item(i *item) (expression, *SyntaxError) {
	switch {
	case i.Group != nil:
		return l.disjunction(i.Group)
	case i.Word != nil:
		return l.word(i)
	default:
		return l.key(value{Pos: i.Pos, Text: i.Text})
	}
}

func (l lowering) word(i *item) (expression, *SyntaxError) {
	name, offset := i.Word.Name, i.Pos.Offset
	switch {
	case i.Word.Attribute != nil:
		return l.attribute(name, offset, i.Word.Attribute)
	case i.Word.Argument != nil:
		towards, isFunction := functions[name]
		if !isFunction {
			return nil, syntaxError(l.text, offset, "there is no function %q: the functions are roots(…) and sinks(…)", name)
		}
		within, problem := l.disjunction(i.Word.Argument)
		if problem != nil {
			return nil, problem
		}
		return extremes{within, towards}, nil
	case isReserved(name):
		return nil, syntaxError(l.text, offset, "%s", reservedMessage(name))
	default:
		return l.key(value{Pos: i.Pos, Text: name})
	}
}

func (l lowering) attribute(name string, offset int, a *attribute) (expression, *SyntaxError) {
	if why, isUnsupported := unsupported[name]; isUnsupported {
		return nil, syntaxError(l.text, offset, "not supported: %s (%s)", name, why)
	}
	filter, isFilter := filters[name]
	if !isFilter && name != "key" && name != "tag" {
		known := append(slices.Collect(maps.Keys(filters)), "key", "tag")
		slices.Sort(known)
		return nil, syntaxError(l.text, offset, "there is no filter %q: the filters are %s", name, strings.Join(known, ", "))
	}
	if a.Second != nil && name != "tag" {
		return nil, syntaxError(l.text, a.Second.Pos.Offset, "only tag: takes a second value after =")
	}
	if name == "key" {
		return l.key(a.Value)
	}
	first, problem := l.plain(a.Value)
	if problem != nil {
		return nil, problem
	}
	if name != "tag" {
		return filter(first), nil
	}
	if a.Second == nil {
		return attributeFilter{tagNames, first}, nil
	}
	second, problem := l.plain(a.Second.Value)
	if problem != nil {
		return nil, problem
	}
	return tagValue{first, second}, nil
}

// key reads a key, in which an unescaped * is a wildcard.
func (l lowering) key(v value) (expression, *SyntaxError) {
	parts, problem := l.split(v)
	if problem != nil {
		return nil, problem
	}
	if len(parts) == 1 {
		return keyPattern{parts}, nil
	}
	// Several stars in a row mean what one means.
	pattern := []string{parts[0]}
	for _, part := range parts[1 : len(parts)-1] {
		if part != "" {
			pattern = append(pattern, part)
		}
	}
	return keyPattern{append(pattern, parts[len(parts)-1])}, nil
}

// plain reads a value that knows no wildcards.
func (l lowering) plain(v value) (string, *SyntaxError) {
	parts, problem := l.split(v)
	if problem != nil {
		return "", problem
	}
	if len(parts) > 1 && v.Text[0] != '"' {
		return "", syntaxError(l.text, v.Pos.Offset, "only a key takes the wildcard *: put %s in double quotes if the * belongs to the value", v.Text)
	}
	return strings.Join(parts, "*"), nil
}

// split removes a value's quotes and escapes and cuts it at its unescaped stars.
func (l lowering) split(v value) ([]string, *SyntaxError) {
	if v.Text[0] != '"' {
		return strings.Split(v.Text, "*"), nil
	}
	var parts []string
	var part strings.Builder
	body := v.Text[1 : len(v.Text)-1]
	for at := 0; at < len(body); at++ {
		switch body[at] {
		case '*':
			parts = append(parts, part.String())
			part.Reset()
			continue
		case '\\':
			at++ // the lexer takes no string that ends in a lone backslash
			if !strings.ContainsRune(`"\*`, rune(body[at])) {
				return nil, syntaxError(l.text, v.Pos.Offset+at, `a \ in double quotes stands before ", \ or *: write \\ for a backslash`)
			}
		}
		part.WriteByte(body[at])
	}
	return append(parts, part.String()), nil
}
