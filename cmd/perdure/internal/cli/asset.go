package cli

import "github.com/spf13/cobra"

func (a *app) assetCommand() *cobra.Command {
	cmd := group("asset", "List, materialize, wipe and report assets, and show their partitions", "")
	cmd.AddCommand(a.assetListCommand(), a.assetMaterializeCommand(), a.assetPartitionsCommand(), a.assetWipeCommand(), a.assetReportCommand())
	return cmd
}
