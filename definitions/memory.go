package definitions

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// memory keeps the values of an in-process materialization, as they are.
type memory struct {
	mutex  sync.Mutex
	values map[Slot]any
}

func newMemory() *memory { return &memory{values: map[Slot]any{}} }

// Accepts takes every type.
func (m *memory) Accepts(reflect.Type) error { return nil }

// Stage holds the value back until it is published.
func (m *memory) Stage(_ Context, at Slot, value any) (Staged, error) {
	return &memoryStaged{m, at, value}, nil
}

// Load copies the value itself, nothing it refers to.
func (m *memory) Load(_ Context, at Slot, into any) error {
	at.Location = ""
	m.mutex.Lock()
	defer m.mutex.Unlock()
	value, ok := m.values[at]
	if !ok {
		return ErrNotStored
	}
	target := reflect.ValueOf(into).Elem()
	if value == nil { // of an interface type
		target.SetZero()
		return nil
	}
	target.Set(reflect.ValueOf(value))
	return nil
}

type memoryStaged struct {
	memory *memory
	at     Slot
	value  any
}

func (s *memoryStaged) Location() string { return "memory:" + s.at.String() }

func (s *memoryStaged) Publish(Context) error {
	s.memory.mutex.Lock()
	defer s.memory.mutex.Unlock()
	s.memory.values[s.at] = s.value
	return nil
}

func (s *memoryStaged) Discard(Context) error {
	s.memory.mutex.Lock()
	defer s.memory.mutex.Unlock()
	delete(s.memory.values, s.at)
	return nil
}

// memoryLedger records one in-process run, in which no attempt is ever overtaken.
type memoryLedger struct {
	mutex        sync.Mutex
	steps        map[string]plan.Step
	attempts     map[string]int
	token        int64
	materialized map[string]materialized
}

// materialized is what a commit recorded of an asset.
type materialized struct {
	output wire.CommittedOutput
	number int64
}

func newMemoryLedger(p *plan.Plan) *memoryLedger {
	l := &memoryLedger{steps: map[string]plan.Step{}, attempts: map[string]int{}, materialized: map[string]materialized{}}
	for _, planned := range p.Steps {
		l.steps[planned.Key] = planned
	}
	return l
}

// Claim always grants, to an attempt of a step in the plan.
func (l *memoryLedger) Claim(_ context.Context, request wire.ClaimRequest) (wire.Claim, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	planned, ok := l.steps[request.Step]
	if !ok {
		return wire.Claim{Outcome: wire.ClaimUnknown}, nil
	}
	data, err := json.Marshal(planned)
	if err != nil {
		return wire.Claim{}, fmt.Errorf("write the plan of %s: %w", request.Step, err)
	}
	l.token++
	claim := wire.Claim{Outcome: wire.ClaimGranted, Token: l.token, Attempt: l.attempts[request.Step] + 1, Plan: data, Cause: request.Run}
	for _, input := range planned.Inputs {
		if made, ok := l.materialized[input.Asset]; ok {
			claim.Inputs = append(claim.Inputs, wire.InputVersion{
				Asset: input.Asset, Token: made.output.SlotToken, DataVersion: made.output.DataVersion, Position: made.number,
			})
		}
	}
	return claim, nil
}

// CheckToken always holds.
func (l *memoryLedger) CheckToken(context.Context, wire.Fence) (bool, error) { return true, nil }

// Commit records the outputs.
func (l *memoryLedger) Commit(_ context.Context, commit wire.Commit) (wire.Committed, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, output := range commit.Outputs {
		l.materialized[output.Asset] = materialized{output, int64(len(l.materialized) + 1)}
	}
	return wire.Committed{Result: commit.Result}, nil
}

// Fail counts the attempt.
func (l *memoryLedger) Fail(_ context.Context, failure wire.Failure) (bool, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.attempts[failure.Step]++
	return false, nil
}

// Release does nothing: the next claim is granted anyhow.
func (l *memoryLedger) Release(context.Context, wire.Fence, string) error { return nil }

// output is what was recorded of an asset.
func (l *memoryLedger) output(key string) (wire.CommittedOutput, bool) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	made, ok := l.materialized[key]
	return made.output, ok
}

// keys are the assets that were materialized, sorted.
func (l *memoryLedger) keys() []string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return slices.Sorted(maps.Keys(l.materialized))
}
