package selection

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// validForms maps what is accepted to its normal form.
var validForms = map[string]string{
	`*`:                          `*`,
	`a`:                          `a`,
	`key:a`:                      `a`,
	`key:"a/b"`:                  `a/b`,
	`"a/b"`:                      `a/b`,
	`key:raw/flights.clean-v2`:   `raw/flights.clean-v2`,
	`"with space"+`:              `key:"with space"+`,
	`1+key:a+1`:                  `1+a+1`,
	`+key:a+`:                    `+a+`,
	`+key:a`:                     `+a`,
	`key:a+`:                     `a+`,
	`1+key:a`:                    `1+a`,
	`key:a+12`:                   `a+12`,
	`007+a`:                      `7+a`,
	`0+a+0`:                      `a`,
	`route_delays+`:              `route_delays+`,
	`2+raw/flights.clean+1`:      `2+raw/flights.clean+1`,
	` 2 + a + 1 `:                `2+a+1`,
	`2001-01-01+`:                `2001-01-01+`,
	`2001/flights`:               `2001/flights`,
	`2+2001_flights+2`:           `2+2001_flights+2`,
	`flüge`:                      `flüge`,
	`raw/*`:                      `key:"raw/*"`,
	`key:raw_*`:                  `key:"raw_*"`,
	`*_delays+1`:                 `key:"*_delays"+1`,
	`2001*`:                      `key:"2001*"`,
	`key:"prefix_*_mid*_suffix"`: `key:"prefix_*_mid*_suffix"`,
	`key:"a**b"`:                 `key:"a*b"`,
	`key:"*"`:                    `key:"*"`,
	`key:"a\*b"`:                 `key:"a\*b"`,
	`key:"say \"hi\" \\"`:        `key:"say \"hi\" \\"`,
	`key:5`:                      `key:"5"`,
	`key:and and key:not`:        `key:"and" and key:"not"`,
	`key:owner`:                  `key:"owner"`,
	`and.more or not/x`:          `and.more or not/x`,
	`sinks(key:a)`:               `sinks(a)`,
	`roots ( a or b )`:           `roots(a or b)`,
	`sinks(*)`:                   `sinks(*)`,
	`+sinks(roots(a))+2`:         `+sinks(roots(a))+2`,
	`not key:a`:                  `not a`,
	`not *`:                      `not *`,
	`not not a`:                  `a`,
	`not not not a`:              `not a`,
	`(((key:a)))`:                `a`,
	`(*)+`:                       `(*)+`,
	`+(+a)`:                      `+(+a)`,
	`(a or b)+`:                  `(a or b)+`,
	`(not a)+`:                   `(not a)+`,
	`+(a)`:                       `+a`,
	`a or b and not c`:           `a or b and not c`,
	`(a or b) and c`:             `(a or b) and c`,
	`a or (b and c)`:             `a or b and c`,
	`not (a and b)`:              `not (a and b)`,
	`(not a) and b`:              `not a and b`,
	`a and (b and (c and d))`:    `a and b and c and d`,
	`(a or b) or (c or d)`:       `a or b or c or d`,
	`tag:foo`:                    `tag:foo`,
	`tag:foo=bar`:                `tag:foo=bar`,
	`tag:foo=""`:                 `tag:foo=""`,
	`tag:"team/x"="0 * * * *"`:   `tag:"team/x"="0 \* \* \* \*"`,
	`tag:year=2001`:              `tag:year="2001"`,
	`tag:and=or`:                 `tag:and=or`,
	`owner:"owner@owner.com"`:    `owner:"owner@owner.com"`,
	`group:g`:                    `group:g`,
	`1+group:"my group"+`:        `1+group:"my group"+`,
	`group:""`:                   `group:""`,
	`kind:dbt`:                   `kind:dbt`,
	`code_location:my-loc`:       `code_location:"my-loc"`,
	`key_substring:"a/"`:         `key_substring:"a/"`,
	"a\n\tor b":                  `a or b`,
}

