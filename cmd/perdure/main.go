// Command perdure is Perdure's command line: it starts and watches runs, tells what was materialized, and brings a
// local stack for development. `perdure --help` lists what it can do.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/perdure-io/perdure/cmd/perdure/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends things in order, a second one at once.
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Main(ctx, cli.System()))
}
