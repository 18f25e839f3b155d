package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/config"
)

// app is one call of the command line.
type app struct {
	env         Environment
	flags       *pflag.FlagSet // the global ones, once they are parsed
	configFile  string
	output      format
	noColor     bool
	commandPath string // the command that was called
}

// Main runs the command line and returns its exit code: 0, 1 for a failure, 2 for a command line that makes no sense.
// When ctx ends, commands end in order.
func Main(ctx context.Context, env Environment) int {
	a := &app{env: env, output: tableFormat, commandPath: "perdure"}
	root := a.root()
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	called, err := root.ExecuteContextC(ctx)
	if called != nil {
		a.commandPath = called.CommandPath()
	}
	return a.report(err)
}

// aliases are short names of global flags, those of the temporal CLI among them.
var aliases = map[string]string{"address": "temporal-address", "namespace": "temporal-namespace", "dsn": "postgres-dsn"}

func (a *app) root() *cobra.Command {
	root := group("perdure", "Materialize data assets, durably",
		"Perdure keeps data assets materialized: on Temporal, which loses nothing, with its records in PostgreSQL.\n\n"+
			"Begin with `perdure demo` in a clone of the repository, or `perdure dev DIR` with a location of your own.")
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	flags := root.PersistentFlags()
	root.SetGlobalNormalizationFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if long, ok := aliases[name]; ok {
			name = long
		}
		return pflag.NormalizedName(name)
	})
	flags.StringVar(&a.configFile, "config", "", "path of "+config.FileName+" (default: looked for in this folder and those above)")
	config.AddFlags(flags, "temporal.address", "temporal.namespace", "postgres.dsn", "deployment")
	for short, long := range aliases {
		flags.Lookup(long).Usage += "; also --" + short
	}
	flags.VarP(&a.output, "output", "o", "how to print: table or json")
	flags.BoolVar(&a.noColor, "no-color", false, "print without colours (also when NO_COLOR is set)")
	a.flags = flags
	root.AddCommand(
		a.devCommand(), a.demoCommand(), a.migrateCommand(), a.checkCommand(),
		a.assetCommand(), a.partitionCommand(), a.backfillCommand(), a.jobCommand(), a.runCommand(),
		a.scheduleCommand(), a.sensorCommand(), a.queueCommand(), a.poolCommand(), a.alertCommand(),
		a.locationCommand(), a.schemaCommand(), a.daemonCommand(),
	)
	return root
}

// group is a command that only holds others: alone it prints its help, and an unknown one below it is refused.
func group(use, short, long string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			cmd.SuggestionsMinimumDistance = 2
			near := ""
			if found := cmd.SuggestionsFor(args[0]); len(found) > 0 {
				near = " (did you mean " + strings.Join(found, " or ") + "?)"
			}
			return usagef("%s has no command %q%s", cmd.CommandPath(), args[0], near)
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
}

// arguments turns what cobra says of arguments into usage errors.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// style is plain unless standard output is a terminal that takes colours.
func (a *app) style() render.Style {
	_, _, isTerminal := a.env.Terminal(a.env.Stdout)
	none, _ := a.env.lookup("NO_COLOR")
	kind, _ := a.env.lookup("TERM")
	return render.Style{Color: isTerminal && !a.noColor && none == "" && kind != "dumb"}
}

func (a *app) clock() render.Clock { return render.Clock{Now: a.env.Now(), Zone: a.env.Zone} }
