package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/internal/assetstatus"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

type assetWipe struct {
	asset, location, why string
	of                   partitionOptions
	yes                  bool
}

func (a *app) assetWipeCommand() *cobra.Command {
	var options assetWipe
	cmd := &cobra.Command{
		Use: "wipe ASSET", Short: "Forget what was materialized of an asset, so that it is missing again", Args: arguments(cobra.ExactArgs(1)),
		Long: "Forget the materializations of an asset, the current ones and the history: of some partitions, or of all with --all, also of\n" +
			"those that exist no more. Who called this, and --why, are recorded. Stored values are removed later, as superseded ones\n" +
			"are. On a terminal it asks first; elsewhere it needs --yes.",
		Example: "  perdure asset wipe route_delays --partition 2001-01-01 --why 'wrong source'\n" +
			"  perdure asset wipe route_delays --range 2001-01-01..2001-01-31 --why 'wrong source' --yes\n" +
			"  perdure asset wipe airports --all --why 'moved' --yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			options.asset = args[0]
			return a.wipe(cmd.Context(), options)
		},
	}
	flags := cmd.Flags()
	options.of.addKeysTo(flags)
	flags.BoolVar(&options.of.all, "all", false, "everything that was materialized of it")
	flags.StringVar(&options.why, "why", "", "why, for people")
	flags.BoolVar(&options.yes, "yes", false, "do not ask")
	flags.StringVar(&options.location, "location", "", "the code location; needed when several have an asset of this key")
	return cmd
}

func (a *app) wipe(ctx context.Context, options assetWipe) error {
	read, err := options.of.read()
	problems := []error{err}
	if len(options.of.given()) == 0 {
		problems = append(problems, usagef("say what to wipe: --partition, --partitions, --range or --all"))
	}
	if options.why == "" {
		problems = append(problems, usagef("--why is missing: it is recorded"))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	store, settings, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	found, err := findAsset(ctx, store, options.asset, options.location)
	if err != nil {
		return err
	}
	wipe := metadata.Wipe{Asset: options.asset, Who: a.env.User, Why: options.why}
	if wipe.Partitions, err = a.keysOf(ctx, store, found, options.asset, read); err != nil {
		return err
	}
	if err := a.confirm(options, wipe); err != nil {
		return err
	}
	wiped, err := (&starter.Starter{Store: store, Deployment: settings.Deployment}).WipeAsset(ctx, found.location, wipe)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(wiped)
	}
	if wiped.Count == 1 && wiped.Partitions[0] == "" {
		return a.print(fmt.Sprintf("%s is wiped\n", options.asset))
	}
	return a.print(fmt.Sprintf("%s: %s wiped\n", options.asset, render.Count(wiped.Count, "partition")))
}

// keysOf are the keys that flags say of an asset; nil is all of it. Single keys need not exist any more.
func (a *app) keysOf(ctx context.Context, store *metadata.Store, found locationPlanner, asset string, read chosen) ([]string, error) {
	switch {
	case read.partition != "":
		return []string{read.partition}, nil
	case len(read.partitions) > 0:
		return read.partitions, nil
	case read.span == nil:
		return nil, nil
	}
	reader, err := assetstatus.NewReader(ctx, store, found.planner, a.env.Now())
	if err != nil {
		return nil, err
	}
	subset, err := reader.Existing().Set(asset).Range(read.span.Start, read.span.End)
	if err != nil {
		return nil, wire.Problems{{Path: "range", Code: wire.CodeInvalid, Message: err.Error()}}
	}
	keys := make([]string, 0, subset.Count())
	for key := range subset.Keys() {
		keys = append(keys, key)
	}
	return keys, nil
}

// confirm asks on a terminal whether to go on; where nobody can answer, --yes is needed.
func (a *app) confirm(options assetWipe, wipe metadata.Wipe) error {
	if options.yes {
		return nil
	}
	if _, _, isTerminal := a.env.Terminal(a.env.Stdout); !isTerminal || a.output == jsonFormat {
		return usagef("--yes is missing: nobody can be asked whether to wipe")
	}
	what := "everything that was materialized of " + options.asset
	if wipe.Partitions != nil {
		what = render.Count(len(wipe.Partitions), "partition") + " of " + options.asset
	}
	if err := a.print("wipe " + what + "? [y/N] "); err != nil {
		return err
	}
	answer, err := bufio.NewReader(a.env.Stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errors.New("nothing was wiped")
	}
	return nil
}
