package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// LoadOptions says where the configuration comes from. The zero value is the current folder and the process's
// environment, without flags.
type LoadOptions struct {
	// File is the path of the configuration file; it must exist. Empty looks for perdure.yaml in Folder and above, and
	// goes on without when there is none.
	File string
	// Folder is where the search begins, and what relative paths of variables and flags refer to. Default: the current
	// one.
	Folder string
	// Environ is the environment, each entry NAME=value. Default: os.Environ().
	Environ []string
	// Flags is a parsed flag set that AddFlags was called on. A flag that was not given does not count.
	Flags *pflag.FlagSet
}

// Load reads the configuration from file, environment and flags, adds defaults, and validates the whole. The error is
// an *Error with every problem: misspelt keys, wrong types, values out of range. It wraps fs.ErrNotExist when File is
// given and does not exist.
func Load(options LoadOptions) (Config, error) {
	if options.Environ == nil {
		options.Environ = os.Environ()
	}
	folder, err := filepath.Abs(options.Folder)
	if err != nil {
		return Config{}, fmt.Errorf("find the current folder: %w", err)
	}
	options.Folder = folder
	file, path, err := options.file()
	if err != nil {
		return Config{}, err
	}
	environment := environ(options.Environ)
	variables := readVariables(environment)
	loaded, flagSources, err := merge(file, variables, options.Flags)
	if err != nil {
		return Config{}, err
	}
	loaded.File = path
	sources := sources{file.sources, variables.sources, flagSources}
	problems := slices.Concat(file.problems, variables.problems)
	problems = append(problems, loaded.resolveEnvironment(environment, sources)...)
	loaded.resolvePaths(options.Folder, sources)
	loaded.addComputed(options.Folder, sources)
	rejected := map[string]bool{}
	for _, problem := range problems {
		rejected[problem.Key] = true
	}
	for _, problem := range loaded.problems() {
		if !rejected[problem.Key] {
			problem.Source = sources.of(problem.Key)
			problems = append(problems, problem)
		}
	}
	if err := asError(problems); err != nil {
		return Config{}, err
	}
	return loaded, nil
}

// file reads the configuration file; the path is "" when there is none.
func (o LoadOptions) file() (*layer, string, error) {
	path := o.File
	if path == "" {
		found, err := findFile(o.Folder)
		if err != nil || found == "" {
			return newLayer(), "", err
		}
		path = found
	} else if !filepath.IsAbs(path) {
		path = filepath.Join(o.Folder, path)
	}
	file, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("configuration file %s does not exist: create it, or leave the option out: %w", path, fs.ErrNotExist)
	}
	return file, path, err
}

func environ(entries []string) map[string]string {
	variables := map[string]string{}
	for _, entry := range entries {
		if name, value, ok := strings.Cut(entry, "="); ok {
			variables[name] = value
		}
	}
	return variables
}

// readVariables reads the variables PERDURE_*. An empty one counts as absent, as shells and compose files have it. An
// unknown one is refused only when it is nearly a known one: others may share our prefix (Kubernetes makes
// PERDURE_PORT of a service named perdure).
func readVariables(environment map[string]string) *layer {
	variables := newLayer()
	names := map[string]bool{}
	for _, known := range keys() {
		name := known.variable()
		names[name] = true
		given := environment[name]
		if given == "" {
			continue
		}
		variables.sources[known.name] = name
		value, err := known.parse(given)
		if err != nil {
			variables.reject(known.name, name, err.Error(), "")
			continue
		}
		variables.values[known.name] = value
	}
	known := slices.Sorted(maps.Keys(names))
	for _, name := range slices.Sorted(maps.Keys(environment)) {
		if !strings.HasPrefix(name, "PERDURE_") || names[name] {
			continue
		}
		if near := nearest(name, known, slipOfAKey); near != "" {
			variables.reject("", name, "is no variable of Perdure", "did you mean "+near+"?")
		}
	}
	return variables
}

// merge lays defaults, file, variables and flags over each other, in an instance of viper of its own.
func merge(file, variables *layer, flags *pflag.FlagSet) (Config, map[string]string, error) {
	merged := viper.New()
	flagSources := map[string]string{}
	for _, known := range keys() {
		var fallback any
		switch {
		case known.fallback != "":
			value, err := known.parse(known.fallback)
			if err != nil {
				return Config{}, nil, fmt.Errorf("default of %s %w", known.name, err)
			}
			fallback = value
		case known.kind == text:
			fallback = ""
		case known.kind == entries:
			fallback = reflect.Zero(reflect.SliceOf(known.entry)).Interface()
		case known.kind == list:
			fallback = []string(nil)
		default:
			fallback = 0
		}
		merged.SetDefault(known.name, fallback)
		if flags == nil {
			continue
		}
		if flag := flags.Lookup(known.flag()); flag != nil {
			if err := merged.BindPFlag(known.name, flag); err != nil {
				return Config{}, nil, fmt.Errorf("bind --%s: %w", flag.Name, err)
			}
			if flag.Changed {
				flagSources[known.name] = "--" + flag.Name
			}
		}
	}
	// viper would read variables from the process's own environment only; merged over the file they rank as they must.
	for _, source := range []*layer{file, variables} {
		if err := merged.MergeConfigMap(nest(source.values)); err != nil {
			return Config{}, nil, fmt.Errorf("merge the configuration: %w", err)
		}
	}
	var result Config
	err := merged.UnmarshalExact(&result, func(settings *mapstructure.DecoderConfig) {
		settings.WeaklyTypedInput = false
		settings.DecodeHook = mapstructure.StringToTimeDurationHookFunc() // a flag's, which viper hands on as text
	})
	if err != nil {
		return Config{}, nil, fmt.Errorf("decode the configuration: %w", err)
	}
	return result, flagSources, nil
}

