package devstack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/lib/pq"
)

// sharedFolder is the default of Options.shared.
const sharedFolder = "/var/lib/perdure"

// removeAttempts is how often the deletion of a folder is tried, a pollInterval apart.
const removeAttempts = 40

// firstPostgres connects to the server that the environment names, or finds PostgreSQL's programs, stops what a killed
// stack left, makes the data folder and starts the private server on a free port.
func (s *Stack) firstPostgres(ctx context.Context) error {
	if dsn, ok := s.options.LookupEnv("PERDURE_POSTGRES_DSN"); ok && dsn != "" {
		const fix = "mend the variable, or unset it for a private server"
		// The parser's message is kept back: it quotes what it could not read, and that may be the password.
		if _, err := pq.NewConfig(dsn); err != nil {
			return errors.New("PERDURE_POSTGRES_DSN is neither a URL, postgres://user:password@host:5432/database, nor a " +
				"key=value string; " + fix)
		}
		pingCtx, cancel := context.WithTimeout(ctx, attemptBound)
		defer cancel()
		if err := ping(pingCtx, dsn); err != nil {
			return fmt.Errorf("the PostgreSQL that PERDURE_POSTGRES_DSN names does not answer: %w; %s", err, fix)
		}
		s.PostgresDSN = dsn
		return nil
	}
	s.postgresLock.Lock()
	defer s.postgresLock.Unlock()
	account, err := unprivilegedAccount()
	if err != nil {
		return err
	}
	server := &postgresServer{account: account, logFile: filepath.Join(s.options.Dir, "postgres.log")}
	if err := s.placePostgres(server); err != nil {
		return err
	}
	cache, err := s.cacheFolder()
	if err != nil {
		return err
	}
	if !account.reaches(filepath.Join(cache, "programs")) {
		cache = s.options.shared
	}
	path, _ := s.options.LookupEnv("PATH")
	server.binaries, err = findPostgres(ctx, path, cache, server.data(), s.logf)
	if err != nil {
		return err
	}
	if err := server.stopLeftover(ctx); err != nil {
		return err
	}
	if err := server.initialize(ctx, s.passwordFile()); err != nil {
		return err
	}
	s.postgres = server
	for attempt := 1; ; attempt++ {
		server.port, err = s.choose("PostgreSQL", s.options.PostgresPort, usualPostgresPort, &s.state.PostgresPort)
		if err != nil {
			return err
		}
		err := server.start(ctx)
		if err == nil {
			break
		}
		if attempt == startAttempts || server.process == nil || !server.process.portWasTaken() {
			return err
		}
	}
	s.watch(server.process)
	s.PostgresDSN = server.dsn(postgresName)
	return nil
}

// placePostgres makes the folder for the data: below Dir, or, when the account that PostgreSQL needs cannot reach that
// (a repository in root's home), in a place of its own for this Dir.
func (s *Stack) placePostgres(server *postgresServer) error {
	server.root = filepath.Join(s.options.Dir, "postgres")
	if !server.account.reaches(server.root) {
		base := s.options.shared
		if s.options.Ephemeral {
			base = os.TempDir()
		} else if err := os.MkdirAll(base, 0o755); err != nil || !server.account.reaches(filepath.Join(base, "stack")) {
			base = os.TempDir()
		}
		sum := sha256.Sum256([]byte(s.options.Dir))
		prefix := filepath.Join(base, "stack-"+hex.EncodeToString(sum[:8])+"-")
		server.root = prefix + s.state.ID
		// Dir was deleted and made anew since: nothing can reach the data of the old one again.
		orphans, err := filepath.Glob(prefix + "*")
		if err != nil {
			return fmt.Errorf("look for old data folders: %w", err)
		}
		for _, orphan := range orphans {
			if orphan == server.root {
				continue
			}
			if err := os.RemoveAll(orphan); err != nil {
				return fmt.Errorf("remove the data of a deleted %s: %w", s.options.Dir, err)
			}
		}
	}
	s.postgresFolder = server.root
	err := os.MkdirAll(server.root, 0o700)
	if err == nil {
		err = server.account.own(server.root)
	}
	if err != nil {
		return fmt.Errorf("make PostgreSQL's folder: %w", err)
	}
	return nil
}

// discardPostgres deletes the data of an ephemeral stack.
func (s *Stack) discardPostgres() error {
	s.postgresLock.Lock()
	defer s.postgresLock.Unlock()
	if !s.options.Ephemeral || s.postgresFolder == "" {
		return nil
	}
	if err := errors.Join(removeFolder(s.postgresFolder), os.RemoveAll(s.passwordFile())); err != nil {
		return fmt.Errorf("delete the data of an ephemeral stack: %w", err)
	}
	return nil
}

// removeFolder is patient with the children of a killed server, which write for a moment longer.
func removeFolder(folder string) error {
	var err error
	for range removeAttempts {
		if err = os.RemoveAll(folder); err == nil {
			return nil
		}
		<-time.After(pollInterval)
	}
	return err
}

func (s *Stack) passwordFile() string { return filepath.Join(s.options.Dir, "postgres.password") }

// StartPostgres starts PostgreSQL again after KillPostgres or StopPostgres, on the same port and data. It does nothing
// while the server runs, and fails for a server that is not the stack's own.
func (s *Stack) StartPostgres(ctx context.Context) error {
	ctx, cancel, err := s.starting(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	s.postgresLock.Lock()
	defer s.postgresLock.Unlock()
	if s.postgres == nil {
		return errors.New("this local stack has no PostgreSQL of its own")
	}
	if s.postgres.process != nil && s.postgres.process.alive() {
		return nil
	}
	if err := s.postgres.start(ctx); err != nil {
		return err
	}
	s.watch(s.postgres.process)
	return nil
}

// KillPostgres ends PostgreSQL as a power cut would (SIGKILL). It does nothing when the server does not run or is not
// the stack's own.
func (s *Stack) KillPostgres() error {
	s.postgresLock.Lock()
	defer s.postgresLock.Unlock()
	if s.postgres == nil {
		return nil
	}
	return s.postgres.kill()
}

// StopPostgres ends PostgreSQL in order, without waiting for its clients. It does nothing when the server does not run
// or is not the stack's own.
func (s *Stack) StopPostgres() error {
	s.postgresLock.Lock()
	defer s.postgresLock.Unlock()
	if s.postgres == nil {
		return nil
	}
	return s.postgres.stop()
}
