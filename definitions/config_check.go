package definitions

import (
	"fmt"
	"math"
	"reflect"
	"slices"
)

// reportFault takes what is wrong with a part of a config.
type reportFault func(path, message, fix string)

// check reports what is wrong with defaults. Every secret that they name is thereby declared. whole says that the
// value stands for itself, as the items of a list do, and is not laid under what a run gives: it has its required
// fields, too.
func (n *configNode) check(value reflect.Value, path string, whole bool, report reportFault) {
	switch n.kind {
	case configObject:
		for _, f := range n.fields {
			n.checkField(f, value.FieldByIndex(f.index), join(path, f.name), whole, report)
		}
	case configList:
		for i := range value.Len() {
			n.elem.check(value.Index(i), fmt.Sprintf("%s[%d]", path, i), true, report)
		}
		n.elem.checkAbsent(path+"[]", report)
	case configMap:
		for key, elem := range value.Seq2() {
			n.elem.check(elem, join(path, key.String()), true, report)
		}
		n.elem.checkAbsent(join(path, "*"), report)
	case configPointer:
		if !value.IsNil() {
			n.elem.check(value.Elem(), path, true, report)
		}
		n.elem.checkAbsent(path, report)
	case configSecret:
		n.checkSecret(value, path, report)
	case configFloat:
		if f := value.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			report(path, fmt.Sprintf("the default %v is no number that JSON has", f), "use a finite number")
		}
		n.checkEnum(value, path, report)
	default:
		n.checkEnum(value, path, report)
	}
}

func (n *configNode) checkField(f *configField, value reflect.Value, path string, whole bool, report reportFault) {
	if !f.required || whole {
		f.node.check(value, path, whole, report)
		return
	}
	if f.node.kind == configSecret && !value.IsZero() {
		f.node.checkSecret(value, path, report) // it declares the variable, as an enum tag does
		return
	}
	if !value.IsZero() {
		report(path, fmt.Sprintf("the required field has the default %v", value.Interface()), `leave out the default, or the tag config:"required"`)
	}
	f.node.checkAbsent(path, report)
}

// checkAbsent checks a part of which there is no value yet: it must only be possible to give one.
func (n *configNode) checkAbsent(path string, report reportFault) {
	switch n.kind {
	case configSecret:
		if n.enum == nil {
			report(path, "the secret names no environment variable", `give it a default with FromEnv, or list the variables: enum:"NAME"`)
		}
	case configObject:
		for _, f := range n.fields {
			n.checkField(f, reflect.Zero(f.node.typ), join(path, f.name), false, report)
		}
	case configList, configMap, configPointer:
		n.elem.checkAbsent(path, report)
	default:
	}
}

func (n *configNode) checkSecret(value reflect.Value, path string, report reportFault) {
	secret, _ := reflect.TypeAssert[Secret](value)
	switch {
	case secret.env == "":
		report(path, "the secret names no environment variable", `give it a default with FromEnv, or mark the field config:"required" and list the variables: enum:"NAME"`)
	case !variableName.MatchString(secret.env):
		report(path, fmt.Sprintf("%q is no name of an environment variable", secret.env), "use letters, digits and _, beginning with no digit")
	case !slices.Contains(n.enum, secret.env):
		n.enum = append(n.enum, secret.env)
	}
}

func (n *configNode) checkEnum(value reflect.Value, path string, report reportFault) {
	if n.enum == nil {
		return
	}
	if text := scalarText(value); !slices.Contains(n.enum, text) {
		report(path, fmt.Sprintf("the default %q is not one of %s", text, list(n.enum)), `choose one of them, or mark the field config:"required"`)
	}
}

// eachSecret visits the secrets in a value.
func (n *configNode) eachSecret(value reflect.Value, path string, visit func(path string, secret Secret)) {
	switch n.kind {
	case configSecret:
		if secret, ok := reflect.TypeAssert[Secret](value); ok && secret.env != "" {
			visit(path, secret)
		}
	case configObject:
		for _, f := range n.fields {
			f.node.eachSecret(value.FieldByIndex(f.index), join(path, f.name), visit)
		}
	case configList:
		for i := range value.Len() {
			n.elem.eachSecret(value.Index(i), fmt.Sprintf("%s[%d]", path, i), visit)
		}
	case configMap:
		for key, elem := range value.Seq2() {
			n.elem.eachSecret(elem, join(path, key.String()), visit)
		}
	case configPointer:
		if !value.IsNil() {
			n.elem.eachSecret(value.Elem(), path, visit)
		}
	default:
	}
}
