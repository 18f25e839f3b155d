package devstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	childprocess "github.com/perdure-io/perdure/internal/process"
)

const (
	// pollInterval is how often a starting server is asked whether it answers.
	pollInterval = 50 * time.Millisecond
	// maxLogSize is the size in bytes above which a part's log file is begun anew when the part starts.
	maxLogSize = 16 << 20
	// tailLines is how many lines of a log file an error shows.
	tailLines = 15
)

// process is one child of ours: started in a process group of its own, so that a terminal's Ctrl-C reaches us and not
// it, and its output appended to a log file.
type process struct {
	name    string
	cmd     *exec.Cmd
	logFile string
	logFrom int64 // size of the log file before this start: only what follows explains this process's end
	started time.Time
	ended   chan struct{} // closed when the process has ended
	asked   atomic.Bool   // its end is our doing
}

// startProcess starts cmd and follows it to its end. deathSignal is what the kernel sends it should we be killed (where
// the platform can).
func startProcess(name string, cmd *exec.Cmd, logFile string, deathSignal syscall.Signal) (*process, error) {
	log, from, err := openLog(logFile)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the child holds its own copy
	cmd.Stdout, cmd.Stderr = log, log
	childprocess.Detach(cmd, deathSignal)
	if err := childprocess.Spawn(cmd); err != nil {
		return nil, fmt.Errorf("start %s (%s): %w", name, cmd.Path, err)
	}
	p := &process{name: name, cmd: cmd, logFile: logFile, logFrom: from, started: time.Now(), ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		// How it ended stands in its log; that it ended is all we need.
		_ = cmd.Wait()
	}()
	return p, nil
}

func openLog(path string) (*os.File, int64, error) {
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > maxLogSize {
		flags |= os.O_TRUNC
	}
	log, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("open log file: %w", err)
	}
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		_ = log.Close()
		return nil, 0, fmt.Errorf("open log file: %w", err)
	}
	return log, from, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// alive says whether the process still runs.
func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill ends the process at once (SIGKILL) and returns when it is gone.
func (p *process) kill() error {
	p.asked.Store(true)
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s (process %d): %w", p.name, p.pid(), err)
	}
	<-p.ended
	return nil
}

// terminate asks the process to end by ask, and kills it when it has not done so within patience.
func (p *process) terminate(ask func() error, patience time.Duration) error {
	p.asked.Store(true)
	if !p.alive() {
		return nil
	}
	if err := ask(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return errors.Join(fmt.Errorf("ask %s (process %d) to stop: %w", p.name, p.pid(), err), p.kill())
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.ended:
		return nil
	case <-timer.C:
		return p.kill()
	}
}

// errEnded says that a process ended by itself before it answered.
var errEnded = errors.New("ended before it answered")

// awaitReady returns when ready does not fail any more; its error shows the tail of the process's log.
func (p *process) awaitReady(ctx context.Context, bound time.Duration, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return p.failure(errEnded)
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return p.failure(fmt.Errorf("did not answer within %s: %w", bound, err))
			}
			return fmt.Errorf("%s: %w", p.name, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

func (p *process) failure(err error) error {
	return fmt.Errorf("%s: %w; the end of its log %s:\n%s", p.name, err, p.logFile, p.tail())
}

// tail is the end of what this process has logged, indented.
func (p *process) tail() string {
	content := p.logged()
	if content == "" {
		return "    (empty)"
	}
	lines := strings.Split(content, "\n")
	if len(lines) > tailLines {
		lines = lines[len(lines)-tailLines:]
	}
	return "    " + strings.Join(lines, "\n    ")
}

// logged is what this process has written so far.
func (p *process) logged() string {
	content, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	if p.logFrom < int64(len(content)) {
		content = content[p.logFrom:]
	} else {
		content = nil
	}
	return string(bytes.TrimSpace(content))
}

// portWasTaken says whether the process ended because somebody else took its port between our look and its bind.
func (p *process) portWasTaken() bool {
	return !p.alive() && strings.Contains(strings.ToLower(p.logged()), "address already in use")
}

// environWithout is our environment without the variables whose names begin with one of the prefixes: a server's
// settings are ours to give, not the shell's.
func environWithout(prefixes ...string) []string {
	var kept []string
	for _, variable := range os.Environ() {
		drop := false
		for _, prefix := range prefixes {
			drop = drop || strings.HasPrefix(variable, prefix)
		}
		if !drop {
			kept = append(kept, variable)
		}
	}
	return kept
}
