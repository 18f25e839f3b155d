//go:build unix

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// portFor finds a port for a server that is killed and started again on it: neither the usual one of a person's own stack,
// nor one that a system gives to whoever asks for any, so that nobody takes it meanwhile.
func portFor(ctx context.Context, server string) (int, error) {
	const lowest, count, tries = 20_000, 10_000, 100
	var problem error
	for range tries {
		port := lowest + rand.IntN(count)
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			problem = err
			continue
		}
		return port, listener.Close()
	}
	return 0, fmt.Errorf("find a port for %s: %w", server, problem)
}
