// Package computelog keeps what steps print: each stream of each attempt as small objects in a bucket, written while the
// step runs, so that a reader anywhere can follow it.
//
// An object is .perdure/logs/RUN/STEP/ATTEMPT.TOKEN/STREAM/NUMBER, run and step escaped. The token is the attempt's: a
// worker that died and the one that took over write the same attempt of a step, each under its own. The first part begins
// with a dot, which the name of no stored value does. An object "end" beside the streams says that nothing follows.
package computelog
