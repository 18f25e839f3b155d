package devstack

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
)

// firstTemporal finds the binary, stops what a killed stack left, and starts Temporal on free ports.
func (s *Stack) firstTemporal(ctx context.Context) error {
	s.temporalLock.Lock()
	defer s.temporalLock.Unlock()
	binary := s.options.TemporalBinary
	if binary == "" {
		cache, err := s.cacheFolder()
		if err != nil {
			return err
		}
		path, _ := s.options.LookupEnv("PATH")
		binary, err = temporalSearch{path: path, temp: os.TempDir(), cache: cache, log: s.logf}.find(ctx)
		if err != nil {
			return err
		}
	}
	server := &temporalServer{
		binary: binary, logFile: filepath.Join(s.options.Dir, "temporal.log"), withoutUI: s.options.WithoutUI,
		searchAttributes: !s.options.WithoutSearchAttributes,
	}
	if !s.options.Ephemeral {
		server.database = filepath.Join(s.options.Dir, "temporal.db")
	}
	// What tells a server that a killed stack left from another program of the same process id.
	mark := server.database
	if mark == "" {
		mark = "--port " + strconv.Itoa(s.state.TemporalPort)
	}
	if left := s.state.TemporalProcess; runs(left, "start-dev", mark) {
		if err := endLeftover(ctx, "Temporal", left, "start-dev", mark); err != nil {
			return err
		}
	}
	s.temporal = server
	for attempt := 1; ; attempt++ {
		if err := s.chooseTemporalPorts(server); err != nil {
			return err
		}
		err := s.launchTemporal(ctx)
		if err == nil {
			break
		}
		if attempt == startAttempts || server.process == nil || !server.process.portWasTaken() {
			return err
		}
	}
	s.TemporalAddress, s.HTTPAddress = address(server.port), address(server.httpPort)
	if !server.withoutUI {
		s.UIAddress = address(server.uiPort)
	}
	return nil
}

func (s *Stack) chooseTemporalPorts(server *temporalServer) (err error) {
	server.port, err = s.choose("Temporal", s.options.TemporalPort, usualTemporalPort, &s.state.TemporalPort)
	if err != nil {
		return err
	}
	server.httpPort, err = s.choose("Temporal's HTTP API", s.options.HTTPPort, usualHTTPPort, &s.state.HTTPPort)
	if err != nil || server.withoutUI {
		return err
	}
	server.uiPort, err = s.choose("Temporal's Web UI", s.options.UIPort, usualUIPort, &s.state.UIPort)
	return err
}

func (s *Stack) launchTemporal(ctx context.Context) error {
	if err := s.temporal.launch(); err != nil {
		return err
	}
	if err := s.rememberTemporal(s.temporal.process.pid()); err != nil {
		return errors.Join(err, s.temporal.kill())
	}
	if err := s.temporal.await(ctx); err != nil {
		return err
	}
	s.watch(s.temporal.process)
	return nil
}

func (s *Stack) rememberTemporal(pid int) error {
	s.stateLock.Lock()
	defer s.stateLock.Unlock()
	s.state.TemporalProcess = pid
	return s.state.write()
}

// StartTemporal starts Temporal again after KillTemporal, on the same ports and the same data (an ephemeral stack's is
// gone). It does nothing while Temporal runs.
func (s *Stack) StartTemporal(ctx context.Context) error {
	ctx, cancel, err := s.starting(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	s.temporalLock.Lock()
	defer s.temporalLock.Unlock()
	if s.temporal == nil {
		return errors.New("this local stack has no Temporal")
	}
	if s.temporal.process != nil && s.temporal.process.alive() {
		return nil
	}
	return s.launchTemporal(ctx)
}

// KillTemporal ends Temporal as a power cut would (SIGKILL). It does nothing when Temporal does not run.
func (s *Stack) KillTemporal() error {
	s.temporalLock.Lock()
	defer s.temporalLock.Unlock()
	if s.temporal == nil {
		return nil
	}
	return s.temporal.kill()
}

func (s *Stack) stopTemporal() error {
	s.temporalLock.Lock()
	defer s.temporalLock.Unlock()
	if s.temporal == nil {
		return nil
	}
	return errors.Join(s.temporal.stop(), s.rememberTemporal(0))
}
