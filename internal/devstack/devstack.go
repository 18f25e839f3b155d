// Package devstack is Perdure's local stack: Temporal's dev server with its Web UI and a private PostgreSQL, both real
// processes that keep their data in one folder and end with the program that started them.
package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"
)

const (
	usualTemporalPort = 7233
	usualHTTPPort     = 7243
	usualUIPort       = 8233
	// usualPostgresPort is not 5432: that one is often taken by a server of the machine's own.
	usualPostgresPort = 54329
	// startAttempts is how often a part is started when others take its ports between our look and its bind.
	startAttempts = 4
)

// Options is what Start needs to know. The zero value is the stack of `perdure dev` in the current folder.
type Options struct {
	// Dir is the folder that holds the stack's data, logs and lock. It is made when absent. Default ".perdure".
	Dir string
	// TemporalPort, HTTPPort, UIPort and PostgresPort must be free when given; 0 means the port of the last start in
	// Dir, else the usual one (7233, 7243, 8233, 54329), else any free one.
	TemporalPort, HTTPPort, UIPort, PostgresPort int
	// TemporalBinary is the temporal CLI to run. Default: the one on PATH, in Go's folders or in our cache, else the
	// download of Temporal's Go SDK, else one built from source, which takes minutes.
	TemporalBinary string
	// Log gets a line for what takes long or is unusual. Default: nowhere.
	Log io.Writer
	// Ephemeral is for tests: Temporal keeps its data in memory, Stop deletes PostgreSQL's, and ports are any free ones.
	Ephemeral bool
	// WithoutUI leaves Temporal's Web UI out.
	WithoutUI bool
	// WithoutSearchAttributes leaves Perdure's search attributes unregistered.
	WithoutSearchAttributes bool
	// WithoutTemporal and WithoutPostgres leave a part out.
	WithoutTemporal, WithoutPostgres bool
	// LookupEnv reads the environment variables PATH and PERDURE_POSTGRES_DSN; the latter names a server to use, as it
	// is, in place of a private one. Default os.LookupEnv.
	LookupEnv func(string) (string, bool)

	// shared holds, when we are root, what PostgreSQL's account cannot reach where it belongs. Default sharedFolder.
	shared string
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		o.Dir = ".perdure"
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fmt.Errorf("local stack's folder %q: %w", o.Dir, err)
	}
	o.Dir = dir
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	if o.shared == "" {
		o.shared = sharedFolder
	}
	return o, nil
}

// Stack is a running local stack. Its methods may be called from several goroutines.
type Stack struct {
	// TemporalAddress is host:port of Temporal's gRPC API; its namespace is Namespace. Empty without Temporal.
	TemporalAddress string
	// HTTPAddress is host:port of Temporal's HTTP API.
	HTTPAddress string
	// UIAddress is host:port of Temporal's Web UI, to be opened over http. Empty without it.
	UIAddress string
	// PostgresDSN is the URL of the database, with its password. Empty without PostgreSQL.
	PostgresDSN string

	options  Options
	logLock  sync.Mutex
	lock     *lock
	failures chan error
	closing  context.CancelFunc
	closed   <-chan struct{} // closed by Stop
	stopOnce sync.Once
	stopped  error

	stateLock sync.Mutex
	state     *state
	taken     map[int]bool

	temporalLock sync.Mutex
	temporal     *temporalServer // nil without Temporal

	postgresLock   sync.Mutex
	postgres       *postgresServer // nil without a private PostgreSQL
	postgresFolder string          // "" without one; there even when the server did not come up
}

// Start brings the stack up and returns once every part answers. It stops when ctx ends or Stop is called. The error is
// ErrRunning when a stack runs in the folder already; when a part does not come up it shows the end of that part's log.
// Nothing is left running after an error.
func Start(ctx context.Context, options Options) (*Stack, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("start the local stack: %w", err)
	}
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	// The account that PostgreSQL runs under must be able to pass through.
	if err := os.MkdirAll(options.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the local stack's folder: %w", err)
	}
	held, err := takeLock(options.Dir)
	if err != nil {
		return nil, err
	}
	remembered, err := readState(options.Dir)
	if err != nil {
		return nil, errors.Join(err, held.release())
	}
	closed, closing := context.WithCancel(context.WithoutCancel(ctx))
	stack := &Stack{
		options: options, lock: held, state: remembered, taken: map[int]bool{},
		failures: make(chan error, 16), closed: closed.Done(), closing: closing,
	}
	parts, startCtx := errgroup.WithContext(ctx)
	if !options.WithoutTemporal {
		parts.Go(func() error { return stack.firstTemporal(startCtx) })
	}
	if !options.WithoutPostgres {
		parts.Go(func() error { return stack.firstPostgres(startCtx) })
	}
	if err := parts.Wait(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = fmt.Errorf("start the local stack: %w", cause)
		}
		return nil, errors.Join(err, stack.Stop())
	}
	context.AfterFunc(ctx, func() {
		if err := stack.Stop(); err != nil {
			stack.logf("stopping the local stack: %v", err)
		}
	})
	return stack, nil
}

// Failures delivers an error for each part that ended without being asked to, with the end of its log.
func (s *Stack) Failures() <-chan error { return s.failures }

// Stop ends both parts in order, and by force when they take too long. It returns when nothing of the stack runs any
// more; further calls return the same result.
func (s *Stack) Stop() error {
	s.stopOnce.Do(func() {
		s.closing()
		var parts errgroup.Group
		var temporalErr, postgresErr error
		parts.Go(func() error { temporalErr = s.stopTemporal(); return nil })
		parts.Go(func() error { postgresErr = s.StopPostgres(); return nil })
		_ = parts.Wait()
		s.stopped = errors.Join(temporalErr, postgresErr, s.discardPostgres(), s.lock.release())
	})
	return s.stopped
}

// starting is a context for a start by request: it ends with Stop too.
func (s *Stack) starting(ctx context.Context) (context.Context, context.CancelFunc, error) {
	select {
	case <-s.closed:
		return nil, nil, errors.New("the local stack has been stopped")
	default:
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-s.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel, nil
}

// watch reports a process that ends without being asked to.
func (s *Stack) watch(watched *process) {
	go func() {
		<-watched.ended
		if watched.asked.Load() {
			return
		}
		select {
		case s.failures <- watched.failure(errors.New("ended unexpectedly")):
		default: // nobody reads; the log file has it
		}
	}()
}

func (s *Stack) logf(format string, arguments ...any) {
	s.logLock.Lock()
	defer s.logLock.Unlock()
	// A log that cannot be written is no reason to fail.
	_, _ = fmt.Fprintf(s.options.Log, format+"\n", arguments...)
}

// choose picks one port and remembers it.
func (s *Stack) choose(name string, asked, usual int, remembered *int) (int, error) {
	s.stateLock.Lock()
	defer s.stateLock.Unlock()
	wishes := port{name: name, asked: asked, remembered: *remembered, usual: usual}
	if s.options.Ephemeral {
		wishes.remembered, wishes.usual = 0, 0
	}
	number, err := wishes.choose(s.taken)
	if err != nil {
		return 0, err
	}
	*remembered = number
	return number, s.state.write()
}

func (s *Stack) cacheFolder() (string, error) {
	folder, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache folder: %w", err)
	}
	return filepath.Join(folder, "perdure"), nil
}
