package cli

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/worker"
)

func (a *app) migrateCommand() *cobra.Command {
	up := func(cmd *cobra.Command, _ []string) error { return a.migrateUp(cmd.Context()) }
	cmd := &cobra.Command{
		Use: "migrate", Short: "Bring PostgreSQL's schema and Temporal's search attributes up to date",
		Long: "Make the schema in PostgreSQL when it is missing, apply what is pending of it, and register Perdure's search\n" +
			"attributes with Temporal. It may be called at any time, by several at once. In an upgrade it comes before the workers.",
		Args: group("migrate", "", "").Args, RunE: up,
	}
	cmd.AddCommand(
		&cobra.Command{Use: "up", Short: "The same", Args: arguments(cobra.NoArgs), RunE: up},
		a.migrateDownCommand(),
		&cobra.Command{
			Use: "status", Short: "List the migrations and when each was applied", Args: arguments(cobra.NoArgs),
			RunE: func(cmd *cobra.Command, _ []string) error { return a.migrateStatus(cmd.Context()) },
		},
	)
	return cmd
}

func (a *app) migrateDownCommand() *cobra.Command {
	var to int64
	cmd := &cobra.Command{
		Use: "down --to VERSION", Short: "Undo every migration above a version, with the rows of the tables that go", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("to") {
				return usagef("--to is missing: the version to go back to, as `perdure migrate status` lists them; 0 removes every table")
			}
			return a.migrateDown(cmd.Context(), to)
		},
	}
	cmd.Flags().Int64Var(&to, "to", 0, "the version that stays; 0 removes every table with its rows")
	return cmd
}

// migrated is what migrate did, and its JSON.
type migrated struct {
	Schema           string               `json:"schema"`
	Applied          []metadata.Migration `json:"applied"`
	SearchAttributes []string             `json:"search_attributes_registered"`
	// Warning says why search attributes, which are optional, were not registered.
	Warning string `json:"warning,omitempty"`
}

func (a *app) migrateUp(ctx context.Context) error {
	settings, err := a.config(ctx)
	if err != nil {
		return err
	}
	done, err := migrate(ctx, settings)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(done)
	}
	text := a.applied("applied", done)
	switch {
	case done.Warning != "":
		a.warn("search attributes, which are optional, are not registered: %s", done.Warning)
	case len(done.SearchAttributes) > 0:
		text += "registered search attributes " + strings.Join(done.SearchAttributes, ", ") + "\n"
	default:
		text += "Perdure's search attributes are there\n"
	}
	return a.print(text)
}

// migrate brings the schema up to date, and tries the same with the search attributes.
func migrate(ctx context.Context, settings config.Config) (migrated, error) {
	dsn, err := settings.PostgresDSN()
	if err != nil {
		return migrated{}, err
	}
	done := migrated{Schema: settings.Postgres.Schema, SearchAttributes: []string{}}
	if done.Applied, err = metadata.Migrate(ctx, dsn); err != nil {
		return migrated{}, err
	}
	temporal, err := worker.Dial(ctx, settings.Temporal, slog.New(slog.DiscardHandler))
	if err != nil {
		done.Warning = err.Error()
		return done, nil
	}
	defer temporal.Close()
	registered, err := registerSearchAttributes(ctx, temporal, settings.Temporal.Namespace)
	if err != nil {
		done.Warning = err.Error()
	}
	done.SearchAttributes = append(done.SearchAttributes, registered...)
	return done, nil
}

func (a *app) applied(verb string, done migrated) string {
	if len(done.Applied) == 0 {
		return fmt.Sprintf("schema %s is at version %d: nothing to do\n", done.Schema, metadata.SchemaVersion)
	}
	var b strings.Builder
	for _, migration := range done.Applied {
		fmt.Fprintf(&b, "%s %s\n", verb, migration.Name)
	}
	fmt.Fprintf(&b, "%s in schema %s\n", render.Count(len(done.Applied), "migration"), done.Schema)
	return b.String()
}

func (a *app) migrateDown(ctx context.Context, to int64) error {
	settings, err := a.config(ctx)
	if err != nil {
		return err
	}
	dsn, err := settings.PostgresDSN()
	if err != nil {
		return err
	}
	undone, err := metadata.Rollback(ctx, dsn, to)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(struct {
			Undone []metadata.Migration `json:"undone"`
		}{append([]metadata.Migration{}, undone...)})
	}
	if len(undone) == 0 {
		return a.print(fmt.Sprintf("schema %s has nothing above version %d\n", settings.Postgres.Schema, to))
	}
	return a.print(a.applied("undid", migrated{Schema: settings.Postgres.Schema, Applied: undone}))
}

func (a *app) migrateStatus(ctx context.Context) error {
	settings, err := a.config(ctx)
	if err != nil {
		return err
	}
	dsn, err := settings.PostgresDSN()
	if err != nil {
		return err
	}
	list, err := metadata.MigrationStatus(ctx, dsn)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(list)
	}
	style, clock := a.style(), a.clock()
	rows := make([][]string, len(list))
	for i, migration := range list {
		applied := clock.Moment(migration.Applied)
		if applied == "" {
			applied = style.Red("pending")
		}
		rows[i] = []string{fmt.Sprint(migration.Version), migration.Name, applied}
	}
	return a.print(style.Table([]render.Column{{Title: "version", Right: true}, {Title: "migration"}, {Title: "applied"}}, rows))
}
