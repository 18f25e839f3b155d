package definitions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// pool holds the open resources of one process. Each is opened once for each resolved config, its own
// and that of the resources it needs, by the first step that asks; the others wait for that.
type pool struct {
	runtime *Runtime
	log     *slog.Logger

	mutex   sync.Mutex
	entries map[string]*opened
	// order is that in which resources finished opening.
	order   []*opened
	closed  bool
	openers sync.WaitGroup
}

// opened is one resource with one config. The fields below ready hold once it is closed.
type opened struct {
	resource *resource
	cancel   context.CancelFunc
	ready    chan struct{}
	value    any
	err      error
}

var errPoolClosed = errors.New("the worker is shutting down, its resources are closed")

func newPool(r *Runtime, log *slog.Logger) *pool {
	return &pool{runtime: r, log: log, entries: map[string]*opened{}}
}

// get waits until the resource is open, or ctx ends. An opening that one asker gives up goes on for the others.
func (p *pool) get(ctx context.Context, r *resource, configs map[string]json.RawMessage) (any, error) {
	key, err := p.key(r, configs)
	if err != nil {
		return nil, err
	}
	entry, err := p.entry(key, r, configs) //nolint:contextcheck // what is opened outlives the step that asks first
	if err != nil {
		return nil, fmt.Errorf("open resource %q: %w", r.name, err)
	}
	select {
	case <-entry.ready:
	case <-ctx.Done():
		return nil, fmt.Errorf("open resource %q: %w", r.name, context.Cause(ctx))
	}
	if entry.err != nil {
		return nil, fmt.Errorf("open resource %q: %w", r.name, entry.err)
	}
	return entry.value, nil
}

// key names a resource with its config and those of all resources it needs, in canonical form.
func (p *pool) key(r *resource, configs map[string]json.RawMessage) (string, error) {
	var key strings.Builder
	var problems []error
	r.eachNeeded(func(n *resource) {
		fmt.Fprintf(&key, "%p", n)
		c := configOf(n.needs)
		if c == nil {
			return
		}
		if _, replaced := p.runtime.inProcess.given(c); replaced {
			return
		}
		canonical, err := c.canonical(configs[n.name])
		if err != nil {
			problems = append(problems, fmt.Errorf("config of resource %q: %w", n.name, err))
		}
		key.Write(canonical)
	})
	return key.String(), errors.Join(problems...)
}

// eachNeeded visits r and every resource it needs, each once, in the order of the bindings.
func (r *resource) eachNeeded(visit func(*resource)) {
	seen := map[*resource]bool{}
	var walk func(*resource)
	walk = func(r *resource) {
		if seen[r] {
			return
		}
		seen[r] = true
		visit(r)
		for _, needed := range resourcesOf(r.needs) {
			walk(needed)
		}
	}
	walk(r)
}

// entry finds a resource that is open or being opened, or begins to open it. A failed opening is forgotten, so that
// the next step tries again.
func (p *pool) entry(key string, r *resource, configs map[string]json.RawMessage) (*opened, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.closed {
		return nil, errPoolClosed
	}
	if entry, ok := p.entries[key]; ok {
		return entry, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	entry := &opened{resource: r, cancel: cancel, ready: make(chan struct{})}
	p.entries[key] = entry
	p.openers.Go(func() {
		value, err := p.open(ctx, r, configs)
		p.mutex.Lock()
		defer p.mutex.Unlock()
		entry.value, entry.err = value, err
		if err != nil {
			delete(p.entries, key)
			cancel()
		} else {
			p.order = append(p.order, entry)
		}
		close(entry.ready)
	})
	return entry, nil
}

func (p *pool) open(ctx context.Context, r *resource, configs map[string]json.RawMessage) (value any, err error) {
	context := newContext(ctx, p.log.With("resource", r.name), RunInfo{Attempt: 1})
	s := &scope{context: context, runtime: p.runtime, config: configs[r.name], resources: configs}
	err = guarded(func() (err error) {
		value, err = r.open(s)
		return err
	})
	return value, err
}

// close closes everything in the reverse order of opening, each at most once, and attempts all even when some fail.
// It waits for what is being opened; when ctx ends, it waits no longer for anything.
func (p *pool) close(ctx context.Context) error {
	p.mutex.Lock()
	p.closed = true
	for _, entry := range p.entries {
		select {
		case <-entry.ready:
		default:
			entry.cancel()
		}
	}
	p.mutex.Unlock()

	problems := []error{within(ctx, func() error { p.openers.Wait(); return nil }, "some resources were still being opened")}
	p.mutex.Lock()
	order := p.order
	p.order, p.entries = nil, map[string]*opened{}
	p.mutex.Unlock()
	for _, entry := range slices.Backward(order) {
		err := within(ctx, func() error {
			return guarded(func() error { return entry.resource.shut(entry.value) })
		}, "it was still closing")
		entry.cancel()
		if err != nil {
			problems = append(problems, fmt.Errorf("close resource %q: %w", entry.resource.name, err))
		}
	}
	return errors.Join(problems...)
}

// within waits for work until ctx ends. The work itself is not stopped: it is on its way anyhow.
func within(ctx context.Context, work func() error, unfinished string) error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	default:
		return fmt.Errorf("%s when time was up: %w", unfinished, context.Cause(ctx))
	}
}
