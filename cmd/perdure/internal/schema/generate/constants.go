package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/perdure-io/perdure/wire"
)

// constant is a string constant of package wire.
type constant struct {
	name, value, comment string
}

// constants are the string constants of package wire.
type constants struct {
	// byType are those of a named type, in the order of the source.
	byType map[string][]constant
	// plain are the others.
	plain []constant
}

func readConstants(folder string) (*constants, error) {
	found := &constants{byType: map[string][]constant{}}
	paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("no Go files in %s: %w", folder, fs.ErrNotExist)
	}
	set := token.NewFileSet()
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, declaration := range file.Decls {
			if group, ok := declaration.(*ast.GenDecl); ok && group.Tok == token.CONST {
				found.read(group)
			}
		}
	}
	return found, nil
}

func (c *constants) read(group *ast.GenDecl) {
	for _, spec := range group.Specs {
		value, ok := spec.(*ast.ValueSpec)
		if !ok || len(value.Values) != 1 || !value.Names[0].IsExported() {
			continue
		}
		literal, ok := value.Values[0].(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			continue
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			continue
		}
		comment := value.Doc.Text()
		if comment == "" {
			comment = value.Comment.Text()
		}
		read := constant{value.Names[0].Name, text, joined(comment)}
		if named, ok := value.Type.(*ast.Ident); ok {
			c.byType[named.Name] = append(c.byType[named.Name], read)
			continue
		}
		c.plain = append(c.plain, read)
	}
}

// withPrefix are the plain constants whose names begin so.
func (c *constants) withPrefix(prefix string) []constant {
	var found []constant
	for _, one := range c.plain {
		if strings.HasPrefix(one.name, prefix) {
			found = append(found, one)
		}
	}
	return found
}

// schemaOf is the schema of types whose JSON is not what reflection sees.
func (c *constants) schemaOf(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[wire.AssetSelection]():
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
			{Type: "string", Description: "An expression of the selection language."},
			{Type: "array", Items: &jsonschema.Schema{Type: "string"}, MinItems: new(uint64(1)), Description: "Asset keys."},
		}}
	case reflect.TypeFor[wire.Priority]():
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
			{Type: "integer", Minimum: json.Number("1"), Maximum: json.Number("5")},
			{Type: "string", Enum: []any{"1", "2", "3", "4", "5", "high", "normal", "low", "backfill"}},
		}}
	case reflect.TypeFor[json.RawMessage]():
		return &jsonschema.Schema{}
	}
	if t.PkgPath() != reflect.TypeFor[wire.RunRequest]().PkgPath() || t.Kind() != reflect.String {
		return nil
	}
	s := &jsonschema.Schema{Type: "string"}
	for _, value := range c.byType[t.Name()] {
		s.Enum = append(s.Enum, value.value)
	}
	return s
}

func joined(text string) string { return strings.Join(strings.Fields(text), " ") }
