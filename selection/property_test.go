package selection

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// reference is the meaning of the language once more, with maps, recursion and no regard for cost.
type reference struct {
	nodes map[string]Node
}

type members map[string]bool

func (r reference) where(test func(Node) bool) members {
	found := members{}
	for key, node := range r.nodes {
		if test(node) {
			found[key] = true
		}
	}
	return found
}

func (r reference) ordinary(test func(Node) bool) members {
	return r.where(func(n Node) bool { return !n.External && test(n) })
}

func (r reference) dependsDirectly(child, parent string) bool {
	return child != parent && slices.Contains(r.nodes[child].Parents, parent)
}

// distance is the number of steps on the shortest way from child up to parent; 0 when there is none.
func (r reference) distance(child, parent string) int {
	if r.dependsDirectly(child, parent) {
		return 1
	}
	best := 0
	for between := range r.nodes {
		if r.dependsDirectly(child, between) {
			if rest := r.distance(between, parent); rest > 0 && (best == 0 || rest+1 < best) {
				best = rest + 1
			}
		}
	}
	return best
}

// phrase is an expression as text, fully parenthesized, and what it must select.
type phrase struct {
	text  string
	means func(r reference) members
	// negated is what the phrase is the complement of, if it is one.
	negated *phrase
}

func anyPhrase(depth int) *rapid.Generator[phrase] {
	return rapid.Custom(func(t *rapid.T) phrase {
		forms := []func(*rapid.T, int) phrase{leaf}
		if depth > 0 {
			forms = append(forms, not, both, either, around, end)
		}
		return rapid.SampledFrom(forms).Draw(t, "form")(t, depth-1)
	})
}

func leaf(t *rapid.T, _ int) phrase {
	key := rapid.SampledFrom(keyNames).Draw(t, "key")
	pick := func(what string, test func(Node, string) bool) phrase {
		name := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "name")
		return phrase{text: what + name, means: func(r reference) members {
			return r.ordinary(func(n Node) bool { return test(n, name) })
		}}
	}
	forms := []func() phrase{
		func() phrase {
			return phrase{text: "(*)", means: func(r reference) members { return r.ordinary(func(Node) bool { return true }) }}
		},
		func() phrase {
			return phrase{text: key, means: func(r reference) members { return r.where(func(n Node) bool { return n.Key == key }) }}
		},
		func() phrase {
			return phrase{text: `key:"p/*"`, means: func(r reference) members {
				return r.ordinary(func(n Node) bool { return strings.HasPrefix(n.Key, "p/") })
			}}
		},
		func() phrase {
			return phrase{text: `key_substring:"2"`, means: func(r reference) members {
				return r.ordinary(func(n Node) bool { return strings.Contains(n.Key, "2") })
			}}
		},
		func() phrase { return pick("group:", func(n Node, name string) bool { return n.Group == name }) },
		func() phrase { return pick("tag:t=", func(n Node, name string) bool { return n.Tags["t"] == name }) },
		func() phrase {
			return pick("kind:", func(n Node, name string) bool { return slices.Contains(n.Kinds, name) })
		},
		func() phrase {
			return pick("owner:", func(n Node, name string) bool { return slices.Contains(n.Owners, name) })
		},
		func() phrase {
			return pick("code_location:", func(n Node, name string) bool { return n.CodeLocation == name })
		},
	}
	return rapid.SampledFrom(forms).Draw(t, "leaf")()
}

func not(t *rapid.T, depth int) phrase {
	inner := anyPhrase(depth).Draw(t, "operand")
	if inner.negated != nil {
		return phrase{text: "(not " + inner.text + ")", means: inner.negated.means, negated: inner.negated.negated}
	}
	return phrase{text: "(not " + inner.text + ")", negated: &inner, means: func(r reference) members {
		out := inner.means(r)
		return r.ordinary(func(n Node) bool { return !out[n.Key] })
	}}
}

func both(t *rapid.T, depth int) phrase {
	left, right := anyPhrase(depth).Draw(t, "left"), anyPhrase(depth).Draw(t, "right")
	return phrase{text: "(" + left.text + " and " + right.text + ")", means: func(r reference) members {
		a, b := left.means(r), right.means(r)
		switch {
		case right.negated != nil && left.negated == nil:
			b = right.negated.means(r)
			return r.where(func(n Node) bool { return a[n.Key] && !b[n.Key] })
		case left.negated != nil && right.negated == nil:
			a = left.negated.means(r)
			return r.where(func(n Node) bool { return b[n.Key] && !a[n.Key] })
		default:
			return r.where(func(n Node) bool { return a[n.Key] && b[n.Key] })
		}
	}}
}

