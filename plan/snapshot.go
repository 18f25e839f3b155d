package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// SnapshotVersion is the version of the snapshot's JSON that this code writes.
const SnapshotVersion = 1

// Snapshot is everything a code location defines, as immutable data. It is stored under its content
// hash, so it holds nothing that differs between two builds of one program: no absolute path, no time.
type Snapshot struct {
	V        int    `json:"v"`
	Location string `json:"location"`
	// Assets are all assets by key, external ones too.
	Assets []Asset `json:"assets"`
	// Computes are what makes assets, by name: one activity type each.
	Computes []Compute `json:"computes"`
	// Resources are by name.
	Resources []Resource `json:"resources,omitempty"`
	// Jobs are by name.
	Jobs []Job `json:"jobs,omitempty"`
}

// Asset is one asset's definition.
type Asset struct {
	Key         string            `json:"key"`
	Group       string            `json:"group"`
	Description string            `json:"description,omitempty"`
	Owners      []string          `json:"owners,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Kinds       []string          `json:"kinds,omitempty"`
	CodeVersion string            `json:"code_version,omitempty"`
	Metadata    []wire.Metadatum  `json:"metadata,omitempty"`
	// Compute names what makes it; "" for an external asset.
	Compute string `json:"compute,omitempty"`
	// Optional assets may not be emitted by a run, which then skips what hangs on them.
	Optional bool `json:"optional,omitempty"`
	// Type is the Go type of its value, for people.
	Type string `json:"type"`
	// StoredBy names the IO manager's resource; "" is the instance's default storage.
	StoredBy string `json:"stored_by,omitempty"`
	// At is where it is declared: folder/file.go:line.
	At string `json:"at"`
}

// External says that no run of this location makes the asset.
func (a Asset) External() bool { return a.Compute == "" }

// Compute is what one step runs: an asset's or a multi-asset's function with its inputs.
type Compute struct {
	// Name is the activity type: the asset's key, or the multi-asset's name.
	Name string `json:"name"`
	// Outputs are the keys of the assets it makes, in the order they are declared.
	Outputs []string `json:"outputs"`
	// CanSubset allows a step to be asked for some of the outputs.
	CanSubset bool    `json:"can_subset,omitempty"`
	Inputs    []Input `json:"inputs,omitempty"`
	// Resources are the names of those it uses, its IO managers and what these need among them.
	Resources []string `json:"resources,omitempty"`
	// Config is the schema of its config; nil when it takes none.
	Config *ConfigSchema `json:"config,omitempty"`
	// Queue names a pool of workers of its own; "" is the location's. Pool limits how many run at once.
	Queue string `json:"queue,omitempty"`
	Pool  string `json:"pool,omitempty"`
	// Retries of the user's function; nil is none.
	Retries *Retries `json:"retries,omitempty"`
	// Timeout bounds one attempt of the user's function, in nanoseconds; 0 is no bound.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Shape is the hash of inputs and outputs: a step may run on another build only when it is the same.
	Shape string `json:"shape"`
	// At is where it is declared: folder/file.go:line.
	At string `json:"at"`
}

// InputKind says how a function's parameter hangs on assets.
type InputKind string

// The kinds of input.
const (
	InputValue InputKind = "value" // one asset's value
	InputAll   InputKind = "all"   // the values of several assets, one slice
	InputAfter InputKind = "after" // order only: nothing is loaded
)

// Input is a compute's need of assets.
type Input struct {
	Kind InputKind `json:"kind"`
	// Assets are keys: one, or for InputAll several in the order of the slice.
	Assets []string `json:"assets"`
}

// Retries says how often a failure of the user's function is tried again.
type Retries struct {
	Max     int           `json:"max"`
	Delay   time.Duration `json:"delay,omitempty"`
	Backoff Backoff       `json:"backoff,omitempty"`
	Jitter  Jitter        `json:"jitter,omitempty"`
}

// Backoff is how the delay grows from retry to retry; "" is constant.
type Backoff string

// The backoffs: of retry n the delay is n times, or 2^n - 1 times the base.
const (
	BackoffLinear      Backoff = "linear"
	BackoffExponential Backoff = "exponential"
)

// Jitter spreads delays; "" is none.
type Jitter string

// The jitters: a random part of the delay, or the delay give or take the base.
const (
	JitterFull      Jitter = "full"
	JitterPlusMinus Jitter = "plus_minus"
)

// Resource is a resource's definition.
type Resource struct {
	Name string `json:"name"`
	// Config is the schema of its config; nil when it takes none.
	Config *ConfigSchema `json:"config,omitempty"`
	// Needs are the names of the resources it is opened with.
	Needs []string `json:"needs,omitempty"`
	At    string   `json:"at"`
}

// Job is an asset job: a selection under a name, with config and tags.
type Job struct {
	Name        string              `json:"name"`
	Description string              `json:"description,omitempty"`
	Selection   wire.AssetSelection `json:"selection"`
	// Config is the run config that a request's config is laid over.
	Config json.RawMessage   `json:"config,omitempty"`
	Tags   map[string]string `json:"tags,omitempty"`
	// Retries are for its computes that have none of their own.
	Retries *Retries `json:"retries,omitempty"`
	// Priority of its runs; 0 is normal.
	Priority wire.Priority `json:"priority,omitzero"`
	At       string        `json:"at"`
}

// ConfigSchema describes a config struct: a JSON Schema and the defaults.
type ConfigSchema struct {
	// Schema is JSON Schema, draft 2020-12, of an object; additionalProperties is false.
	Schema json.RawMessage `json:"schema"`
	// Defaults is an object with a value for every field that is not required.
	Defaults json.RawMessage `json:"defaults"`
}

// Encode writes the snapshot's one JSON form, the one that [Snapshot.Hash] hashes.
func (s *Snapshot) Encode() ([]byte, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode the snapshot of location %q: %w", s.Location, err)
	}
	return data, nil
}

// DecodeSnapshot reads what Encode wrote.
func DecodeSnapshot(data []byte) (*Snapshot, error) {
	var s Snapshot
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("decode snapshot: %w", err)
	}
	if s.V < 1 || s.V > SnapshotVersion {
		return nil, fmt.Errorf("snapshot of location %q has version %d, this program reads up to %d: upgrade it", s.Location, s.V, SnapshotVersion)
	}
	return &s, nil
}

// Hash is the SHA-256 of the encoded snapshot, in hex.
func (s *Snapshot) Hash() (string, error) {
	data, err := s.Encode()
	if err != nil {
		return "", err
	}
	return hashOf(data), nil
}

// ShapeOf is the hash of what a plan relies on in a compute: inputs, outputs and which are optional.
// Go types and config are not part of it: a plan says nothing of them.
func ShapeOf(inputs []Input, outputs []string, optional map[string]bool, canSubset bool) (string, error) {
	type output struct {
		Key      string `json:"key"`
		Optional bool   `json:"optional,omitempty"`
	}
	shape := struct {
		Inputs    []Input  `json:"inputs"`
		Outputs   []output `json:"outputs"`
		CanSubset bool     `json:"can_subset"`
	}{Inputs: inputs, CanSubset: canSubset}
	for _, key := range outputs {
		shape.Outputs = append(shape.Outputs, output{key, optional[key]})
	}
	data, err := json.Marshal(shape)
	if err != nil {
		return "", fmt.Errorf("hash a step's shape: %w", err)
	}
	return hashOf(data)[:16], nil
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
