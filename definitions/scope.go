package definitions

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/perdure-io/perdure/internal/step"
)

// scope is where a compute runs: an attempt at a step, or the opening of a resource. Sources load from it.
type scope struct {
	context Context
	runtime *Runtime
	// attempt is nil where a resource is opened.
	attempt *step.Attempt
	// config is the resolved config of what runs here; nil stands for the defaults.
	config json.RawMessage
	// resources are the resolved configs of resources, by name; others have their defaults.
	resources map[string]json.RawMessage
}

func newScope(r *Runtime, a *step.Attempt, context Context) *scope {
	return &scope{context: context, runtime: r, attempt: a, config: a.Plan.Config, resources: a.Plan.Resources}
}

// given is what stands in a source's place, in process only.
func (s *scope) given(n need) (any, bool) {
	return s.runtime.inProcess.given(n.id)
}

// leftOut says whether a member of All has nothing to load: it, or what it is made of, was not emitted.
func (s *scope) leftOut(n need) bool {
	left := false
	n.each(func(n need) bool { _, ok := s.given(n); return ok || n.kind == needAll }, func(n need) {
		left = left || n.kind == needAsset && s.notEmitted(n.asset)
	})
	return left
}

// notEmitted says whether an asset of this run, or an optional one, has no materialization for this step.
func (s *scope) notEmitted(a *asset) bool {
	if _, found := s.attempt.Inputs[a.name]; found || a.external {
		return false
	}
	if a.optional {
		return true
	}
	for _, input := range s.attempt.Plan.Inputs {
		if input.Asset == a.name {
			return input.InRun
		}
	}
	return false
}

// loadAsset fills into, a *T, with an asset's value.
func (s *scope) loadAsset(a *asset, into any) error {
	if err := s.load(a, into); err != nil {
		return fmt.Errorf("load input %q: %w", a.name, err)
	}
	return nil
}

func (s *scope) load(a *asset, into any) error {
	if a.isNothing() {
		return nil
	}
	version, found := s.attempt.Inputs[a.name]
	if !found && !a.external {
		return fmt.Errorf("it has no materialization: materialize it first, or select it in the same run (%q takes everything above)", "+"+s.attempt.Plan.Key)
	}
	reader, err := s.reader(a)
	if err != nil {
		return err
	}
	err = reader.Load(s.context, Slot{Asset: a.name, Partition: version.Partition, Token: version.Token}, into)
	if errors.Is(err, ErrNotStored) && a.external && !found {
		return fmt.Errorf("%w (external asset: is it where its IO manager looks?)", err)
	}
	return err
}

// manager is the opened IO manager of an asset that is made here.
func (s *scope) manager(a *asset) (IOManager, error) {
	reader, err := s.reader(a)
	manager, _ := reader.(IOManager) // it is one: no other option of such an asset than StoredBy gives it
	return manager, err
}

// reader is the opened manager that loads an asset.
func (s *scope) reader(a *asset) (InputManager, error) {
	if a.store == nil || s.runtime.inProcess.keeps(a) {
		if s.runtime.environment.Storage == nil {
			return nil, fmt.Errorf("asset %q has no IO manager: give it StoredBy, or configure a default storage", a.name)
		}
		return s.runtime.environment.Storage, nil
	}
	reader, err := a.store.open(s)
	if err != nil {
		return nil, err
	}
	if reader == nil {
		return nil, fmt.Errorf("the IO manager of asset %q is nil: its resource's function returned nil without an error", a.name)
	}
	return reader, nil
}

// loadResource opens a resource, or takes the one that is open.
func (s *scope) loadResource(r *resource) (any, error) {
	return s.runtime.pool.get(s.context, r, s.resources)
}
