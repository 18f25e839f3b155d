package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/internal/alerts"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
	"github.com/perdure-io/perdure/worker"
)

// connectTimeout bounds the wait for a server that does not answer.
const connectTimeout = 10 * time.Second

// config loads the configuration. Where none says which servers, those of the local stack count that runs in this
// folder or one above: `perdure asset list` works beside `perdure dev`.
func (a *app) config(ctx context.Context) (config.Config, error) {
	options := config.LoadOptions{File: a.configFile, Folder: a.env.Folder, Environ: a.env.Environ, Flags: a.flags}
	loaded, err := config.Load(options)
	if err == nil {
		err = alerts.Check(loaded.Alerts)
	}
	if err != nil || a.namesServers() || fileNamesServers(loaded) {
		return loaded, err
	}
	stack, found, err := findStack(ctx, a.env.Folder)
	if err != nil || !found {
		return loaded, err
	}
	options.Environ = append(stack.environ(), options.Environ...)
	return config.Load(options)
}

// namesServers says whether a flag or a variable names a server.
func (a *app) namesServers() bool {
	for _, name := range []string{"temporal-address", "postgres-dsn"} {
		if a.flags.Changed(name) {
			return true
		}
		if value, _ := a.env.lookup("PERDURE_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))); value != "" {
			return true
		}
	}
	value, _ := a.env.lookup("PERDURE_POSTGRES_DSN_ENV")
	return value != ""
}

// temporalDefault is where Temporal is when nothing says so.
const temporalDefault = "127.0.0.1:7233"

// fileNamesServers says whether perdure.yaml names a server. One with nothing but limits, say, leaves that to the local stack.
func fileNamesServers(loaded config.Config) bool {
	return loaded.Postgres.DSN != "" || loaded.Postgres.DSNEnv != "" || loaded.Temporal.Address != temporalDefault
}

// openStore connects to Postgres and checks that this program works on its schema. Close what it returns.
func openStore(ctx context.Context, settings config.Config) (*metadata.Store, error) {
	dsn, err := settings.PostgresDSN()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	store, err := metadata.Open(ctx, dsn, metadata.Options{MaxOpenConnections: settings.Postgres.MaxOpenConnections})
	if err != nil {
		return nil, fmt.Errorf("postgres at %s (postgres.dsn) cannot be reached: %w", settings.Postgres.DSN.Redacted(), err)
	}
	if err := store.CheckSchema(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return store, nil
}

// store opens the configured Postgres.
func (a *app) store(ctx context.Context) (*metadata.Store, config.Config, error) {
	settings, err := a.config(ctx)
	if err != nil {
		return nil, settings, err
	}
	store, err := openStore(ctx, settings)
	return store, settings, err
}

// session is a connection to Temporal and Postgres.
type session struct {
	*starter.Starter
	settings config.Config
	waker    *starter.Waker
}

// connect opens both; what is wrong with both is said at once.
func connect(ctx context.Context, settings config.Config) (*session, error) {
	store, storeErr := openStore(ctx, settings)
	// The SDK would log what the commands say themselves.
	temporal, err := worker.Dial(ctx, settings.Temporal, slog.New(slog.DiscardHandler))
	if err := errors.Join(err, storeErr); err != nil {
		closeAll(store, temporal)
		return nil, err
	}
	facts := instanceFacts(settings)
	waker := starter.NewWaker(temporal, store, slog.New(slog.DiscardHandler))
	return &session{settings: settings, waker: waker, Starter: &starter.Starter{
		Temporal: temporal, Store: store, Deployment: settings.Deployment,
		Limits: facts.Limits, Executor: facts.Executor, MaxRuntime: facts.MaxRuntime,
		Retries: starter.RetrySettings{MaxRetries: settings.Run.MaxRetries, OnStepFailure: settings.Run.RetryOnStepFailure},
	}}, nil
}

// instanceFacts are what the instance says of all runs.
func instanceFacts(settings config.Config) plan.Facts {
	return plan.Facts{
		Limits: plan.Limits{
			MaxConcurrentSteps: settings.Run.MaxConcurrentSteps, ContinueAfter: settings.Run.ContinueAfterEvents,
			ForceAfter: settings.Run.ForceContinueEvents, MaxLostWorkers: settings.Run.MaxLostWorkers,
		},
		Executor: plan.Executor{Kind: plan.ExecutorKind(settings.Run.Executor)}, MaxRuntime: settings.Run.MaxRuntime,
	}
}

func (a *app) connect(ctx context.Context) (*session, error) {
	settings, err := a.config(ctx)
	if err != nil {
		return nil, err
	}
	return connect(ctx, settings)
}

func closeAll(store *metadata.Store, temporal client.Client) {
	if store != nil {
		// Nothing was written: an error of closing changes nothing.
		_ = store.Close()
	}
	if temporal != nil {
		temporal.Close()
	}
}

func (s *session) close() {
	s.waker.Close()
	closeAll(s.Store, s.Temporal)
}

// link opens a run in Temporal's Web UI.
func link(settings config.Config, run string) string {
	return settings.Temporal.WorkflowURL(run)
}

// locations are those that a command is about: the named one, else all there are. No location at all is an error.
func locations(ctx context.Context, store *metadata.Store, name string) ([]metadata.Location, error) {
	all, err := store.Locations(ctx)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("there is no code location yet: start a worker of one, or `perdure dev DIR`")
	}
	if name == "" {
		return all, nil
	}
	names := make([]string, len(all))
	for i, one := range all {
		if one.Location == name {
			return []metadata.Location{one}, nil
		}
		names[i] = one.Location
	}
	return nil, fmt.Errorf("there is no code location %q (%s)", name, wire.FixUnknown(name, names))
}

// oneLocation is the named location, or the only one.
func oneLocation(ctx context.Context, store *metadata.Store, name string) (string, error) {
	found, err := locations(ctx, store, name)
	if err != nil {
		return "", err
	}
	if len(found) > 1 {
		names := make([]string, len(found))
		for i, one := range found {
			names[i] = one.Location
		}
		return "", usagef("there are several code locations: name one of %s with --location", strings.Join(names, ", "))
	}
	return found[0].Location, nil
}
