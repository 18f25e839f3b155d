package selection

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
)

const (
	maxSuggestions = 3
	// fewNames is up to how many names are all suggested when none is near.
	fewNames = 5
	// maxSearches is for how many unknown names near ones are searched: each search reads all names.
	maxSearches = 20
)

// UnknownError is a name in a selection that no asset has.
type UnknownError struct {
	// What the name should be of: "asset", "group", "kind", "owner", "tag" or "code location".
	What string
	// Name as the selection has it, without quotes.
	Name string
	// Suggestions are what was probably meant, best first, written as in an expression but without
	// quotes: near names, all names when there are only a few, group:NAME when a group is called
	// like the asset. Empty when nothing comes to mind, and from the 21st unknown name on.
	Suggestions []string
}

// Error names the unknown and, if there are any, the suggestions.
func (e *UnknownError) Error() string {
	text := fmt.Sprintf("there is no %s %q", e.What, e.Name)
	if len(e.Suggestions) == 0 {
		return text + ": check its spelling"
	}
	quoted := make([]string, len(e.Suggestions))
	for i, suggestion := range e.Suggestions {
		quoted[i] = fmt.Sprintf("%q", suggestion)
	}
	last := len(quoted) - 1
	if last == 0 {
		return text + ": did you mean " + quoted[0] + "?"
	}
	return text + ": did you mean " + strings.Join(quoted[:last], ", ") + " or " + quoted[last] + "?"
}

// UnknownErrors are all unknown names of a selection, each once, in the order in which it names
// them. errors.As finds the first [*UnknownError] in it.
type UnknownErrors []*UnknownError

// Error joins the texts by "; ".
func (e UnknownErrors) Error() string {
	texts := make([]string, len(e))
	for i, unknown := range e {
		texts[i] = unknown.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap gives the single errors to package errors.
func (e UnknownErrors) Unwrap() []error {
	unwrapped := make([]error, len(e))
	for i, unknown := range e {
		unwrapped[i] = unknown
	}
	return unwrapped
}

func (run *evaluation) missKey(key string) {
	run.miss("asset", key, func() []string {
		var suggestions []string
		if _, isGroup := run.index.attributes[groupNames][key]; isGroup {
			suggestions = []string{"group:" + key}
		}
		return append(suggestions, near(key, slices.Values(run.index.keys), len(run.index.keys))...)
	})
}

func (run *evaluation) missAttribute(kind attributeKind, name string) {
	run.miss(whatNames[kind], name, func() []string {
		names := run.index.attributes[kind]
		return near(name, maps.Keys(names), len(names))
	})
}

func (run *evaluation) miss(what, name string, suggest func() []string) {
	if run.lenient || run.told[[2]string{what, name}] {
		return
	}
	if run.told == nil {
		run.told = make(map[[2]string]bool)
	}
	run.told[[2]string{what, name}] = true
	unknown := &UnknownError{What: what, Name: name}
	if len(run.unknown) < maxSearches {
		unknown.Suggestions = suggest()
	}
	run.unknown = append(run.unknown, unknown)
}

// near finds the names that differ in few letters, in letter case only, or that end in "/name";
// and all names when these are none, but count says that there are only a few at all.
func near(name string, names iter.Seq[string], count int) []string {
	type candidate struct {
		name     string
		distance int
	}
	length := utf8.RuneCountInString(name)
	most := min(max(length/3, 1), length-1)
	var found []candidate
	for known := range names {
		switch {
		case known == "":
		case strings.EqualFold(known, name), strings.HasSuffix(known, "/"+name):
			found = append(found, candidate{known, 0})
		case abs(utf8.RuneCountInString(known)-length) <= most:
			if distance := levenshtein.ComputeDistance(name, known); distance <= most {
				found = append(found, candidate{known, distance})
			}
		}
	}
	if len(found) == 0 && count <= fewNames {
		return slices.DeleteFunc(slices.Sorted(names), func(known string) bool { return known == "" })
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	var best []string
	for _, one := range found[:min(len(found), maxSuggestions)] {
		best = append(best, one.name)
	}
	return best
}

func abs(n int) int { return max(n, -n) }
