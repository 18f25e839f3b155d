package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// What pool set takes in place of a number.
const (
	poolNoLimit = "none"
	poolDefault = "default"
)

func (a *app) poolCommand() *cobra.Command {
	cmd := group("pool", "Limit how many steps of a pool run at once, across runs",
		"Limit how many steps of a pool run at once, across runs and code locations: steps that use the same database, device or account. An\n"+
			"asset or op is in a pool by definitions.Pool. A step that waits for a slot holds no worker; what ends hands its slot on to the\n"+
			"first who waits.")
	cmd.AddCommand(a.poolListCommand(), a.poolShowCommand(), a.poolSetCommand(), a.poolFreeCommand())
	return cmd
}

func (a *app) poolListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the pools, their limits, and how many use them and wait", Args: arguments(cobra.NoArgs),
		Example: "  perdure pool list",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.listPools(cmd.Context()) },
	}
}

func (a *app) listPools(ctx context.Context) error {
	store, settings, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	pools, err := (&starter.Starter{Store: store, Deployment: settings.Deployment}).Pools(ctx)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(append([]metadata.Pool{}, pools...))
	}
	if len(pools) == 0 {
		return a.print("no code location has a step in a pool\n")
	}
	rows := make([][]string, len(pools))
	for i, pool := range pools {
		held, waiting := "", ""
		if pool.Limit != metadata.Unlimited {
			held, waiting = render.Number(int64(pool.Held)), render.Number(int64(pool.Waiting))
		}
		rows[i] = []string{pool.Pool, poolLimit(pool), string(pool.Granularity), held, waiting, a.poolSetBy(pool)}
	}
	return a.print(a.style().Table([]render.Column{
		{Title: "pool"},
		{Title: "limit"},
		{Title: "counts"},
		{Title: "taken", Right: true},
		{Title: "waiting", Right: true},
		{Title: "set"},
	}, rows))
}

func poolLimit(pool metadata.Pool) string {
	text := poolNoLimit
	if pool.Limit != metadata.Unlimited {
		text = render.Number(int64(pool.Limit))
	}
	if pool.OwnLimit == nil {
		text += " (" + poolDefault + ")"
	}
	return text
}

func (a *app) poolSetBy(pool metadata.Pool) string {
	if pool.SetAt.IsZero() {
		return ""
	}
	return setBy(pool.SetBy, pool.SetWhy, a.clock().Moment(pool.SetAt))
}

func (a *app) poolShowCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "show POOL", Short: "Show who uses a pool, and who waits for it in which order", Args: arguments(cobra.ExactArgs(1)),
		Example: "  perdure pool show warehouse",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.showPool(cmd.Context(), args[0], limit) },
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many rows of each list, at most 1000")
	return cmd
}

func (a *app) showPool(ctx context.Context, name string, limit int) error {
	if limit < 1 || limit > stepPage {
		return usagef("--limit is %d and must be 1 to %d", limit, stepPage)
	}
	store, settings, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	if err := (&starter.Starter{Store: store, Deployment: settings.Deployment}).CheckPool(ctx, name); err != nil {
		return err
	}
	use, err := store.PoolUse(ctx, name, limit)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(use)
	}
	text := fmt.Sprintf("pool %s: limit %s, counts %ss\n", name, poolLimit(use.Pool), use.Granularity)
	if set := a.poolSetBy(use.Pool); set != "" {
		text += a.style().Faint(set) + "\n"
	}
	text += fmt.Sprintf("\n%s taken\n", render.Count(use.Held, "slot")) + a.queuedSteps(use.Steps) + a.queuedRuns(use.Runs)
	text += a.more(len(use.Steps)+len(use.Runs), use.Held)
	text += fmt.Sprintf("\n%s waiting\n", render.Count(use.Waiting, string(use.Granularity))) + a.queuedSteps(use.WaitingSteps) + a.queuedRuns(use.WaitingRuns)
	return a.print(text + a.more(len(use.WaitingSteps)+len(use.WaitingRuns), use.Waiting))
}

