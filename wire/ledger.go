package wire

import (
	"encoding/json"
	"time"
)

// The ledger is the record of steps that Postgres keeps and an attempt speaks with: it claims the
// step, and then commits, fails or releases it. One call is one round trip.

// ClaimRequest is what an attempt says of itself. Scheduled and Started are Temporal's times of the
// activity (nanoseconds since 1970, UTC): the order of attempts, for attempt numbers restart at a reset.
type ClaimRequest struct {
	Run       string `json:"run"`
	Step      string `json:"step"`
	Scheduled int64  `json:"scheduled"`
	Started   int64  `json:"started"`
	// Type and Shape are the definition that this worker has.
	Type  string `json:"type"`
	Shape string `json:"shape"`
	// Worker names host and process; Build is its build id.
	Worker string `json:"worker"`
	Build  string `json:"build"`
}

// ClaimOutcome says what a claim found.
type ClaimOutcome string

// The outcomes of a claim.
const (
	ClaimGranted    ClaimOutcome = "granted"     // the step is this attempt's: compute it
	ClaimDone       ClaimOutcome = "done"        // this scheduling has committed: Result holds what
	ClaimSuperseded ClaimOutcome = "superseded"  // a later attempt holds the step, or it was closed
	ClaimWaiting    ClaimOutcome = "waiting"     // another live step writes one of its asset partitions: Holder
	ClaimOtherShape ClaimOutcome = "other_shape" // the plan has the step in another shape
	ClaimLost       ClaimOutcome = "lost"        // too many workers died under it: the step is recorded as failed
	ClaimUnknown    ClaimOutcome = "unknown"     // no such step: its run was never planned here
)

// Claim is the answer to a ClaimRequest.
type Claim struct {
	Outcome ClaimOutcome `json:"outcome"`
	// Token grows with every grant in the deployment; only its holder may commit.
	Token int64 `json:"token,omitempty"`
	// Attempt counts the failures of the user's function, from 1.
	Attempt int `json:"attempt,omitempty"`
	// Plan is the step as planned (plan.Step).
	Plan json.RawMessage `json:"plan,omitempty"`
	// Inputs are the materializations to load, one for each partition of an input that has one.
	Inputs []InputVersion `json:"inputs,omitempty"`
	// Values are the outputs of ops to load, each element of a dynamic output for itself.
	Values []StepValue `json:"values,omitempty"`
	// Loaded is what the steps that the plan's MadeOf names have loaded, each asset once, by key. Of an asset of which they
	// loaded several materializations it is the oldest.
	Loaded []InputVersion `json:"loaded,omitempty"`
	// MappingKey is the key of a dynamic output that the step is for; "" when it is not mapped.
	MappingKey string `json:"mapping_key,omitempty"`
	// Job is the run's; "" when it runs none.
	Job string `json:"job,omitempty"`
	// Result is what was committed, when done.
	Result *StepResult `json:"result,omitempty"`
	// Holder is the step that this one waits for.
	Holder *Holder `json:"holder,omitempty"`
	// Workers are those that died under the step, when lost.
	Workers []string `json:"workers,omitempty"`
	// Admitted got the step's slot, when lost.
	Admitted []AdmittedRun `json:"admitted,omitempty"`
	// Cause and Tags are the run's.
	Cause string            `json:"cause,omitempty"`
	Tags  map[string]string `json:"tags,omitempty"`
}

// Holder is the step that writes an asset partition.
type Holder struct {
	Run   string `json:"run"`
	Step  string `json:"step"`
	Asset string `json:"asset"`
	// Partition is the key, or the first of several; "" of an asset without partitions.
	Partition string    `json:"partition,omitempty"`
	Worker    string    `json:"worker"`
	Since     time.Time `json:"since"`
}

// InputVersion is the materialization of an input that a step loads.
type InputVersion struct {
	Asset     string `json:"asset"`
	Partition string `json:"partition,omitempty"`
	// Token names the stored value: the Slot's token it was published under.
	Token       int64  `json:"token"`
	DataVersion string `json:"data_version,omitempty"`
	// Location is where the value lies, as its materialization says.
	Location string `json:"location,omitempty"`
	// Position is the materialization's place in the event log.
	Position int64 `json:"position"`
}

// StepValue is the stored output of an op's step, or one element of its dynamic output.
type StepValue struct {
	// Run and Step are those that stored it: a run that executes another one again loads what that one made.
	Run  string `json:"run"`
	Step string `json:"step"`
	// Key is the element's in a dynamic output; "" otherwise.
	Key         string `json:"key,omitempty"`
	Token       int64  `json:"token"`
	Location    string `json:"location,omitempty"`
	DataVersion string `json:"data_version,omitempty"`
}

