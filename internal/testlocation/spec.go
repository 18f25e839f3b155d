package testlocation

import (
	_ "embed" // the program of assets in Python
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/perdure-io/perdure/definitions"
)

//go:embed asset.py
var pythonAsset string

// Spec is a code location: its name and its assets, each after those it needs.
type Spec struct {
	Location string  `json:"location"`
	Assets   []Asset `json:"assets"`
	// Remote are the keys of assets that another program computes, on the queue "ml": numbers.
	Remote []string `json:"remote,omitempty"`
	// Python is the interpreter of those that are Python programs; it has the package dagster-pipes.
	Python string `json:"python,omitempty"`
	// Fan is a job of ops beside them; nil is none.
	Fan *Fan `json:"fan,omitempty"`
	// Schedules are those of the location, each with its job.
	Schedules []Schedule `json:"schedules,omitempty"`
	// Sensors are those of the location, each with its job.
	Sensors []Sensor `json:"sensors,omitempty"`
}

// Asset is one asset of a Spec.
type Asset struct {
	Key string `json:"key"`
	// Inputs are the keys of the assets whose values it loads.
	Inputs []string `json:"inputs,omitempty"`
	// Retries is as in definitions; nil is none.
	Retries *definitions.Retries `json:"retries,omitempty"`
	// Timeout bounds one attempt; 0 does not.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Queue names other workers than the location's own; "" is those.
	Queue string `json:"queue,omitempty"`
	// Pool bounds how many run at once; "" does not.
	Pool string `json:"pool,omitempty"`
	// Subprocess computes it in a process of its own.
	Subprocess bool `json:"subprocess,omitempty"`
	// Days slices it into so many days from 2001-01-01 on; 0 does not. What it is told by [PartitionKey] goes before what it is
	// told by its own.
	Days int `json:"days,omitempty"`
	// SlicedBy slices it otherwise: by weeks of its Days, by Regions, by customers or by a grid of Days and Regions.
	SlicedBy string   `json:"sliced_by,omitempty"`
	Regions  []string `json:"regions,omitempty"`
	// Cron gives its days by a cron expression.
	Cron string `json:"cron,omitempty"`
	// Ranged makes many partitions in one call of its function.
	Ranged bool `json:"ranged,omitempty"`
	// Before are the keys of assets of which it loads the day before, Parts of those of which it loads all that it needs, by key.
	Before []string `json:"before,omitempty"`
	Parts  []string `json:"parts,omitempty"`
	// Ordered has it load its own value of the day before.
	Ordered bool `json:"ordered,omitempty"`
	// Outputs makes it a multi-asset that makes these, by days; what others need are these.
	Outputs []string `json:"outputs,omitempty"`
	// Fan makes it a graph asset, by days, that maps its input over these keys and takes all.
	Fan []string `json:"fan,omitempty"`
	// External leaves it to others, who deliver it by days.
	External bool `json:"external,omitempty"`
	// PartitionsPerRun is how many a run of a backfill makes at most; 0 is no policy, -1 no bound.
	PartitionsPerRun int `json:"partitions_per_run,omitempty"`
	// Python computes it by a program that speaks Pipes.
	Python bool `json:"python,omitempty"`
}

// Keys are the keys of all assets.
func (s Spec) Keys() []string {
	keys := make([]string, len(s.Assets))
	for i, asset := range s.Assets {
		keys[i] = asset.Key
	}
	return keys
}

// Only is the spec with only the assets of these keys, which need no others.
func (s Spec) Only(keys ...string) Spec {
	s.Assets = slices.DeleteFunc(slices.Clone(s.Assets), func(a Asset) bool { return !slices.Contains(keys, a.Key) })
	return s
}

// Sums are what the values of the assets must say when every input was right, by key.
func (s Spec) Sums() map[string]string {
	sums := make(map[string]string, len(s.Assets))
	for _, asset := range s.Assets {
		inputs := make([]string, len(asset.Inputs))
		for i, input := range asset.Inputs {
			inputs[i] = sums[input]
		}
		sums[asset.Key] = sumOf(asset.Key, inputs)
	}
	return sums
}

// write puts the spec where a worker finds it.
func (s Spec) write(folder, name string) (string, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("write the spec of location %q: %w", s.Location, err)
	}
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return "", fmt.Errorf("write the spec of location %q: %w", s.Location, err)
	}
	return path, nil
}

