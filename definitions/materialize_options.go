package definitions

// MaterializeOption is an option of [Materialize] and [RunJob].
type MaterializeOption interface{ applyMaterialize(*materialization) }

// TestOption is an option of [Materialize] and [RunJob], and of [EvaluateSchedule] and [EvaluateSensor].
type TestOption interface {
	MaterializeOption
	EvaluateOption
}

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
// any [View], [All], [Collect] or [OrElse] that a function binds. For a [FanOut] see [GivenFan]. In [EvaluateSchedule] and
// [EvaluateSensor] it gives what a tick knows, too: Given(Events[arrival](), …), Given(CursorOf[string](), "a"), Given(TheRun, …).
func Given[T any](source Source[T], value T) TestOption { return given{needOf(source), value} }

// given is a source and what stands in its place.
type given struct {
	need  need
	value any
}

func (g given) applyMaterialize(m *materialization) {
	if g.need.kind == needInvalid {
		m.fail("Given is to replace a source that was never declared: %s", g.need.fault.fix)
		return
	}
	if g.need.kind == needOp {
		m.inProcess.outputs[g.need.node] = g.value
	} else {
		m.inProcess.replaced[g.need.id] = g.value
	}
	m.given = append(m.given, g.need)
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
