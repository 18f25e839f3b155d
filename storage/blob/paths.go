package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/definitions"
)

// Paths names the objects of external assets, by asset key. An asset that it does not name is read from its key and
// the format's extension: "raw/airports.csv". It suits [Open] and [CSVFiles].
//
// A partitioned asset needs a path with {partition} in it, which stands for the partition's key, or, for a grid, with the names of both
// dimensions: "flights/{day}/{band}.csv".
type Paths map[string]string

func (p Paths) applyStorage(s *Storage) error {
	if err := p.check(); err != nil {
		return err
	}
	s.paths = p
	return nil
}

func (p Paths) applyFiles(f *Files) { f.paths = p }

func (p Paths) check() error {
	var problems []error
	for _, asset := range slices.Sorted(maps.Keys(p)) {
		if !fs.ValidPath(p[asset]) {
			problems = append(problems, fmt.Errorf("blob.Paths: %q of %s is not a path like \"raw/airports.csv\", without a leading slash or \"..\"", p[asset], asset))
		}
		if _, err := placeholdersOf(p[asset]); err != nil {
			problems = append(problems, fmt.Errorf("blob.Paths: %q of %s %w", p[asset], asset, err))
		}
	}
	return errors.Join(problems...)
}

// of is the path of an external asset's value; otherwise is that of an asset without partitions which is not named.
func (p Paths) of(at definitions.Slot, otherwise string) (string, error) {
	path, named := p[at.Asset]
	if !named {
		path = otherwise
		if at.Partition == "" {
			return path, nil
		}
	}
	names, err := placeholdersOf(path)
	switch {
	case named && err != nil:
		return "", fmt.Errorf("its path %q %w", path, err)
	case at.Partition == "" && len(names) > 0:
		return "", fmt.Errorf("its path %q has places for a partition, and the asset has none: name one file", path)
	case at.Partition == "":
		return path, nil
	case !named || len(names) == 0:
		stem, extension, _ := strings.Cut(path, ".")
		return "", fmt.Errorf("the asset has partitions, and %q is one file, in which they cannot be told apart: give each its own with blob.Paths{%q: \"%s-{partition}.%s\"}",
			path, at.Asset, stem, extension)
	}
	values := []string{at.Partition}
	if names[0] != anyPartition {
		// A grid's key holds its dimensions in the order of their names, as names does.
		if values = strings.Split(at.Partition, "|"); len(values) != len(names) {
			return "", fmt.Errorf("its path %q has places for the dimensions of a grid, and %q is no key of one: write {partition}", path, at.Partition)
		}
	}
	var replacements []string
	for i, name := range names {
		replacements = append(replacements, "{"+name+"}", values[i])
	}
	path = strings.NewReplacer(replacements...).Replace(path)
	if !fs.ValidPath(path) {
		return "", fmt.Errorf("%q is no path below the folder: name the partition's file otherwise", path)
	}
	return path, nil
}

// anyPartition is the placeholder of a whole key.
const anyPartition = "partition"

var placeholder = regexp.MustCompile(`\{([^{}]*)\}`)

// placeholdersOf lists the placeholders of a path, sorted: none, the whole key, or two dimensions.
func placeholdersOf(path string) (names []string, err error) {
	for _, match := range placeholder.FindAllStringSubmatch(path, -1) {
		names = append(names, match[1])
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 || len(names) == 2 && !slices.Contains(names, anyPartition) || len(names) == 1 && names[0] == anyPartition {
		return names, nil
	}
	return nil, fmt.Errorf("has the places {%s}: write {partition} for the whole key, or the names of both dimensions of a grid", strings.Join(names, "} {"))
}
