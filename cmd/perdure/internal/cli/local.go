package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/perdure-io/perdure/cmd/perdure/internal/program"
	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/internal/devstack"
)

// stopMargin is how much longer than its drain a location may take to end before it is killed.
const stopMargin = 5 * time.Second

// local is a local stack and the location that runs beside it.
type local struct {
	app   *app
	stack *devstack.Stack
	// reach is where the stack is, settings the configuration that leads there.
	reach    runningStack
	settings config.Config
	// ownPostgres says that the stack brings its PostgreSQL.
	ownPostgres bool
	program     program.Program
	// location is the code location's name, state the folder of the stack.
	location, state string
}

// refuseForLocal refuses flags that make no sense beside a local stack.
func (a *app) refuseForLocal() error {
	var problems []error
	if a.output != tableFormat {
		problems = append(problems, usagef("--output: this command prints no JSON"))
	}
	for _, name := range []string{"temporal-address", "temporal-namespace"} {
		if a.flags.Changed(name) {
			problems = append(problems, usagef("--%s: this command brings a Temporal of its own", name))
		}
	}
	return errors.Join(problems...)
}

// startLocal brings up the stack in the state folder while the location in dir is built, and migrates. Stop what it
// returns. Nothing is left running after an error.
func (a *app) startLocal(ctx context.Context, dir, state string) (_ *local, err error) {
	state = a.env.path(state)
	l := &local{app: a, state: state, program: a.program(dir, state, a.env.Environ)}
	// Before anything is started: a folder without a program is found at once.
	if err := l.program.Inspect(ctx); err != nil {
		return nil, buildFailure(err)
	}
	// The stack outlives ctx: on Ctrl-C the location drains first, which needs it.
	stackCtx, cancelStart := context.WithCancel(context.WithoutCancel(ctx))
	interrupt := context.AfterFunc(ctx, cancelStart)
	defer func() {
		interrupt()
		if err != nil {
			err = errors.Join(err, l.stop())
			cancelStart()
		}
	}()
	if err := l.startParts(ctx, stackCtx, cancelStart); err != nil {
		return nil, err
	}
	if err := l.configure(); err != nil {
		return nil, err
	}
	_, err = migrate(ctx, l.settings)
	return l, err
}

// startParts starts the stack while it builds the location. When the one fails the other is given up.
func (l *local) startParts(ctx, stackCtx context.Context, cancelStack context.CancelFunc) error {
	buildCtx, cancelBuild := context.WithCancel(ctx)
	defer cancelBuild()
	log := &mutedWriter{Writer: l.app.env.Stderr}
	built := make(chan error, 1)
	go func() {
		location, _, err := l.program.Build(buildCtx)
		l.location = location
		if err != nil {
			log.muted.Store(true)
			cancelStack()
		}
		built <- buildFailure(err)
	}()
	options := devstack.Options{Dir: l.state, Log: log, LookupEnv: l.app.stackVariable}
	stack, stackErr := devstack.Start(stackCtx, options)
	l.stack = stack
	if stackErr != nil {
		cancelBuild()
	}
	buildErr := <-built
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case buildErr != nil && !errors.Is(buildErr, context.Canceled):
		return buildErr
	default:
		return stackErr
	}
}

// mutedWriter can be silenced: what a stack says while it is given up would only distract from the reason.
type mutedWriter struct {
	io.Writer
	muted atomic.Bool
}

// Write drops what is written while muted.
func (w *mutedWriter) Write(text []byte) (int, error) {
	if w.muted.Load() {
		return len(text), nil
	}
	return w.Writer.Write(text)
}

// stackVariable is the environment as the stack sees it: --postgres-dsn names a server to use, as the variable does.
func (a *app) stackVariable(name string) (string, bool) {
	if flag := a.flags.Lookup("postgres-dsn"); name == "PERDURE_POSTGRES_DSN" && flag.Changed {
		return flag.Value.String(), true
	}
	return a.env.lookup(name)
}

// configure makes the configuration that leads to the stack: perdure.yaml still counts for everything else but where
// data lies, which is the stack's folder unless a variable says otherwise.
func (l *local) configure() error {
	a := l.app
	storage, given := a.env.lookup("PERDURE_STORAGE_URL")
	if !given || storage == "" {
		storage = storageURL(filepath.Join(l.state, "storage"))
	}
	external, _ := a.stackVariable("PERDURE_POSTGRES_DSN")
	l.ownPostgres = external == ""
	l.reach = runningStack{
		TemporalAddress: l.stack.TemporalAddress, UIAddress: l.stack.UIAddress, PostgresDSN: l.stack.PostgresDSN, StorageURL: storage,
	}
	environ := append(append([]string{}, a.env.Environ...), l.reach.environ()...)
	settings, err := config.Load(config.LoadOptions{File: a.configFile, Folder: a.env.Folder, Environ: environ, Flags: a.flags})
	if err != nil {
		return err
	}
	if settings.Temporal.TLS.Enabled {
		return fmt.Errorf("%s turns TLS on (temporal.tls.enabled), and the local Temporal has none: use --config with a file for development", settings.File)
	}
	l.settings = settings
	l.program.Environ = append(environ, "PERDURE_DEPLOYMENT="+settings.Deployment)
	return nil
}

// storageURL is a folder as config writes it.
func storageURL(folder string) string {
	path := filepath.ToSlash(folder)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // a drive letter
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: "create_dir=true&no_tmp_dir=true"}).String()
}

// arguments are those of the location's program.
func (l *local) arguments() []string {
	arguments := []string{"serve", "--activate"}
	if l.app.configFile != "" {
		arguments = append(arguments, "--config", l.app.env.path(l.app.configFile))
	}
	return arguments
}

// patience is how long the location may take to end.
func (l *local) patience() time.Duration { return l.settings.Worker.DrainTimeout + stopMargin }

// stop ends the stack. The location must have ended.
func (l *local) stop() error {
	if l.stack == nil {
		return nil
	}
	return l.stack.Stop()
}

// awaitLocation returns once the location's build that was started at that time is registered, or with the reason why
// it has ended.
func awaitLocation(ctx context.Context, s *session, location string, process *program.Process, startedAt time.Time) error {
	const poll = 50 * time.Millisecond
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		found, err := s.Store.Locations(ctx)
		if err != nil {
			return err
		}
		for _, one := range found {
			if one.Location == location && !one.LastSeen.Before(startedAt) {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-process.Ended():
			return fmt.Errorf("the location has ended before it served: %w", process.Err())
		case <-ticker.C:
		}
	}
}
