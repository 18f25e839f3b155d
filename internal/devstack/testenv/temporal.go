package testenv

import "testing"

// TemporalServer is this process's Temporal dev server.
type TemporalServer struct {
	// Address is host:port of the gRPC API; the namespace is devstack.Namespace.
	Address string
	// HTTPAddress is host:port of the HTTP API.
	HTTPAddress string
	// Binary is the path of the temporal CLI.
	Binary string
}

// Temporal returns this process's Temporal dev server: in memory, with the local stack's settings and Perdure's search
// attributes. All tests of the process share it.
func Temporal(t testing.TB) TemporalServer {
	t.Helper()
	stack := temporal.get(t)
	return TemporalServer{Address: stack.TemporalAddress, HTTPAddress: stack.HTTPAddress, Binary: stack.TemporalBinary()}
}
