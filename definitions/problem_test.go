package definitions_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
)

func TestProblemsAreListedWithPlaceAndFix(t *testing.T) {
	t.Parallel()
	err := d.New("x", constant("b", d.Owners{"bob"}), constant("a", d.Kinds{"A"})).Validate()
	require.EqualError(t, err, `the definitions have 2 problems:
  asset "a" (definitions/validate_test.go:24), kinds: "A" is no kind
      fix: use lower-case letters, digits, "_", "." and "-", at most 63
  asset "b" (definitions/validate_test.go:24), owners: "bob" is neither an e-mail address nor a team
      fix: write "ann@example.com" or "team:data"`)

	var none *d.Definitions
	require.EqualError(t, none.Validate(), `the definitions have 1 problem:
  location (definitions/problem_test.go:21): its definitions are nil
      fix: make them with New`)
	require.ErrorContains(t, d.Materialize(t.Context(), none).Err(), "its definitions are nil")
}

// The place of a declaration is the line on which its statement begins, wherever the declaration ends.
func TestPlaceOfADeclaration(t *testing.T) {
	t.Parallel()
	a := d.Asset(
		"a b",
		d.Bind0(one),
	)
	err := d.New("x", a).Validate()
	require.ErrorContains(t, err, "(definitions/problem_test.go:30)")
}

func TestConfigureChecksTheValue(t *testing.T) {
	t.Parallel()
	type settings struct {
		Size string `enum:"small,large"`
	}
	config := d.Config(settings{Size: "small"})
	a := bindConfig(config)
	job := d.AssetJob("j", d.Assets(a), d.Configure(config, settings{Size: "huge"}))
	require.Equal(t, []string{`job "j" (definitions/problem_test.go:N), config.size: "huge" is not allowed; use one of "small" or "large"`}, problemsOf(t, d.New("x", a, job)))
}