func either(t *rapid.T, depth int) phrase {
	left, right := anyPhrase(depth).Draw(t, "left"), anyPhrase(depth).Draw(t, "right")
	return phrase{text: "(" + left.text + " or " + right.text + ")", means: func(r reference) members {
		a, b := left.means(r), right.means(r)
		return r.where(func(n Node) bool { return a[n.Key] || b[n.Key] })
	}}
}

func around(t *rapid.T, depth int) phrase {
	inner := anyPhrase(depth).Draw(t, "start")
	up, down := rapid.IntRange(0, 3).Draw(t, "up"), rapid.IntRange(0, 3).Draw(t, "down")
	text := fmt.Sprintf("(%d+(%s)+%d)", up, inner.text, down)
	if rapid.Bool().Draw(t, "unlimited") {
		up, down, text = 1000, 1000, "(+("+inner.text+")+)"
	}
	within := func(distance, limit int) bool { return distance > 0 && distance <= limit }
	return phrase{text: text, negated: wholeNegated(inner, up, down), means: func(r reference) members {
		start := inner.means(r)
		return r.where(func(n Node) bool {
			if start[n.Key] {
				return true
			}
			for key := range start {
				if !n.External && (within(r.distance(key, n.Key), up) || within(r.distance(n.Key, key), down)) {
					return true
				}
			}
			return false
		})
	}}
}

// wholeNegated: a traversal of no depth is its operand, also when that is a not.
func wholeNegated(inner phrase, up, down int) *phrase {
	if up == 0 && down == 0 {
		return inner.negated
	}
	return nil
}

func end(t *rapid.T, depth int) phrase {
	inner := anyPhrase(depth).Draw(t, "within")
	name := rapid.SampledFrom([]string{"roots", "sinks"}).Draw(t, "function")
	return phrase{text: name + "(" + inner.text + ")", means: func(r reference) members {
		within := inner.means(r)
		return r.where(func(n Node) bool {
			for other := range within {
				above, below := n.Key, other
				if name == "roots" {
					above, below = other, n.Key
				}
				if r.distance(below, above) > 0 {
					return false
				}
			}
			return within[n.Key]
		})
	}}
}

// keyNames are all keys of a random graph; the first are upstream of the last.
var keyNames = []string{"a", "p/b", "c2", "p/d", "e", "f2"}

func randomGraph(t *rapid.T) []Node {
	name := rapid.SampledFrom([]string{"x", "y"})
	nodes := make([]Node, len(keyNames))
	for i, key := range keyNames {
		nodes[i] = Node{
			Key: key, Group: name.Draw(t, "group"), CodeLocation: name.Draw(t, "location"),
			Tags:     map[string]string{"t": name.Draw(t, "tag")},
			Kinds:    []string{name.Draw(t, "kind")},
			Owners:   []string{name.Draw(t, "owner")},
			External: rapid.IntRange(0, 3).Draw(t, "external") == 0,
		}
		for _, parent := range keyNames[:i+1] { // itself too
			if rapid.IntRange(0, 2).Draw(t, "edge") == 0 {
				nodes[i].Parents = append(nodes[i].Parents, parent)
			}
		}
	}
	// The order in which nodes are given must not matter.
	return rapid.Permutation(nodes).Draw(t, "nodes")
}

func TestEvaluateMeansWhatTheReferenceMeans(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		nodes := randomGraph(t)
		index, err := NewIndex(nodes)
		require.NoError(t, err)
		slow := reference{nodes: map[string]Node{}}
		for _, node := range nodes {
			slow.nodes[node.Key] = node
		}
		wanted := anyPhrase(4).Draw(t, "expression")

		parsed, err := Parse(wanted.text)
		require.NoError(t, err, wanted.text)
		// A group that none of these nodes happens to have is no matter here.
		keys := parsed.EvaluateLenient(index)
		require.Equal(t, slices.Sorted(maps.Keys(wanted.means(slow))), keys, "%s over %+v", wanted.text, nodes)

		// The normal form drops parentheses: it must mean the same and stay as it is.
		again, err := Parse(parsed.String())
		require.NoError(t, err, parsed.String())
		require.Equal(t, parsed, again, "%s became %s", wanted.text, parsed)
		require.Equal(t, keys, again.EvaluateLenient(index))
	})
}

func TestAnyValueSurvivesTheRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfN(rapid.String(), 1, 4).Draw(t, "keys")
		written := Keys(keys...)
		parsed, err := Parse(written.String())
		require.NoError(t, err, written.String())
		require.Equal(t, written, parsed)

		value := rapid.String().Draw(t, "value")
		for _, kind := range []attributeKind{groupNames, kindNames, ownerNames, tagNames, locationNames} {
			filter := &Selection{attributeFilter{kind, value}}
			parsed, err = Parse(filter.String())
			require.NoError(t, err, filter.String())
			require.Equal(t, filter, parsed)
		}
	})
}
