package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

type assetReport struct {
	asset, location, id     string
	of                      partitionOptions
	metadata                []string
	dataVersion, where, why string
	observation             bool
}

func (a *app) assetReportCommand() *cobra.Command {
	var options assetReport
	cmd := &cobra.Command{
		Use: "report ASSET", Short: "Record that an asset was materialized, or observed, elsewhere", Args: arguments(cobra.ExactArgs(1)),
		Long: "Record that an asset, or partitions of it, were materialized elsewhere, or with --observation that somebody looked at\n" +
			"them. What depends on the asset hears of it. The same report again under its --id changes nothing.",
		Example: "  perdure asset report airports --metadata rows=3400 --data-version 2001-03\n" +
			"  perdure asset report flights --partition 2001-01-01 --observation --data-version 7f3a",
		RunE: func(cmd *cobra.Command, args []string) error {
			options.asset = args[0]
			return a.reportAsset(cmd.Context(), options)
		},
	}
	flags := cmd.Flags()
	options.of.addKeysTo(flags)
	flags.StringArrayVar(&options.metadata, "metadata", nil, "a fact LABEL=VALUE, VALUE being JSON or else text; repeatable")
	flags.StringVar(&options.dataVersion, "data-version", "", "the version of the data: what depends on it is stale when it changes")
	flags.StringVar(&options.where, "stored-at", "", "where the value lies, as the storage of the asset finds it")
	flags.BoolVar(&options.observation, "observation", false, "somebody looked at it, and did not make it")
	flags.StringVar(&options.why, "why", "", "why, for people")
	flags.StringVar(&options.id, "id", "", "the report's id (default: one is made)")
	flags.StringVar(&options.location, "location", "", "the code location; needed when several have an asset of this key")
	return cmd
}

func (a *app) reportAsset(ctx context.Context, options assetReport) error {
	read, err := options.of.read()
	given, pairsErr := pairs("metadata", options.metadata)
	if err := errors.Join(err, pairsErr); err != nil {
		return err
	}
	request := wire.ReportRequest{
		Asset: options.asset, Type: wire.ReportMaterialization, DataVersion: options.dataVersion, Location: options.where,
		By: a.env.User, Why: options.why, Metadata: map[string]json.RawMessage{},
	}
	if options.observation {
		request.Type = wire.ReportObservation
	}
	for label, value := range given {
		if request.Metadata[label] = json.RawMessage(value); !json.Valid(request.Metadata[label]) {
			if request.Metadata[label], err = json.Marshal(value); err != nil {
				return fmt.Errorf("metadata %q: %w", label, err)
			}
		}
	}
	store, settings, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	owed := owedBy(store)
	defer func() { owed.pay(ctx, settings) }()
	found, err := findAsset(ctx, store, options.asset, options.location)
	if err != nil {
		return err
	}
	if request.Partition = read.partition; request.Partition == "" {
		if request.Partitions, err = a.keysOf(ctx, store, found, options.asset, read); err != nil {
			return err
		}
	}
	reported, err := (&starter.Starter{Store: store, Deployment: settings.Deployment}).Report(ctx, starter.NewReport{Location: found.location, ID: options.id, Request: request})
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(reported)
	}
	what := string(reported.Type) + " of " + reported.Asset
	if read.partition != "" || request.Partitions != nil {
		what += " (" + render.Count(reported.Partitions, "partition") + ")"
	}
	if !reported.New {
		return a.print(what + " was reported before, as " + reported.ReportID + "\n")
	}
	return a.print(what + " is recorded as " + reported.ReportID + "\n")
}
