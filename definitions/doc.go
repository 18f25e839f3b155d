// Package definitions is what users of Perdure write: the data assets of a code location, and the functions that
// compute them.
//
// One idea carries it. Whatever a function's parameter can be (another asset's value, a resource, config) is a
// [Source] of that parameter's type. [Bind1] to [Bind8] tie a plain Go function to one source for each parameter,
// and everything that runs a function takes the [Compute] that they return. Wiring a function to a source of
// another type does not compile; testing one is calling it.
//
//	var Flights = definitions.Asset("flights", definitions.Bind1(readFlights, Files))
//
//	var Delays = definitions.Asset("delays", definitions.Bind2(delays, Flights, DelayConfig),
//		definitions.Group("reports"), definitions.Retries{Max: 3, Delay: time.Second})
//
//	func delays(ctx definitions.Context, flights []Flight, c delayConfig) ([]Delay, error)
//
//	var Location = definitions.New("flights", Files, Flights, Delays)
//
// A worker's main is then worker.Main(flights.Location).
//
// # What there is
//
// Assets are declared with [Asset], [OptionalAsset] (may produce nothing), [MultiAsset] and [Output] (one function,
// several assets), and [External] (something else makes it). [After] orders without loading. [All] binds several
// sources as a slice, [View] a part of one. [Resource] declares what steps share, such as a database; an
// [IOManager], which stores values, is a resource that assets name with [StoredBy], and an [InputManager], which only
// reads, one that external assets name with [LoadedBy]. [Config] makes a struct the config schema of what binds it, and
// [Secret] keeps a password out of it. [AssetJob] names a selection. [Options] bundles what several assets share.
//
// [Op] declares one step of a graph, whose values belong to a run: [OpJob] runs one. [Maybe] is a branch, [FanOut] has as
// many outputs as it finds, [Map] runs ops for each of them, and [Collect] makes one value of all. [Graph] names a part,
// with config of its own by [MapConfig]. [GraphAsset] and [GraphMultiAsset] make assets of a graph's values.
//
// [Schedule] and [PartitionedSchedule] start runs of a job at certain times, a [Sensor] when services have signalled something or a
// function finds something out, an [AssetSensor] when assets were materialized, a [RunStatusSensor] or [RunFailureSensor] when runs
// have ended. What they start is made with [Job.Request].
//
// # Declarations and problems
//
// There is no registry and no init: handles are variables, and [New] lists them. A bad declaration does not panic; it
// is remembered with its file and line, and [Definitions.Validate] reports it together with all others.
//
// # Testing
//
// The package knows neither Temporal nor a database. [Materialize] computes a graph of assets in the test's own process,
// [RunJob] runs a job, [EvaluateSchedule] and [EvaluateSensor] say what a tick would start. [Given] puts a value in the place of any source, [LoadExternal] has external assets read as in a
// real run; see the examples.
package definitions