func (a *app) poolSetCommand() *cobra.Command {
	var granularity, why string
	cmd := &cobra.Command{
		Use: "set POOL LIMIT", Short: "Change the limit of a pool while its steps run", Args: arguments(cobra.ExactArgs(2)),
		Long: "Change the limit of a pool, from now on: a number, none for no limit whatever the default is, or default for that of pools which\n" +
			"have none of their own. Steps that run are never stopped by it. With --granularity run the limit counts the runs in progress that\n" +
			"have a step in the pool: others wait in the queue. Who called this, and --why, are recorded.",
		Example: "  perdure pool set warehouse 4\n  perdure pool set license 1 --granularity run --why 'one seat'\n  perdure pool set warehouse default",
		RunE: func(cmd *cobra.Command, args []string) error {
			setting := metadata.PoolSetting{Pool: args[0], Granularity: wire.PoolGranularity(granularity), Who: a.env.User, Why: why}
			switch number, err := strconv.Atoi(args[1]); {
			case args[1] == poolDefault:
			case args[1] == poolNoLimit:
				unlimited := metadata.Unlimited
				setting.Limit = &unlimited
			case err != nil || number < 0:
				return wrongLimit(args[1])
			default:
				setting.Limit = &number
			}
			return a.changeLimits(cmd.Context(), func(s *starter.Starter) (metadata.LimitsSet, error) { return s.SetPool(cmd.Context(), setting) },
				"the limits of pool "+args[0])
		},
	}
	cmd.Flags().StringVar(&granularity, "granularity", "", "what the limit counts: step or run (default: as the queue has it)")
	cmd.Flags().StringVar(&why, "why", "", "why, for people")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		// A number below 0 looks like a flag.
		if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
			if number, numeric := strconv.Atoi("-" + unknown.GetSpecifiedShortnames()); numeric == nil {
				return wrongLimit(strconv.Itoa(number))
			}
		}
		return usageError{err}
	})
	return cmd
}

func wrongLimit(given string) error {
	return usagef("LIMIT is %s and must be a number from 0 on, none or default", given)
}

func (a *app) poolFreeCommand() *cobra.Command {
	var seizure metadata.SlotSeizure
	var all bool
	cmd := &cobra.Command{
		Use: "free POOL", Short: "Take slots away from steps that hold them", Args: arguments(cobra.ExactArgs(1)),
		Long: "Take slots of a pool away from a step, a run or all that hold them, and hand them on. The steps go on if they live. Slots of steps\n" +
			"that have ended, and of runs that have, are freed by themselves; this is for whoever knows better. Who called this, and --why, are\n" +
			"recorded.",
		Example: "  perdure pool free warehouse --run r1 --step load\n  perdure pool free warehouse --all --why 'the warehouse was restarted'",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case all == (seizure.RunID != ""):
				return usagef("give --run or --all, one of the two")
			case seizure.Step != "" && seizure.RunID == "":
				return usagef("--step needs --run")
			}
			seizure.Pool, seizure.Who = args[0], a.env.User
			return a.freeSlots(cmd.Context(), seizure)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&seizure.RunID, "run", "", "of this run only")
	flags.StringVar(&seizure.Step, "step", "", "of this step of the run only")
	flags.BoolVar(&all, "all", false, "all slots of the pool")
	flags.StringVar(&seizure.Why, "why", "", "why, for people")
	return cmd
}

func (a *app) freeSlots(ctx context.Context, seizure metadata.SlotSeizure) error {
	store, settings, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	owed := owedBy(store)
	defer func() { owed.pay(ctx, settings) }()
	freed, err := (&starter.Starter{Store: store, Deployment: settings.Deployment}).FreeSlots(ctx, seizure)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(freed)
	}
	return a.print(fmt.Sprintf("pool %s: %s freed%s\n", seizure.Pool, render.Count(len(freed.Freed), "slot"), admittedText(freed.Admitted)))
}
