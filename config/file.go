package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// layer is what one source gives: values by key, and where each stands.
type layer struct {
	values   map[string]any
	sources  map[string]string
	problems []Problem
}

func newLayer() *layer { return &layer{values: map[string]any{}, sources: map[string]string{}} }

func (l *layer) reject(name, source, message, fix string) {
	l.problems = append(l.problems, Problem{Key: name, Source: source, Message: message, Fix: fix})
}

// findFile looks for the configuration file in the folder and above. It returns "" when there is none.
func findFile(folder string) (string, error) {
	for {
		path := filepath.Join(folder, FileName)
		info, err := os.Stat(path)
		switch {
		case err == nil && info.Mode().IsRegular():
			return path, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("look for %s: %w", FileName, err)
		}
		above := filepath.Dir(folder)
		if above == folder {
			return "", nil
		}
		folder = above
	}
}

// readFile reads one YAML file.
func readFile(path string) (*layer, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	file := newLayer()
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		file.reject("", path, "is not YAML: "+strings.TrimPrefix(err.Error(), "yaml: "), "")
		return file, nil
	}
	if document.Kind == 0 { // empty, or comments only
		return file, nil
	}
	reader := fileReader{path: path, layer: file}
	reader.section(document.Content[0], "")
	return file, nil
}

type fileReader struct {
	path string
	*layer
}

func (r fileReader) at(node *yaml.Node) string { return fmt.Sprintf("%s:%d", r.path, node.Line) }

// section reads a mapping; name is "" for the whole file.
func (r fileReader) section(node *yaml.Node, name string) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return // a section whose keys are all commented out
	}
	if node.Kind != yaml.MappingNode {
		r.reject(name, r.at(node), "must be a section", "write its keys below it, indented")
		return
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		child := node.Content[i].Value
		if name != "" {
			child = name + "." + child
		}
		r.entry(node.Content[i], node.Content[i+1], child)
	}
}

func (r fileReader) entry(label, node *yaml.Node, name string) {
	source := r.at(label)
	if _, twice := r.sources[name]; twice {
		r.reject(name, source, "stands there twice", "keep one")
		return
	}
	if isSection(name) {
		r.sources[name] = source
		r.section(node, name)
		return
	}
	known := findKey(name)
	if known == nil {
		fix := "remove it"
		if near := meant(name); near != "" {
			fix = "did you mean " + near + "?"
		}
		r.reject(name, source, "is no configuration key", fix)
		return
	}
	r.sources[name] = source
	if known.kind == entries {
		r.values[name] = readEntries(node, known.entry, func(at *yaml.Node, place, message, fix string) {
			r.reject(name+place, r.at(at), message, fix)
		})
		return
	}
	value, err := decode(node, known.kind)
	if err != nil {
		r.reject(name, source, err.Error(), "")
		return
	}
	r.values[name] = value
}

// yamlTags are the YAML types that a value of each kind may be written in.
var yamlTags = map[kind][]string{
	text: {"!!str"}, number: {"!!int"}, boolean: {"!!bool"}, duration: {"!!str"},
}

func decode(node *yaml.Node, want kind) (any, error) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	switch {
	case node.Tag == "!!null":
		return nil, errors.New("has no value: give it one, or remove the line for the default")
	case want == list && node.Kind == yaml.SequenceNode:
		names := []string{}
		for _, item := range node.Content {
			if item.Tag != "!!str" {
				return nil, errors.New("must be " + want.phrase())
			}
			names = append(names, item.Value)
		}
		return names, nil
	case node.Kind != yaml.ScalarNode || !slices.Contains(yamlTags[want], node.Tag):
		if want == text && node.Kind == yaml.ScalarNode {
			return nil, errors.New("must be text: put it in quotes")
		}
		return nil, errors.New("must be " + want.phrase())
	default:
		return want.parse(node.Value)
	}
}
