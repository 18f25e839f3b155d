package definitions

// MaterializeOption is an option of [Materialize] and [RunJob].
type MaterializeOption interface{ applyMaterialize(*materialization) }

type materializeOption func(*materialization)

func (o materializeOption) applyMaterialize(m *materialization) { o(m) }

// Only materializes these assets, and what of their upstream is not [Given]. Without it, all assets are
// materialized. It may be given several times.
func Only(assets ...AnyAsset) MaterializeOption {
	return materializeOption(func(m *materialization) {
		m.only = append(m.only, assets...)
		m.isOnly = true
	})
}

// Given replaces a source by a value: an asset, which is then not computed and needs no upstream; a resource, which
// is then neither opened nor closed; a config; an op's value, whose function is then not called and needs nothing; or
// any [View], [All], [Collect] or [OrElse] that a function binds. For a [FanOut] see [GivenFan].
func Given[T any](source Source[T], value T) MaterializeOption {
	n := needOf(source)
	return materializeOption(func(m *materialization) {
		if n.kind == needInvalid {
			m.fail("Given is to replace a source that was never declared: %s", n.fault.fix)
			return
		}
		if n.kind == needOp {
			m.inProcess.outputs[n.node] = value
		} else {
			m.inProcess.replaced[n.id] = value
		}
		m.given = append(m.given, n)
	})
}

// LoadExternal has external assets loaded by their own managers ([LoadedBy], [StoredBy]), as in a real run: files that
// lie beside the test, for example. Without arguments, all that have one; what is [Given] is not loaded. To read
// elsewhere than a worker does, give the manager's resource with Given.
func LoadExternal(assets ...AnyAsset) MaterializeOption {
	return materializeOption(func(m *materialization) {
		m.external = append(m.external, assets...)
		m.allExternal = m.allExternal || len(assets) == 0
	})
}

// RetryAtOnce leaves out the delays of [Retries], which Materialize waits for otherwise.
type RetryAtOnce struct{}

func (RetryAtOnce) applyMaterialize(m *materialization) { m.inProcess.retryAtOnce = true }

func (v RunConfig) applyMaterialize(m *materialization) { m.runConfig = v }

func (c configured) applyMaterialize(m *materialization) {
	if c.config == nil {
		m.fail("Configure names a config handle that was never declared: declare it with Config")
		return
	}
	m.configured = append(m.configured, c)
}
