package cli

import "github.com/spf13/cobra"

func (a *app) assetCommand() *cobra.Command {
	cmd := group("asset", "List and materialize assets", "")
	cmd.AddCommand(a.assetListCommand(), a.assetMaterializeCommand(), a.assetPartitionsCommand())
	return cmd
}