// Fence is what every later call of an attempt shows: who it is, and the token it was granted.
type Fence struct {
	Run       string `json:"run"`
	Step      string `json:"step"`
	Scheduled int64  `json:"scheduled"`
	Token     int64  `json:"token"`
}

// TokenCheck asks whether an attempt may still publish and commit what is staged under SlotToken, which is its own token or
// an earlier attempt's; 0 when it has staged nothing.
type TokenCheck struct {
	Fence
	SlotToken int64 `json:"slot_token"`
}

// TokenState is how an attempt stands.
type TokenState struct {
	// Holds says that it may still publish and commit.
	Holds bool `json:"holds"`
	// Orphaned says that what is staged under the slot token is nobody's any more: the attempt's scheduling has ended, so
	// that no other attempt can take it over, and no record names it. It is never true while Holds is.
	Orphaned bool `json:"orphaned,omitempty"`
	// Lost says that the token does not hold because Postgres lost the claim in a crash: the attempt may claim again.
	Lost bool `json:"lost,omitempty"`
}

// Commit records a step's outputs and ends it, all or nothing.
type Commit struct {
	Fence
	Outputs []CommittedOutput `json:"outputs"`
	Result  StepResult        `json:"result"`
	Build   string            `json:"build"`
	Worker  string            `json:"worker"`
	// Attempt is the attempt of the user's function that succeeded.
	Attempt int `json:"attempt"`
	// Events are what the step reported besides its outputs: check evaluations, custom messages.
	Events []StepEvent `json:"events,omitempty"`
	// Loaded are the assets that an op's step has loaded when it makes none itself: see Claim.Loaded.
	Loaded []InputVersion `json:"loaded,omitempty"`
}

// StepEvent is an event of a step for the event log.
type StepEvent struct {
	// Type is the event's type, such as ASSET_CHECK_EVALUATION.
	Type      string `json:"type"`
	Asset     string `json:"asset,omitempty"`
	Partition string `json:"partition,omitempty"`
	// Body is an object.
	Body json.RawMessage `json:"body,omitempty"`
}

// CommittedOutput is one materialization, or the stored output of an op.
type CommittedOutput struct {
	// Asset is "" for an op's output, which belongs to its run and step.
	Asset string `json:"asset,omitempty"`
	// Key is the element's key in a dynamic output; "" otherwise.
	Key       string `json:"key,omitempty"`
	Partition string `json:"partition,omitempty"`
	// SlotToken names the stored value; it is older than the fence's when an earlier attempt staged it.
	SlotToken int64 `json:"slot_token"`
	// Location is where the value lies, for people.
	Location string      `json:"location"`
	Metadata []Metadatum `json:"metadata,omitempty"`
	// DataVersion, CodeVersion and Inputs are its provenance.
	DataVersion string         `json:"data_version"`
	CodeVersion string         `json:"code_version,omitempty"`
	Inputs      []InputVersion `json:"inputs,omitempty"`
}

// Committed is the answer to a Commit. A commit that was done before is answered as it was then.
type Committed struct {
	// Refused says that the fence no longer holds: nothing was written.
	Refused bool `json:"refused,omitempty"`
	// Orphaned says of a refused commit that its outputs are nobody's any more: see TokenState.
	Orphaned bool `json:"orphaned,omitempty"`
	// Lost says of a refused commit that Postgres lost the claim in a crash: see TokenState.
	Lost bool `json:"lost,omitempty"`
	// Result is the recorded result.
	Result StepResult `json:"result"`
	// Admitted got the step's slot.
	Admitted []AdmittedRun `json:"admitted,omitempty"`
}

// Failure records a failure of the user's function.
type Failure struct {
	Fence
	Error ErrorInfo `json:"error"`
	// Final ends the step as failed; otherwise it will be retried after Delay.
	Final bool `json:"final"`
	// Delay is until the next attempt, in nanoseconds.
	Delay   time.Duration `json:"delay,omitempty"`
	Attempt int           `json:"attempt"`
	Worker  string        `json:"worker"`
	// Events are what the attempt reported before it failed: check evaluations, custom messages.
	Events []StepEvent `json:"events,omitempty"`
}

// Failed answers a Failure.
type Failed struct {
	// Refused says that the fence no longer holds: nothing was written.
	Refused bool `json:"refused"`
	// Lost says of a refused failure that Postgres lost the claim in a crash: see TokenState.
	Lost bool `json:"lost,omitempty"`
	// Admitted got the step's slot, when it failed for good.
	Admitted []AdmittedRun `json:"admitted,omitempty"`
}

// ErrorInfo is an error as it is recorded and shown.
type ErrorInfo struct {
	Message string `json:"message"`
	// Stack is the Go stack of a panic; "" otherwise.
	Stack    string      `json:"stack,omitempty"`
	Metadata []Metadatum `json:"metadata,omitempty"`
}
