package wire

import "encoding/json"

// RemoteInput is the argument of the activity of a remote step: one that another program computes, in any language, on the
// queue that its definition names. The activity's type is the name of the asset, multi-asset or op.
type RemoteInput struct {
	V int `json:"v"`
	// Run and Step are the run's id and the step's key.
	Run  string `json:"run"`
	Step string `json:"step"`
	// Assets are the keys of the assets to make, none for an op; Partition is the one of theirs to make, if they have any.
	Assets    []string `json:"assets"`
	Partition string   `json:"partition,omitempty"`
	// MappingKey is the key of the element of a dynamic output that a mapped op runs for.
	MappingKey string `json:"mapping_key,omitempty"`
	// Attempt counts failures of the program, from 1.
	Attempt int `json:"attempt"`
	// Job, Cause and Tags are the run's.
	Job   string            `json:"job,omitempty"`
	Cause string            `json:"cause"`
	Tags  map[string]string `json:"tags,omitempty"`
	// Config is the step's, whole.
	Config json.RawMessage `json:"config,omitempty"`
	// Inputs are the assets to load, by key: those that have a materialization. Of an asset of which several partitions are to
	// be loaded, InputPartitions are all, and Inputs has none.
	Inputs          map[string]RemoteSource   `json:"inputs"`
	InputPartitions map[string][]RemoteSource `json:"input_partitions,omitempty"`
	// Values are the outputs of ops to load, by the key of the step that stored them: several of a dynamic output.
	Values map[string][]RemoteSource `json:"values,omitempty"`
}

// RemoteSource is a stored value that a remote step may load.
type RemoteSource struct {
	Partition string `json:"partition,omitempty"`
	// Key is the element's in a dynamic output.
	Key string `json:"key,omitempty"`
	// Location is where the value lies, as whatever stored it said: a URI, for example.
	Location    string `json:"location"`
	DataVersion string `json:"data_version,omitempty"`
}

// RemoteResult is what the activity of a remote step returns. A program that returns nothing has made everything that is
// required, and stored it itself.
type RemoteResult struct {
	// V is the version of this result; absent is the current one.
	V int `json:"v,omitempty"`
	// Outputs are what was made, by the asset's key, or the op's name. An output of a value is required unless it is
	// optional; one that has none need not be named.
	Outputs map[string]RemoteOutput `json:"outputs,omitempty"`
}

// RemoteOutput is one output of a remote step: either Value, or the Location of what the program stored itself, or, of an
// output without a value, neither.
type RemoteOutput struct {
	// Value is the value as JSON; the output's own storage keeps it.
	Value json.RawMessage `json:"value,omitempty"`
	// Location is where the program stored the value, as the output's own storage finds it.
	Location string      `json:"location,omitempty"`
	Metadata []Metadatum `json:"metadata,omitempty"`
	// DataVersion replaces the one that Perdure computes.
	DataVersion string `json:"data_version,omitempty"`
}
