package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write docs/config.md anew")

const docsPath = "../docs/config.md"

const docsHead = `<!-- Made from config/config.go by: go test ./config -update -->
# Configuration

The commands of Perdure and every code location read one configuration. For each key, the first of these that gives a value counts:

1. the flag, where the command has it;
2. the environment variable (an empty one counts as not set; a list is separated by commas);
3. ` + "`perdure.yaml`" + `, in the current folder or the nearest one above, or the file that ` + "`--config`" + ` names;
4. the default.

A misspelt key, a value of the wrong type or out of range is an error; all of them are listed at once. Durations are written as ` + "`30s`, `10m`, `1h30m`" + `. Secrets do not belong in the file: name the environment variable that holds them.

A ` + "`perdure.yaml`" + ` with every key and its default; remove the ` + "`#`" + ` before what you change:

`

// comments are the comments of the structs' fields, by struct and field.
func comments(t *testing.T) map[string]map[string]string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	require.NoError(t, err)
	found := map[string]map[string]string{}
	ast.Inspect(parsed, func(node ast.Node) bool {
		declared, ok := node.(*ast.TypeSpec)
		if !ok {
			return true
		}
		structure, ok := declared.Type.(*ast.StructType)
		if !ok {
			return true
		}
		fields := map[string]string{}
		for _, field := range structure.Fields.List {
			fields[field.Names[0].Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
		}
		found[declared.Name.Name] = fields
		return true
	})
	return found
}

// described are the comments by key, with the fields' names in them replaced by the keys'.
func described(t *testing.T) map[string]string {
	t.Helper()
	all := comments(t)
	names := map[string]string{} // of the fields whose names are no plain words
	byKey := map[string]string{}
	var walk func(structure, prefix string)
	walk = func(structure, prefix string) {
		fields := fieldsOf(t, structure)
		for _, field := range fields {
			if field.section != "" {
				walk(field.section, prefix+field.key+".")
				continue
			}
			text := all[structure][field.name]
			require.True(t, strings.HasPrefix(text, field.name+" "), "comment of %s.%s", structure, field.name)
			byKey[prefix+field.key] = "`" + field.key + "`" + strings.TrimPrefix(text, field.name)
			if strings.ContainsFunc(field.name[1:], unicode.IsUpper) && strings.ContainsFunc(field.name, unicode.IsLower) {
				names[field.name] = field.key
			}
		}
	}
	walk("Config", "")
	for key, text := range byKey {
		for name, as := range names {
			text = regexp.MustCompile(`\b`+name+`\b`).ReplaceAllString(text, "`"+as+"`")
		}
		byKey[key] = text
	}
	return byKey
}

type documentedField struct{ name, key, section string }

// fieldsOf are the fields of a struct of config.go that are keys or sections.
func fieldsOf(t *testing.T, structure string) []documentedField {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, 0)
	require.NoError(t, err)
	var found []documentedField
	sections := map[string]bool{"Temporal": true, "TLS": true, "Postgres": true, "Storage": true, "Run": true, "Worker": true, "Logs": true, "Retention": true, "Alerts": true, "Queue": true}
	for _, field := range parsed.Scope.Lookup(structure).Decl.(*ast.TypeSpec).Type.(*ast.StructType).Fields.List {
		key := regexp.MustCompile(`mapstructure:"([^"]*)"`).FindStringSubmatch(field.Tag.Value)[1]
		if key == "-" {
			continue
		}
		documented := documentedField{name: field.Names[0].Name, key: key}
		if typed, ok := field.Type.(*ast.Ident); ok && sections[typed.Name] {
			documented.section = typed.Name
		}
		found = append(found, documented)
	}
	return found
}

func fallbackText(k key) string {
	switch {
	case k.computed != "":
		return k.computed
	case k.fallback == "":
		return "none"
	default:
		return "`" + k.fallback + "`"
	}
}

// sample is a perdure.yaml with every key commented out.
func sample() string {
	var text strings.Builder
	open := []string{}
	for _, k := range keys() {
		parts := strings.Split(k.name, ".")
		for depth, section := range parts[:len(parts)-1] {
			if depth >= len(open) || open[depth] != section {
				open = append(open[:depth:depth], section)
				fmt.Fprintf(&text, "#%s%s:\n", strings.Repeat("  ", depth), section)
			}
		}
		open = open[:len(parts)-1]
		value := k.fallback
		switch {
		case k.computed != "":
			value = "# " + k.computed
		case value == "":
			value = "# none"
		case k.kind == list:
			value = "[" + value + "]"
		}
		fmt.Fprintf(&text, "#%s%s: %s\n", strings.Repeat("  ", len(parts)-1), parts[len(parts)-1], value)
	}
	return text.String()
}

func docs(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	text.WriteString(docsHead + "```yaml\n" + sample() + "```\n")
	byKey := described(t)
	for _, k := range keys() {
		fmt.Fprintf(&text, "\n## `%s`\n\n%s\n\nDefault: %s. Variable: `%s`.", k.name, byKey[k.name], fallbackText(k), k.variable())
		if k.hasFlag() {
			fmt.Fprintf(&text, " Flag: `--%s`.", k.flag())
		}
		text.WriteString("\n")
	}
	return text.String()
}

func TestDocsAreComplete(t *testing.T) {
	t.Parallel()
	if *update {
		require.NoError(t, os.WriteFile(docsPath, []byte(docs(t)), 0o644))
	}
	written, err := os.ReadFile(docsPath)
	require.NoError(t, err)
	require.Equal(t, docs(t), string(written), "run: go test ./config -update")
	for _, k := range keys() {
		require.NotEmpty(t, k.usage, k.name)
		require.Greater(t, len(described(t)[k.name]), 20, k.name)
	}
}

// The sample says what the defaults are: taken at its word, it changes nothing.
func TestSampleFileHoldsTheDefaults(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	defaults, err := Load(LoadOptions{Folder: folder, Environ: []string{}})
	require.NoError(t, err)

	var lines []string
	for line := range strings.Lines(sample()) {
		if line = strings.TrimPrefix(line, "#"); !strings.Contains(line, ": # ") { // no value of its own
			lines = append(lines, line)
		}
	}
	content := []byte(strings.Join(lines, ""))
	var tree map[string]any
	require.NoError(t, yaml.Unmarshal(content, &tree))
	require.Len(t, tree, 10, "deployment and the sections")
	require.NoError(t, os.WriteFile(filepath.Join(folder, FileName), content, 0o600))
	loaded, err := Load(LoadOptions{Folder: folder, Environ: []string{}})
	require.NoError(t, err)
	loaded.File = ""
	require.Equal(t, defaults, loaded)
}
