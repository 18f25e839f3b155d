package selection_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/perdure-io/perdure/selection"
)

// etlSteps is a job: pages fans out, clean and rate are mapped over it, and total collects.
func etlSteps(t *testing.T) *selection.StepIndex {
	t.Helper()
	index, err := selection.NewStepIndex([]selection.Step{
		{Key: "source"},
		{Key: "etl.pages", Needs: []string{"source"}},
		{Key: "etl.clean", Needs: []string{"etl.pages"}},
		{Key: "etl.clean[p_1]", Needs: []string{"etl.pages"}, Mapped: true},
		{Key: "etl.clean[p_2]", Needs: []string{"etl.pages"}, Mapped: true},
		{Key: "etl.rate", Needs: []string{"etl.clean"}},
		{Key: "etl.rate[p_1]", Needs: []string{"etl.clean[p_1]"}, Mapped: true},
		{Key: "etl.rate[p_2]", Needs: []string{"etl.clean[p_2]"}, Mapped: true},
		{Key: "total", Needs: []string{"etl.rate", "etl.rate[p_1]", "etl.rate[p_2]"}},
		{Key: "report", Needs: []string{"total"}},
		{Key: "2020 totals", Needs: []string{"total"}},
		{Key: "2020", Needs: []string{"report"}},
	})
	require.NoError(t, err)
	return index
}

