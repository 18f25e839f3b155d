package definitions

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/plan"
)

// scope is where a compute runs: an attempt at a step, or the opening of a resource. Sources load from it.
type scope struct {
	context Context
	runtime *Runtime
	// attempt and compute are nil where a resource is opened.
	attempt *step.Attempt
	compute *compute
	// ended is what a hook is about; nil elsewhere.
	ended *Ended
	// config is the resolved config of what runs here; nil stands for the defaults.
	config json.RawMessage
	// resources are the resolved configs of resources, by name; others have their defaults.
	resources map[string]json.RawMessage
	// tick is what a schedule or sensor is evaluated for; nil elsewhere.
	tick *tick
	// reports are for single partitions.
	reports PartitionReports
}

func newScope(r *Runtime, c *compute, a *step.Attempt, context Context) *scope {
	return &scope{context: context, runtime: r, compute: c, attempt: a, config: a.Plan.Config, resources: a.Plan.Resources}
}

// given is what stands in a source's place, in process only.
func (s *scope) given(n need) (any, bool) {
	return s.runtime.inProcess.given(n.id)
}

// leftOut says whether a member of All has nothing to load: it, or what it is made of, was not emitted.
func (s *scope) leftOut(n need) bool {
	left := false
	n.each(func(n need) bool {
		_, replaced := s.given(n)
		return replaced || n.kind == needAll || n.kind == needOrElse || n.kind == needCollect || n.part.take != plan.TakeOnePartition
	}, func(n need) {
		left = left || n.kind == needAsset && s.notEmitted(n.asset) || n.node != nil && s.noOutput(n)
	})
	return left
}

// nothingOf says whether there is nothing to load of a source that has a value in its place.
func (s *scope) nothingOf(n need) bool {
	if _, replaced := s.given(n); replaced {
		return false
	}
	switch n.kind {
	case needAll:
		return !slices.ContainsFunc(n.parts, func(part need) bool { return !s.leftOut(part) })
	case needCollect:
		return s.noOutput(n)
	case needView:
		return s.nothingOf(n.parts[0])
	default:
		return s.leftOut(n)
	}
}

// noOutput says whether an op has stored nothing of what this step would load.
func (s *scope) noOutput(n need) bool {
	if peer := s.compute.peer(n.node); len(peer.outs) > 0 {
		return s.notEmitted(peer.outs[0])
	}
	return !n.node.noValue() && len(s.outputsOf(n.node, n.kind)) == 0
}

// notEmitted says whether an asset of this run, or an optional one, has no materialization for this step.
func (s *scope) notEmitted(a *asset) bool {
	keys := s.inputKeys(a, Mapping{})
	if len(keys) != 1 {
		return len(keys) == 0 && a.partitions == nil && a.optional
	}
	return s.partNotEmitted(a, keys[0])
}

// loadAsset fills into, a *T, with an asset's value.
func (s *scope) loadAsset(a *asset, into any) error {
	keys := s.inputKeys(a, Mapping{})
	if len(keys) != 1 && a.partitions != nil {
		return fmt.Errorf("load input %q: its mapping gives %d partitions where one is expected: bind ByKey, or At with a mapping that gives one", a.name, len(keys))
	}
	key := ""
	if len(keys) == 1 {
		key = keys[0]
	}
	if err := s.load(a, key, into); err != nil {
		if key != "" {
			err = fmt.Errorf("partition %q: %w", key, err)
		}
		return fmt.Errorf("load input %q: %w", a.name, err)
	}
	return nil
}

// load fills into, a *T, with the value of an asset's partition; the key is "" of an asset that is not partitioned.
func (s *scope) load(a *asset, key string, into any) error {
	if a.isNothing() {
		return nil
	}
	if value, given := s.runtime.inProcess.givenPart(a, key); given {
		setTo(into, value)
		return nil
	}
	if s.runtime.inProcess.replaces(a) {
		return errors.New("it was not given, and others are: give it with GivenPartition")
	}
	version, found := s.attempt.Inputs[step.AssetPartition{Asset: a.name, Partition: key}]
	if !found && !a.external {
		return fmt.Errorf("it has no materialization: materialize it first, or select it in the same run (%q takes everything above)", "+"+s.attempt.Plan.Key)
	}
	reader, err := s.reader(a)
	if err != nil {
		return err
	}
	err = reader.Load(s.context, Slot{Asset: a.name, Partition: key, Token: version.Token, Location: version.Location}, into)
	if errors.Is(err, ErrNotStored) && a.external && !found {
		return fmt.Errorf("%w (external asset: is it where its IO manager looks?)", err)
	}
	return err
}

// reader is the opened manager that loads an asset.
func (s *scope) reader(a *asset) (InputManager, error) {
	return s.opened(a.store, a.object(), s.runtime.inProcess.keeps(a))
}

// opened is the manager of a storage; the process's own where there is none, or inMemory.
func (s *scope) opened(store *storage, object string, inMemory bool) (InputManager, error) {
	if store == nil || inMemory {
		if s.runtime.environment.Storage == nil {
			return nil, fmt.Errorf("%s has no IO manager: give it StoredBy, or configure a default storage", object)
		}
		return s.runtime.environment.Storage, nil
	}
	reader, err := store.open(s)
	if err != nil {
		return nil, err
	}
	if reader == nil {
		return nil, fmt.Errorf("the IO manager of %s is nil: its resource's function returned nil without an error", object)
	}
	return reader, nil
}

// loadResource opens a resource, or takes the one that is open.
func (s *scope) loadResource(r *resource) (any, error) {
	return s.runtime.pool.get(s.context, r, s.resources)
}
