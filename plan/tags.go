package plan

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/wire"
)

// ReservedTagPrefix begins the keys of the tags that Perdure itself sets.
const ReservedTagPrefix = "perdure/"

var (
	tagKey   = regexp.MustCompile(`^([A-Za-z0-9_.-]{1,63}/)?[A-Za-z0-9_.-]{1,63}$`)
	tagValue = regexp.MustCompile(`^[A-Za-z0-9_.-]{0,63}$`)
)

// TagProblems says what is wrong with tags that a person gives to a run, an asset or a job; path is where they stand.
func TagProblems(path string, tags map[string]string) wire.Problems {
	var problems wire.Problems
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		at := wire.FieldPath(path, key)
		switch value := tags[key]; {
		case strings.HasPrefix(key, ReservedTagPrefix):
			problems = append(problems, wire.Problem{
				Path: at, Code: wire.CodeInvalid,
				Message: fmt.Sprintf("tag key %q is reserved: only Perdure sets tags that begin with %s", key, ReservedTagPrefix), Fix: "choose another key",
			})
		case !tagKey.MatchString(key):
			problems = append(problems, wire.Problem{
				Path: at, Code: wire.CodeInvalid, Message: fmt.Sprintf("tag key %q is not allowed", key),
				Fix: `use 1 to 63 letters, digits, ".", "_" or "-", after at most one prefix of the same with a "/"`,
			})
		case !tagValue.MatchString(value):
			problems = append(problems, wire.Problem{
				Path: at, Code: wire.CodeInvalid, Message: fmt.Sprintf("tag value %q is not allowed", value),
				Fix: `use at most 63 letters, digits, ".", "_" or "-"`,
			})
		}
	}
	return problems
}
