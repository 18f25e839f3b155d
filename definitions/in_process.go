package definitions

// inProcess is what [Materialize] changes of how steps run. nil, in a worker, changes nothing.
type inProcess struct {
	// replaced is what stands in a source's place, by the source's identity.
	replaced map[any]any
	// parts are the values of an asset's partitions that were given; nothing computes the asset then.
	parts map[*asset]map[string]any
	// outputs are what stands in the place of an op's function: the value that it gives, the elements of a dynamic output.
	outputs map[*node]any
	// loads are the external assets that their own managers load.
	loads map[*asset]bool
	// retryAtOnce leaves out the delays of retries.
	retryAtOnce bool
}

// given is what stands in the place of the source with that identity.
func (p *inProcess) given(id any) (any, bool) {
	if p == nil {
		return nil, false
	}
	value, ok := p.replaced[id]
	return value, ok
}

// replaces says whether an asset was given, whole or in partitions: it is then not computed.
func (p *inProcess) replaces(a *asset) bool {
	if p == nil {
		return false
	}
	_, whole := p.replaced[a]
	return whole || p.parts[a] != nil
}

// givenPart is what stands in the place of an asset's partition.
func (p *inProcess) givenPart(a *asset, key string) (any, bool) {
	if p == nil {
		return nil, false
	}
	if value, ok := p.replaced[a]; ok {
		return value, true
	}
	value, ok := p.parts[a][key]
	return value, ok
}

// keeps says whether memory stands in the place of the asset's own manager.
func (p *inProcess) keeps(a *asset) bool { return p != nil && !p.loads[a] }

// gives says whether an op's output was given: its function is then not called.
func (p *inProcess) gives(c *compute) bool {
	if p == nil || c.node == nil {
		return false
	}
	_, given := p.outputs[c.node]
	return given
}
