package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/schema"
)

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema [TYPE]", Short: "Print the JSON Schema of a request or result", Args: arguments(cobra.MaximumNArgs(1)),
		Long:    "Print the JSON Schema of what workflows, queries and updates take and give. Without a type, list the types.",
		Example: "  perdure schema RunRequest",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				names, err := schema.Names()
				if err != nil {
					return err
				}
				if a.output == jsonFormat {
					return a.printJSON(names)
				}
				return a.print(strings.Join(names, "\n") + "\n")
			}
			content, err := schema.Of(args[0])
			if err != nil {
				return usageError{err}
			}
			return a.print(string(content))
		},
	}
}