// nest turns {"a.b": 1} into {"a": {"b": 1}}.
func nest(flat map[string]any) map[string]any {
	root := map[string]any{}
	for name, value := range flat {
		parts := strings.Split(name, ".")
		section := root
		for _, part := range parts[:len(parts)-1] {
			below, ok := section[part].(map[string]any)
			if !ok {
				below = map[string]any{}
				section[part] = below
			}
			section = below
		}
		section[parts[len(parts)-1]] = value
	}
	return root
}

// sources are where values stand: file, variables, flags, each beating the one before.
type sources [3]map[string]string

// of is where the value that counts stands, or "".
func (s sources) of(name string) string {
	list, _, _ := strings.Cut(name, "[") // of an entry
	for _, level := range slices.Backward(s[:]) {
		if source := level[list]; source != "" {
			return source
		}
	}
	return ""
}

// rankFile is the rank of a value that the file gives.
const rankFile = 1

// rank is 0 for a value that no source gives; a greater one beats a lesser.
func (s sources) rank(name string) int {
	for i, level := range slices.Backward(s[:]) {
		if level[name] != "" {
			return i + 1
		}
	}
	return 0
}

// resolveEnvironment reads the secrets whose variables the configuration names.
func (c *Config) resolveEnvironment(environment map[string]string, given sources) []Problem {
	var problems []Problem
	read := func(name, variable string) string {
		value := environment[variable]
		if value == "" {
			problems = append(problems, Problem{
				Key: name, Source: given.of(name),
				Message: fmt.Sprintf("names the environment variable %q, which is not set", variable),
				Fix:     "set it, or correct the name (the value here is a variable's name, never the secret itself)",
			})
		}
		return value
	}
	if c.Temporal.APIKeyEnv != "" {
		c.Temporal.APIKey = Secret(read("temporal.api_key_env", c.Temporal.APIKeyEnv))
	}
	address, name := given.rank("postgres.dsn"), given.rank("postgres.dsn_env")
	switch {
	case name == 0 || c.Postgres.DSNEnv == "":
	case address == name && c.Postgres.DSN != "":
		problems = append(problems, Problem{
			Key: "postgres.dsn_env", Source: given.of("postgres.dsn_env"), Message: "stands beside postgres.dsn", Fix: "keep one of them",
		})
	case name > address || c.Postgres.DSN == "":
		c.Postgres.DSN = DSN(read("postgres.dsn_env", c.Postgres.DSNEnv))
	}
	return problems
}

// resolvePaths makes paths absolute: those of the file from the file's folder, others from the folder of the command.
func (c *Config) resolvePaths(folder string, given sources) {
	for name, path := range map[string]*string{
		"temporal.tls.cert_file": &c.Temporal.TLS.CertFile,
		"temporal.tls.key_file":  &c.Temporal.TLS.KeyFile,
		"temporal.tls.ca_file":   &c.Temporal.TLS.CAFile,
	} {
		if *path == "" || filepath.IsAbs(*path) {
			continue
		}
		base := folder
		if given.rank(name) == rankFile {
			base = filepath.Dir(c.File)
		}
		*path = filepath.Join(base, *path)
	}
	base := folder
	if given.rank("alerts.sinks") == rankFile {
		base = filepath.Dir(c.File)
	}
	for i := range c.Alerts.Sinks {
		if path := &c.Alerts.Sinks[i].CAFile; *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(base, *path)
		}
	}
}

// addComputed adds the defaults that depend on other values or on the machine. A value that somebody gave is left to
// validation, be it empty.
func (c *Config) addComputed(folder string, given sources) {
	if given.rank("postgres.schema") == 0 {
		c.Postgres.Schema = c.defaultSchema()
	}
	if given.rank("storage.url") == 0 {
		if c.File != "" {
			folder = filepath.Dir(c.File)
		}
		path := filepath.ToSlash(filepath.Join(folder, ".perdure", "storage"))
		if !strings.HasPrefix(path, "/") {
			path = "/" + path // a drive letter
		}
		// The folder is made when absent, and a file is written beside its final place so that it can be renamed to it.
		c.Storage.URL = (&url.URL{Scheme: "file", Path: path, RawQuery: "create_dir=true&no_tmp_dir=true"}).String()
	}
	if given.rank("worker.max_concurrent_steps_per_worker") == 0 {
		c.Worker.MaxConcurrentSteps = 2 * runtime.GOMAXPROCS(0)
	}
}
