package definitions

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/plan"
)

// Type checks values beyond what their Go type says, when a step runs: [OfType] those that an asset or an op gives,
// [Checked] those that a function takes.
//
//	var Routes = definitions.Type[[]Route]{
//		Name: "routes", Description: "at least one route, none twice",
//		Check: func(routes []Route) error { … },
//	}
//
// A value that does not pass fails the step as an error of its function does, and is tried again by its [Retries]. The
// failure names what was checked, the type, and the value, shortened.
type Type[T any] struct {
	// Name is what failures and the asset's page call the type.
	Name string
	// Description says for people what is expected.
	Description string
	// Check says what is wrong with a value; nil when it is right. [WithMetadata] adds facts, [NoRetry] forbids another
	// attempt. It must not change the value.
	Check func(T) error
	// Metadata are facts about the type, recorded with each failure.
	Metadata []Metadatum
}

// checkedType is a Type without its Go type.
type checkedType struct {
	name, description string
	typ               reflect.Type
	check             func(any) error
	metadata          []Metadatum
	faults            []fault
}

func (t Type[T]) erased() *checkedType {
	c := &checkedType{name: t.Name, description: t.Description, typ: reflect.TypeFor[T](), metadata: t.Metadata}
	if t.Name == "" {
		c.faults = append(c.faults, fault{"type", "the Type has no name", "set Name"})
	}
	if t.Check == nil {
		c.faults = append(c.faults, fault{"type", fmt.Sprintf("the Type %q checks nothing", t.Name), "set Check"})
	}
	if _, _, err := lowerMetadata(t.Metadata); err != nil {
		c.faults = append(c.faults, fault{"type", fmt.Sprintf("the metadata of the Type %q: %v", t.Name, err), "give a value that can be recorded"})
	}
	c.check = func(value any) error {
		typed, _ := value.(T) // validation has compared the types; a nil interface stays nil
		return t.Check(typed)
	}
	return c
}

// lower is nil for no type.
func (t *checkedType) lower() (*plan.TypeCheck, error) {
	if t == nil {
		return nil, nil
	}
	metadata, _, err := lowerMetadata(t.metadata)
	if err != nil {
		return nil, fmt.Errorf("the metadata of the Type %q: %w", t.name, err)
	}
	return &plan.TypeCheck{Name: t.name, Description: t.description, Metadata: metadata}, nil
}

// TypeOption is what [OfType] returns.
type TypeOption interface {
	AssetOption
	OutputOption
	OpOption
}

// OfType checks each value that an asset, an output or an op gives, before it is stored; of a [FanOut] each element. A Type
// of another Go type is a problem.
func OfType[T any](t Type[T]) TypeOption { return ofType{t.erased()} }

type ofType struct{ *checkedType }

func (o ofType) applyAsset(a *asset) { o.applyOutput(a) }
func (o ofType) applyOutput(a *asset) {
	a.options.once(&a.declared, "type", optionType)
	a.ofType = o.checkedType
}

func (o ofType) applyOp(c *compute) {
	c.options.once(&c.declared, "type", optionType)
	c.control.ofType = o.checkedType
}

// Checked is a source whose value is checked before the function gets it.
func Checked[T any](source Source[T], t Type[T]) Source[T] {
	c := &checkedSource[T]{source: source, of: t.erased(), part: needOf(source)}
	if len(c.of.faults) > 0 {
		fault := c.of.faults[0]
		c.part = invalidNeed(fault.message, fault.fix)
	}
	return c
}

type checkedSource[T any] struct {
	source Source[T]
	of     *checkedType
	part   need
}

func (c *checkedSource[T]) carries(T) {}
func (c *checkedSource[T]) need() need {
	return need{kind: needView, id: c, parts: []need{c.part}}
}

func (c *checkedSource[T]) load(s *scope) (T, error) {
	value, err := take(s, c.source)
	if err != nil {
		return value, err
	}
	return value, c.of.verify("input "+c.part.describe(), value)
}

// verify is nil when the value passes. what names it.
func (t *checkedType) verify(what string, value any) error {
	err := guarded(func() error { return t.check(value) })
	if err == nil {
		return nil
	}
	expected := t.name
	if t.description != "" {
		expected += " (" + t.description + ")"
	}
	return WithMetadata(&typeError{what: what, expected: expected, value: shortened(value), cause: err}, t.metadata...)
}

// typeError says what did not pass a check.
type typeError struct {
	what, expected, value string
	cause                 error
}

func (e *typeError) Error() string {
	return fmt.Sprintf("%s is no %s: %v; the value is %s", e.what, e.expected, e.cause, e.value)
}
func (e *typeError) Unwrap() error { return e.cause }

const (
	// shownElements and shownText bound what a failure shows of a value.
	shownElements = 3
	shownText     = 300
)

// shortened is a value for a message. Large ones are not written out whole, and then cut: that would take long.
func shortened(value any) string {
	v := reflect.ValueOf(value)
	var text string
	switch kind := v.Kind(); {
	case kind == reflect.Invalid:
		return "nil"
	case kind == reflect.String:
		text = fmt.Sprintf("%.*q", shownText, v.String())
	case kind == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		return fmt.Sprintf("%d bytes", v.Len())
	case kind == reflect.Slice && v.Len() > shownElements:
		text = fmt.Sprintf("%+v and %d more", v.Slice(0, shownElements).Interface(), v.Len()-shownElements)
	case kind == reflect.Map && v.Len() > shownElements:
		return fmt.Sprintf("a %v with %d entries", v.Type(), v.Len())
	default:
		text = fmt.Sprintf("%+v", value)
	}
	if len(text) > shownText {
		return strings.ToValidUTF8(text[:shownText], "") + "…"
	}
	return text
}

// checkOutputs checks what a function gave against the types of what it makes.
func (c *compute) checkOutputs(outputs []step.Output) error {
	var problems []error
	for _, output := range outputs {
		what := "the value of " + c.object()
		if output.Key != "" {
			what = fmt.Sprintf("element %q of %s", output.Key, c.object())
		}
		if c.control.ofType != nil {
			problems = append(problems, c.control.ofType.verify(what, output.Value))
		}
		for _, out := range c.outs {
			if out.name == output.Asset && out.ofType != nil {
				problems = append(problems, out.ofType.verify(fmt.Sprintf("output %q", out.name), output.Value))
			}
		}
	}
	return errors.Join(problems...)
}

// ofType checks that types fit what they are to check.
func (v *validation) ofType(c *compute) {
	if c.control.ofType != nil {
		v.typeFits(&c.declared, c.control.ofType, c.node.typ)
	}
}

func (v *validation) typeFits(d *declared, t *checkedType, typ reflect.Type) {
	for _, f := range t.faults {
		v.add(d.problem(f.field, f.message, f.fix))
	}
	if t.typ != typ {
		v.add(d.problem("type", fmt.Sprintf("the Type %q checks a %v, and its value is a %v", t.name, t.typ, typ), "give it a Type of its own Go type"))
	}
}
