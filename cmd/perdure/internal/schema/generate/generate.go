package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/perdure-io/perdure/wire"
)

// documented are the types that people and services write and read, in the order of the document.
var documented = []any{
	wire.RunRequest{},
	wire.RunResult{},
	wire.StepsQueryInput{},
	wire.StepsQueryResult{},
	wire.CancelStepInput{},
	wire.StepState{},
	wire.BackfillRequest{},
	wire.BackfillResult{},
	wire.BackfillProgress{},
	wire.SetConcurrencyInput{},
	wire.ScheduleTickRequest{},
	wire.ScheduleTickResult{},
	wire.PreviewRequest{},
	wire.PreviewResult{},
	wire.SensorRequest{},
	wire.SensorEvent{},
	wire.TickRequest{},
	wire.SensorTick{},
	wire.SetCursorInput{},
	wire.SensorState{},
	wire.ReportRequest{},
	wire.ReportResult{},
	wire.RemoteInput{},
	wire.RemoteResult{},
	wire.Refusal{},
	wire.Metadatum{},
}

// generated is what this program writes.
type generated struct {
	// schemas are by type name.
	schemas  map[string][]byte
	document []byte
}

// generate reads the comments and constants of package wire in the folder, which is relative to the folder below that
// of package schema: "" for package schema's own.
func generate(folder, below string) (generated, error) {
	constants, err := readConstants(folder)
	if err != nil {
		return generated{}, err
	}
	reflector := &jsonschema.Reflector{Anonymous: true, DoNotReference: true, Mapper: constants.schemaOf}
	// Joined with the relative path of wire, this import path is that of wire.
	here := path.Join(path.Dir(reflect.TypeFor[wire.RunRequest]().PkgPath()), "cmd/perdure/internal/schema", below)
	if err := reflector.AddGoComments(here, folder, jsonschema.WithFullComment()); err != nil {
		return generated{}, fmt.Errorf("read the comments of %s: %w", folder, err)
	}
	for name, comment := range reflector.CommentMap {
		reflector.CommentMap[name] = prose(comment)
	}
	for _, t := range structsOf(documented) {
		speakJSON(reflector.CommentMap, t)
	}
	made := generated{schemas: map[string][]byte{}}
	reflected := make([]*jsonschema.Schema, len(documented))
	for i, value := range documented {
		t := reflect.TypeOf(value)
		reflected[i] = reflector.ReflectFromType(t)
		reflected[i].Title = t.Name()
		content, err := json.MarshalIndent(reflected[i], "", "  ")
		if err != nil {
			return generated{}, fmt.Errorf("write the schema of %s: %w", t.Name(), err)
		}
		made.schemas[t.Name()] = append(content, '\n')
	}
	var document bytes.Buffer
	writeDocument(&document, reflected, constants)
	made.document = document.Bytes()
	return made, nil
}

// structsOf are the types of the values and all structs of package wire in their fields.
func structsOf(values []any) []reflect.Type {
	var found []reflect.Type
	var add func(reflect.Type)
	add = func(t reflect.Type) {
		switch t.Kind() {
		case reflect.Slice, reflect.Pointer, reflect.Map:
			add(t.Elem())
		case reflect.Struct:
			if t.PkgPath() != reflect.TypeFor[wire.RunRequest]().PkgPath() || slices.Contains(found, t) {
				return
			}
			found = append(found, t)
			for field := range t.Fields() {
				add(field.Type)
			}
		default:
		}
	}
	for _, value := range values {
		add(reflect.TypeOf(value))
	}
	return found
}

// speakJSON replaces the names of Go fields in a struct's comments by those in JSON, which is all that a reader of the
// wire sees.
func speakJSON(comments map[string]string, t reflect.Type) {
	own := t.PkgPath() + "." + t.Name()
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		word := regexp.MustCompile(`\b` + field.Name + `\b`)
		for _, at := range append(fieldKeys(own, t), own) {
			if comment, ok := comments[at]; ok {
				comments[at] = word.ReplaceAllString(comment, name)
			}
		}
	}
}

func fieldKeys(own string, t reflect.Type) []string {
	var keys []string
	for field := range t.Fields() {
		keys = append(keys, own+"."+field.Name)
	}
	return keys
}

// prose is a comment in one paragraph, without its examples, which are indented.
func prose(comment string) string {
	var kept []string
	for line := range strings.Lines(comment) {
		if !strings.HasPrefix(line, "\t") {
			kept = append(kept, line)
		}
	}
	return joined(strings.Join(kept, " "))
}
