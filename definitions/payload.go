package definitions

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync"

	"github.com/perdure-io/perdure/wire"
)

// payload is the type of events, and how they are read.
type payload struct {
	typ  reflect.Type
	root *configNode
	// faults are why nothing can be read into it.
	faults []fault
}

// payloads are those that were asked for, by type: reading a type takes longer than reading an event.
var payloads sync.Map

func payloadOf(typ reflect.Type) *payload {
	if known, ok := payloads.Load(typ); ok {
		return known.(*payload) //nolint:forcetypeassert // nothing else is stored
	}
	reader := &configReader{config: &config{}, payload: true}
	p := &payload{typ: typ, root: reader.node(typ, "")}
	for _, f := range reader.config.faults {
		p.faults = append(p.faults, fault{strings.TrimSuffix("events."+f.field, "."), f.message, f.fix})
	}
	stored, _ := payloads.LoadOrStore(typ, p)
	return stored.(*payload) //nolint:forcetypeassert // nothing else is stored
}

// decode reads a payload strictly; the error is [wire.Problems], with everything that does not fit.
func (p *payload) decode(data json.RawMessage, into reflect.Value) error {
	if len(p.faults) > 0 {
		return wire.Problems{{Code: wire.CodeInvalid, Message: p.faults[0].message, Fix: p.faults[0].fix}}
	}
	value, problems := wire.DecodeValue(data)
	if len(problems) > 0 {
		return problems
	}
	d := &configDecoder{}
	d.decode(p.root, value, into, "")
	return d.problems.Err()
}
