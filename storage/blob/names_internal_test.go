package blob

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/perdure-io/perdure/definitions"
)

// TestNamesAreUniqueAndSafe tries all combinations of parts that could meet in a name.
func TestNamesAreUniqueAndSafe(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 250)
	parts := []string{
		"a", "b", "1", "1.json", "1%2Ejson", "2.", ".", "..", "", "%", "a%2Fb", "~", "ä", "partition=a", "partition=", "A",
		long, long + "y", strings.Repeat("ä", 100),
	}
	keys := slices.DeleteFunc(slices.Clone(parts), func(part string) bool { return part == "" }) // no asset's key is empty
	for _, first := range parts {
		for _, second := range parts {
			keys = append(keys, first+"/"+second)
		}
	}
	slots := map[string]definitions.Slot{}
	for _, key := range keys {
		for _, partition := range append([]string{"a/b", "a|b"}, parts...) {
			for token := range int64(2) {
				at := definitions.Slot{Asset: key, Partition: partition, Token: token + 1}
				name := stem(at) + ".json"
				other, taken := slots[name]
				require.False(t, taken, "%v and %v are both %s", at, other, name)
				slots[name] = at
			}
		}
	}
	steps := []definitions.Slot{{Run: "a", Step: "b", Key: "c"}, {Run: "a", Step: "b", Key: "1"}}
	for _, run := range parts {
		for _, step := range parts {
			steps = append(steps, definitions.Slot{Run: run, Step: step})
		}
	}
	for _, at := range steps {
		at.Token = 1
		name := stem(at) + ".json"
		other, taken := slots[name]
		require.False(t, taken, "%v and %v are both %s", at, other, name)
		slots[name] = at
	}
	for name, at := range slots {
		for i := range len(name) {
			if name[i] == '/' {
				_, isFile := slots[name[:i]]
				require.False(t, isFile, "%s is a file and the folder of %v", name[:i], at)
			}
		}
		for segment := range strings.SplitSeq(name, "/") {
			require.LessOrEqual(t, len(segment), 255)
			require.Regexp(t, `^[A-Za-z0-9_+,@=%~-][A-Za-z0-9._+,@=%~-]*$`, segment)
		}
	}
}

func TestNamesCanBeReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringN(1, 20, 60).Draw(t, "part")
		back, err := url.PathUnescape(escape(part, maxSegment))
		require.NoError(t, err)
		require.Equal(t, part, back)
	})
}