func TestParseAccepts(t *testing.T) {
	t.Parallel()
	for text, normal := range validForms {
		parsed, err := Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, normal, parsed.String(), text)
		again, err := Parse(normal)
		require.NoError(t, err, text)
		require.Equal(t, parsed, again, "%s does not mean the same as its normal form", text)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const item = "expected an asset key"
	for _, form := range []struct {
		text    string
		column  int
		message string
	}{
		{``, 1, "the selection is empty: write *"},
		{"  \n", 4, "the selection is empty: write *"},
		{`+`, 2, item},
		{`*+`, 2, "takes no +"},
		{`+*`, 2, "takes no +"},
		{`1+*`, 3, "takes no +"},
		{`a or *+1`, 7, "takes no +"},
		{`**`, 2, `expected and, or or the end, found "*"`},
		{`**key:a`, 1, `there is no filter "**key"`},
		{`not`, 4, item},
		{`and`, 1, item},
		{`key:a key:b`, 7, `expected and, or or the end, found "key"`},
		{`a andb`, 3, `found "andb"`},
		{`key:a and and`, 11, item},
		{`key:a and`, 10, item},
		{`key:a or or b`, 10, item},
		{`sinks`, 1, "write sinks(…), or key:sinks"},
		{`sinks key:a`, 1, "write sinks(…), or key:sinks"},
		{`sinks()`, 7, item},
		{`sinks(a`, 8, `expected ")" before the end`},
		{`sources(a)`, 1, `there is no function "sources": the functions are roots(…) and sinks(…)`},
		{`owner`, 1, "write owner:VALUE, or key:owner"},
		{`a or owner b`, 6, "write owner:VALUE, or key:owner"},
		{`key`, 1, "write key:VALUE"},
		{`tag:foo=`, 9, `expected a value after "=", found the end`},
		{`tag:=b`, 5, `expected a value after ":", found "="`},
		{`tag:a=b=c`, 8, `expected and, or or the end, found "="`},
		{`key:`, 5, `expected a value after ":", found the end`},
		{`key:a:b`, 6, `expected and, or or the end, found ":"`},
		{`key:@`, 5, "double quotes"},
		{`owner:owner@owner.com`, 12, "double quotes"},
		{`group:g=h`, 8, "only tag: takes a second value after ="},
		{`group:g*`, 7, "only a key takes the wildcard *: put g* in double quotes"},
		{`tag:a=b*`, 7, "only a key takes the wildcard *"},
		{`grop:g`, 1, `there is no filter "grop": the filters are code_location, group, key, key_substring, kind, owner, tag`},
		{`(a`, 3, `expected ")" before the end`},
		{`(a b)`, 4, `expected and, or, ")" or the end`},
		{`()`, 2, item},
		{`a)`, 2, `found ")"`},
		{`(`, 2, item},
		{`+not a`, 2, item},
		{`a+b`, 3, `found "b"`},
		{`a+1+b`, 4, `found "+"`},
		{`++a`, 2, item},
		{`5`, 1, `write key:"5"`},
		{`a or 5`, 6, `write key:"5"`},
		{`1+1`, 3, `write key:"1"`},
		{`99999999999+a`, 1, "the depth 99999999999 is too large"},
		{`a AND b`, 3, "(write and)"},
		{`a - b`, 3, "A and not B"},
		{`a & b`, 3, "(write and)"},
		{`a | b`, 3, "(write or)"},
		{`a, b`, 2, "(write or)"},
		{`"a"b`, 4, `found "b"`},
		{`key:"a`, 5, "a closing \" is missing"},
		{`key:"a\`, 5, "a closing \" is missing"},
		{`key:"a\n"`, 7, `write \\ for a backslash`},
		{`ü ö`, 3, `found "ö"`},
		{"日本 or \"x\" @", 11, `found "@"`},
		{"a\xff", 2, "not valid UTF-8"},
		{`column:x`, 1, "not supported: column ("},
		{`a or table_name:x`, 6, "not supported: table_name ("},
		{`column_tag:a=b`, 1, "not supported: column_tag ("},
		{`a and changed_in_branch:NEW`, 7, "not supported: changed_in_branch ("},
	} {
		_, err := Parse(form.text)
		var syntax *SyntaxError
		require.ErrorAs(t, err, &syntax, form.text)
		require.Contains(t, syntax.Message, form.message, form.text)
		require.Equal(t, form.column, syntax.Column, form.text)
		require.Equal(t, form.text, syntax.Text)
	}
}

func TestParseRefusesDeepNesting(t *testing.T) {
	t.Parallel()
	nested := func(open, end string, times int) string {
		return strings.Repeat(open, times) + "a" + strings.Repeat(end, times)
	}
	for _, form := range [][2]string{{"(", ")"}, {"not ", ""}, {"sinks(", ")"}, {"not (", ")"}} {
		_, err := Parse(nested(form[0], form[1], maxNesting/2))
		require.NoError(t, err)
		_, err = Parse(nested(form[0], form[1], 1_000_000))
		require.ErrorContains(t, err, "nested more than 100 deep")
	}
}

func TestSyntaxErrorPointsAtItsColumn(t *testing.T) {
	t.Parallel()
	_, err := Parse("flüge\tor group:\"x\" tag:y")
	require.EqualError(t, err, "selection `flüge\tor group:\"x\" tag:y`, column 20: expected and, or or the end, found \"tag\"")
	var syntax *SyntaxError
	require.ErrorAs(t, err, &syntax)
	require.Equal(t, ""+
		"flüge or group:\"x\" tag:y\n"+
		"                   ^", syntax.Caret())
}

func FuzzParse(f *testing.F) {
	for text := range validForms {
		f.Add(text)
	}
	for _, text := range []string{`+`, `*+`, `key:"a\`, `((`, "a\xff", `not not(a)+`, `5+5+5`, `key:"\*"*`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := Parse(text)
		if err != nil {
			var syntax *SyntaxError
			require.ErrorAs(t, err, &syntax)
			require.Equal(t, text, syntax.Text)
			require.NotEmpty(t, syntax.Message)
			require.GreaterOrEqual(t, syntax.Column, 1)
			require.LessOrEqual(t, syntax.Column, len([]rune(text))+1)
			return
		}
		normal := parsed.String()
		again, err := Parse(normal)
		require.NoError(t, err, "%q became %q", text, normal)
		require.Equal(t, parsed, again, "%q became %q", text, normal)
		require.Equal(t, normal, again.String())
	})
}