func readSpec(path string) (Spec, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Spec{}, fmt.Errorf("read the location's spec: %w", err)
	}
	var spec Spec
	if err := json.Unmarshal(data, &spec); err != nil {
		return Spec{}, fmt.Errorf("read the location's spec %s: %w", path, err)
	}
	return spec, nil
}

// definitions builds the location. Its values lie in the bucket at storageURL, whose publishing can be held up.
func (s Spec) definitions(controls Controls, storageURL string) *definitions.Definitions {
	store := gateResource(controls, storageURL)
	handles := make(map[string]*definitions.AssetOf[Value], len(s.Assets))
	all := []definitions.Definition{store}
	if slices.ContainsFunc(s.Assets, func(a Asset) bool { return a.External }) {
		all = append(all, deliveries)
	}
	for _, asset := range s.Assets {
		if len(asset.Outputs) > 0 {
			all = append(all, asset.outputs(handles, controls, store))
			continue
		}
		handle := s.declare(asset, handles, controls, store)
		handles[asset.Key] = handle
		all = append(all, handle)
	}
	for _, key := range s.Remote {
		all = append(all, definitions.Asset(key, definitions.Remote[int](), definitions.Queue("ml"), definitions.Retries{Max: 1, Delay: time.Second}))
	}
	if s.Fan != nil {
		all = append(all, s.Fan.jobs(controls)...)
	}
	for _, schedule := range s.Schedules {
		all = append(all, schedule.declare(controls)...)
	}
	for _, sensor := range s.Sensors {
		all = append(all, sensor.declare(controls)...)
	}
	return definitions.New(s.Location, all...)
}

func (s Spec) declare(asset Asset, handles map[string]*definitions.AssetOf[Value], controls Controls, store *definitions.ResourceOf[*gate]) *definitions.AssetOf[Value] {
	if asset.External {
		return asset.external()
	}
	options := []definitions.AssetOption{definitions.StoredBy(store)}
	if asset.Retries != nil {
		options = append(options, *asset.Retries)
	}
	if asset.Timeout > 0 {
		options = append(options, definitions.Timeout(asset.Timeout))
	}
	if asset.Queue != "" {
		options = append(options, definitions.Queue(asset.Queue))
	}
	if asset.Pool != "" {
		options = append(options, definitions.Pool(asset.Pool))
	}
	if asset.Subprocess {
		options = append(options, definitions.ExecuteAs(definitions.Subprocess{}))
	}
	if asset.Python {
		return definitions.Asset(asset.Key, s.program(asset, handles), options...)
	}
	f := &function{asset: asset.Key, controls: controls}
	if len(asset.Fan) > 0 {
		return asset.graph(handles, controls, options)
	}
	if asset.isSliced() {
		return f.sliced(asset, handles, options)
	}
	if len(asset.Parts) > 0 {
		return definitions.Asset(asset.Key, definitions.Bind2(f.whole, inputsOf(asset, handles), partsOf(asset.Parts, handles)), options...)
	}
	if len(asset.Inputs) == 0 {
		return definitions.Asset(asset.Key, definitions.Bind0(func(ctx definitions.Context) (Value, error) { return f.call(ctx, nil) }), options...)
	}
	return definitions.Asset(asset.Key, definitions.Bind1(f.call, inputsOf(asset, handles)), options...)
}

// program is the function of an asset in Python.
func (s Spec) program(asset Asset, handles map[string]*definitions.AssetOf[Value]) definitions.Compute[Value] {
	options := []definitions.CommandOption{definitions.Arguments{"-c", pythonAsset}}
	if len(asset.Inputs) > 0 {
		options = append(options, definitions.Extra("inputs", inputsOf(asset, handles)))
	}
	return definitions.CommandJSON[Value](s.Python, options...)
}

func inputsOf(asset Asset, handles map[string]*definitions.AssetOf[Value]) definitions.Source[[]Value] {
	if len(asset.Inputs) == 0 {
		return definitions.Literal[[]Value](nil)
	}
	inputs := make([]definitions.Source[Value], len(asset.Inputs))
	for i, key := range asset.Inputs {
		inputs[i] = handles[key]
	}
	return definitions.All(inputs...)
}