func TestStepSelections(t *testing.T) {
	t.Parallel()
	index := etlSteps(t)
	static := []string{"source", "etl.pages", "etl.clean", "etl.rate", "total", "report", "2020 totals", "2020"}
	for text, want := range map[string][]string{
		"total":                         {"total"},
		" total ,report\n\tsource,":     {"source", "total", "report"},
		"report total report":           {"total", "report"},
		"*":                             static,
		"*, total":                      static,
		"etl":                           {"etl.pages", "etl.clean", "etl.rate"},
		"etl+":                          {"etl.pages", "etl.clean", "etl.rate", "total"},
		"etl.clean":                     {"etl.clean"},
		"etl.clean+":                    {"etl.clean", "etl.rate"},
		"etl.clean++":                   {"etl.clean", "etl.rate", "total"},
		"etl.clean+2":                   {"etl.clean", "etl.rate", "total"},
		"etl.clean*":                    {"etl.clean", "etl.rate", "total", "report", "2020 totals", "2020"},
		"+total":                        {"etl.rate", "total"},
		"++total":                       {"etl.clean", "etl.rate", "total"},
		"2+total":                       {"etl.clean", "etl.rate", "total"},
		"0+total+0":                     {"total"},
		"*total":                        {"source", "etl.pages", "etl.clean", "etl.rate", "total"},
		"+total+":                       {"etl.rate", "total", "report", "2020 totals"},
		"1+2020":                        {"report", "2020"},
		"2020":                          {"2020"},
		`"2020 totals"`:                 {"2020 totals"},
		`+"2020 totals"`:                {"total", "2020 totals"},
		"etl.clean[p_1]":                {"etl.clean[p_1]"},
		"etl.clean[p_1]+":               {"etl.clean[p_1]", "etl.rate[p_1]"},
		"etl.clean[p_1]+2":              {"etl.clean[p_1]", "etl.rate[p_1]", "total"},
		"etl.clean[p_2]* etl.rate[p_1]": {"etl.clean[p_2]", "etl.rate[p_1]", "etl.rate[p_2]", "total", "report", "2020 totals", "2020"},
		"+etl.rate[p_2]":                {"etl.clean[p_2]", "etl.rate[p_2]"},
		"*etl.rate[p_2]":                {"source", "etl.pages", "etl.clean[p_2]", "etl.rate[p_2]"},
	} {
		parsed, err := selection.ParseSteps(text)
		require.NoError(t, err, text)
		got, err := parsed.Evaluate(index)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestStepSelectionSyntax(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                 "column 1: no step is named",
		" , ":              "column 4: no step is named",
		"a $b":             `column 3: expected a step's key, such as clean, etl.clean or clean[page_3]: found "$"`,
		"é":                `column 1: expected a step's key`,
		"ab é[":            `column 4: expected a step's key, such as clean, etl.clean or clean[page_3]: found "é"`,
		"+":                "column 2: expected a step's key, such as clean, etl.clean or clean[page_3]: found the end",
		"**a":              `column 2: expected a step's key, such as clean, etl.clean or clean[page_3]: found "*"`,
		"a**":              `column 3: expected "," or a space, then another step: found "*"`,
		"a+b":              `column 3: expected "," or a space`,
		"a++2":             `column 4: expected "," or a space, then another step: found "2"`,
		"a|b":              `column 2: expected "," or a space`,
		"a[]":              `column 3: expected a mapping key of letters, digits and "_" after "[": found "]"`,
		"a[b":              `column 4: expected "]" after the mapping key "b": found the end`,
		"a[b-c]":           `column 4: expected "]" after the mapping key "b": found "-"`,
		`"a`:               "column 1: the quotes are not closed",
		`a ""`:             "column 3: the key in quotes is empty",
		"99999999999+a":    "column 1: the depth 99999999999 is too large",
		"a, b+99999999999": "column 6: the depth 99999999999 is too large",
	} {
		_, err := selection.ParseSteps(text)
		var syntax *selection.SyntaxError
		require.ErrorAs(t, err, &syntax, text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestStepSelectionOfUnknownSteps(t *testing.T) {
	t.Parallel()
	parsed, err := selection.ParseSteps(`etl.claen, total, "etl.clean[p_3]", etl.claen*, et`)
	require.NoError(t, err)
	got, err := parsed.Evaluate(etlSteps(t))
	require.Nil(t, got)
	var unknown selection.UnknownErrors
	require.ErrorAs(t, err, &unknown)
	require.Len(t, unknown, 3, "each once")
	require.ErrorContains(t, unknown[0], `there is no step "etl.claen": did you mean "etl.clean"`)
	require.ErrorContains(t, unknown[1], `there is no step "etl.clean[p_3]": did you mean "etl.clean[p_1]" or "etl.clean[p_2]"`)
	require.EqualError(t, unknown[2], `there is no step "et": check its spelling`)
}

func TestNewStepIndexRefuses(t *testing.T) {
	t.Parallel()
	_, err := selection.NewStepIndex([]selection.Step{{Key: "a"}, {Key: "a"}, {Key: "b", Needs: []string{"c"}}, {}})
	require.ErrorContains(t, err, `step "a" is there twice`)
	require.ErrorContains(t, err, `step "" is there twice, or has no key`)
	require.ErrorContains(t, err, `step "b" needs the step "c", which is not there`)
}

func TestTheZeroStepSelectionSelectsNothing(t *testing.T) {
	t.Parallel()
	var none *selection.StepSelection
	for _, s := range []*selection.StepSelection{none, {}} {
		got, err := s.Evaluate(etlSteps(t))
		require.NoError(t, err)
		require.Empty(t, got)
	}
}

// TestStepSelectionAgreesWithAWalkStepByStep compares evaluation with one layer taken after the other.
func TestStepSelectionAgreesWithAWalkStepByStep(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "steps")
		steps := make([]selection.Step, n)
		needs := map[int][]int{}
		for i := range steps {
			steps[i].Key = fmt.Sprintf("s%d", i)
			for need := range i {
				if rapid.IntRange(0, 3).Draw(t, "edge") == 0 {
					steps[i].Needs = append(steps[i].Needs, steps[need].Key)
					needs[i] = append(needs[i], need)
				}
			}
		}
		index, err := selection.NewStepIndex(steps)
		require.NoError(t, err)
		var texts []string
		want := map[int]bool{}
		for range rapid.IntRange(1, 3).Draw(t, "items") {
			start := rapid.IntRange(0, n-1).Draw(t, "start")
			up, down := rapid.IntRange(0, 4).Draw(t, "up"), rapid.IntRange(0, 4).Draw(t, "down")
			texts = append(texts, strings.Repeat("+", up)+steps[start].Key+strings.Repeat("+", down))
			want[start] = true
			above, below := map[int]bool{start: true}, map[int]bool{start: true}
			for range up {
				above = layer(above, func(i, j int) bool { return slices.Contains(needs[i], j) }, n)
				for i := range above {
					want[i] = true
				}
			}
			for range down {
				below = layer(below, func(i, j int) bool { return slices.Contains(needs[j], i) }, n)
				for i := range below {
					want[i] = true
				}
			}
		}
		parsed, err := selection.ParseSteps(strings.Join(texts, rapid.SampledFrom([]string{",", " ", ", "}).Draw(t, "separator")))
		require.NoError(t, err)
		got, err := parsed.Evaluate(index)
		require.NoError(t, err)
		var expected []string
		for i := range steps {
			if want[i] {
				expected = append(expected, steps[i].Key)
			}
		}
		require.Equal(t, expected, got)
	})
}

// layer is what is one step away.
func layer(from map[int]bool, leads func(i, j int) bool, n int) map[int]bool {
	next := map[int]bool{}
	for i := range from {
		for j := range n {
			if leads(i, j) {
				next[j] = true
			}
		}
	}
	return next
}
