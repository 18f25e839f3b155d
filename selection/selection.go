package selection

// Selection is a parsed expression. It is made by [Parse] or [Keys], never changes, and may be used
// by many goroutines. The zero value and nil select nothing.
type Selection struct {
	root expression
}

// Parse reads an expression of the language that the package comment describes. Its error is a
// [*SyntaxError]. Whether the names in it exist is found out by [Selection.Evaluate].
func Parse(text string) (*Selection, error) {
	parsed, problem := parse(text)
	if problem != nil {
		return nil, problem
	}
	root, problem := lowering{text}.disjunction(parsed)
	if problem != nil {
		return nil, problem
	}
	return &Selection{root}, nil
}

// Keys selects exactly the assets with these keys, external ones too. A * in a key is a character
// here, not a wildcard. Without any key it selects nothing.
func Keys(keys ...string) *Selection {
	if len(keys) == 0 {
		return &Selection{}
	}
	operands := make([]expression, len(keys))
	for i, key := range keys {
		operands[i] = keyPattern{[]string{key}}
	}
	return &Selection{newUnion(operands)}
}

// String is an expression that selects the same assets, in normal form: no superfluous parentheses,
// quotes only where they are needed. [Parse] accepts it, and the result's String is the same.
func (s *Selection) String() string { return s.expression().render() }

// Evaluate returns the keys of the selected assets, sorted; nil when there are none, which is no
// error. When the expression names a key, group, kind, owner, tag or code location that
// no asset of the index has, the error is [UnknownErrors] with all such names.
//
// The cost is linear in the index's assets and dependencies for each part of the expression.
func (s *Selection) Evaluate(index *Index) ([]string, error) {
	run := evaluation{index: index}
	members := s.expression().evaluate(&run)
	if len(run.unknown) > 0 {
		return nil, run.unknown
	}
	return index.keysOf(members), nil
}

// EvaluateLenient is Evaluate for a selection that was written for another state of the graph:
// names that no asset has select nothing.
func (s *Selection) EvaluateLenient(index *Index) []string {
	run := evaluation{index: index, lenient: true}
	return index.keysOf(s.expression().evaluate(&run))
}

func (s *Selection) expression() expression {
	if s == nil || s.root == nil {
		return complement{everything{}}
	}
	return s.root
}
