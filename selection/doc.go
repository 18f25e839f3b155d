// Package selection is the language that says which assets are meant:
//
//	route_delays+                   an asset and everything below it
//	2+raw/flights.clean+1           two layers above, one below
//	group:delays and not kind:image
//	sinks(key:"raw/*")
//
// It is pure arithmetic over asset keys: [Parse] reads an expression, [Keys] makes one of a list of
// keys, [NewIndex] prepares a graph, and [Selection.Evaluate] gives the selected keys.
//
// # Grammar
//
// White space between the parts means nothing. The tighter binding operator stands higher:
//
//	KEY                     the asset of that key
//	"KEY"                   the same, for keys with other characters
//	key:KEY                 the same, also for keys that are words of the language; * is a wildcard
//	key_substring:V         assets whose key holds V
//	tag:K                   assets that carry the tag K, whatever its value
//	tag:K=V                 assets whose tag K has the value V
//	owner:V                 assets of that owner
//	group:V                 assets of that group
//	kind:V                  assets of that kind
//	code_location:V         assets of that code location
//	sinks(E)                the assets of E that no other asset of E depends on
//	roots(E)                the assets of E that depend on no other asset of E
//	(E)                     E
//	N+E                     E and N layers upstream of it; without N, all layers
//	E+N                     E and N layers downstream of it
//	N+E+M                   both, seen from E
//	*                       every asset
//	not E                   every asset that is not in E
//	E and F                 the assets in both; E and not F is E without F
//	E or F                  the assets in either
//
// The left and right sides of + are one of the forms above it in the table, so a + on * or on an
// operator takes parentheses: (a or b)+.
//
// A bare KEY or V is letters, digits and _ . / -, and begins with a letter, a digit or _. Anything
// else stands in double quotes, in which \" \\ and \* stand for the character itself. A bare KEY
// is not made of digits alone, and is not a word of the language (and, or, not, sinks, roots and
// the names before a colon): write key:owner for an asset called owner.
//
// In a KEY, and nowhere else, * stands for any run of characters, also across "/": raw/*,
// key:"*_delays". In another quoted value a * is just that character.
//
// The filters column:, table_name:, column_tag: and changed_in_branch:, which Dagster's language
// has, are refused as not supported: no definition carries what they ask for.
//
// # Unknown names
//
// A key without wildcard, group, kind, owner, tag (its key) or code location that no asset has is
// surely a typing error: [Selection.Evaluate] returns [UnknownErrors] with all of them, each with
// the names that were probably meant. A wildcard, a substring or a tag's value that matches nothing
// is legal and selects nothing.
//
// # External assets
//
// External assets are selected by naming their exact key, and in no other way: neither *, nor a
// filter, nor a wildcard, nor not, nor a traversal adds one. A traversal does start from them and
// walk through them, and each counts as a layer: flights_source+ selects the external asset and
// the assets that depend on it.
//
// # Roots and sinks
//
// sinks and roots look within the selection and judge by transitive dependency: in a chain
// a → b → c, roots(a or c) is a and sinks(a or c) is c, although neither depends directly on the
// other. A dependency of an asset on itself is ignored. The ends of the whole graph that E leads to
// are sinks(E+), and its beginnings roots(+E).
package selection
