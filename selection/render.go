package selection

import (
	"regexp"
	"strconv"
	"strings"
)

func (everything) binds() binding      { return bindsStar }
func (keyPattern) binds() binding      { return bindsItem }
func (keySubstring) binds() binding    { return bindsItem }
func (attributeFilter) binds() binding { return bindsItem }
func (tagValue) binds() binding        { return bindsItem }
func (extremes) binds() binding        { return bindsItem }
func (neighborhood) binds() binding    { return bindsPlus }
func (complement) binds() binding      { return bindsNot }
func (intersection) binds() binding    { return bindsAnd }
func (union) binds() binding           { return bindsOr }

var (
	bareKey   = regexp.MustCompile(`^[0-9]*[\p{L}_][\p{L}\p{M}\p{Nd}_./-]*$|^[0-9]+[./-][\p{L}\p{M}\p{Nd}_./-]*$`)
	bareValue = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	escaper   = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `*`, `\*`)
)

func (everything) render() string { return "*" }

func (k keyPattern) render() string {
	if len(k.parts) == 1 && bareKey.MatchString(k.parts[0]) && !isReserved(k.parts[0]) {
		return k.parts[0]
	}
	escaped := make([]string, len(k.parts))
	for i, part := range k.parts {
		escaped[i] = escaper.Replace(part)
	}
	return `key:"` + strings.Join(escaped, "*") + `"`
}

func (k keySubstring) render() string { return "key_substring:" + renderValue(k.text) }

func (a attributeFilter) render() string { return filterNames[a.kind] + ":" + renderValue(a.name) }

func (t tagValue) render() string { return "tag:" + renderValue(t.key) + "=" + renderValue(t.value) }

func renderValue(value string) string {
	if bareValue.MatchString(value) {
		return value
	}
	return `"` + escaper.Replace(value) + `"`
}

func (x extremes) render() string {
	name := "roots"
	if x.towards == downstream {
		name = "sinks"
	}
	return name + "(" + x.within.render() + ")"
}

func (n neighborhood) render() string {
	return renderDepth(n.up, "", "+") + renderWithin(n.start, bindsItem) + renderDepth(n.down, "+", "")
}

func renderDepth(layers int, before, after string) string {
	switch layers {
	case 0:
		return ""
	case unlimited:
		return before + after
	default:
		return before + strconv.Itoa(layers) + after
	}
}

func (c complement) render() string   { return "not " + renderWithin(c.operand, bindsNot) }
func (i intersection) render() string { return renderAll(i.operands, " and ", bindsNot) }
func (u union) render() string        { return renderAll(u.operands, " or ", bindsAnd) }

func renderAll(operands []expression, operator string, least binding) string {
	rendered := make([]string, len(operands))
	for i, operand := range operands {
		rendered[i] = renderWithin(operand, least)
	}
	return strings.Join(rendered, operator)
}

func renderWithin(e expression, least binding) string {
	if e.binds() < least {
		return "(" + e.render() + ")"
	}
	return e.render()
}
