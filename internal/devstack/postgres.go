package devstack

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"
)

const (
	// postgresName is the user and the database of the private server.
	postgresName = "perdure"
	// postgresStartBound covers the recovery after a SIGKILL.
	postgresStartBound = 60 * time.Second
	// postgresStopPatience is how long a fast shutdown may take before it becomes a SIGKILL.
	postgresStopPatience = 20 * time.Second
	// maxConnections is the private server's max_connections.
	maxConnections = 300
)

// postgresServer is the private PostgreSQL of a stack.
type postgresServer struct {
	binaries postgresBinaries
	account  *account
	root     string // holds the data folder; the account may write here
	logFile  string
	password string
	port     int
	process  *process // nil when it does not run
}

func (s *postgresServer) data() string { return filepath.Join(s.root, "data") }

func (s *postgresServer) dsn(database string) string {
	dsn := url.URL{
		Scheme: "postgres", User: url.UserPassword(postgresName, s.password), Host: address(s.port), Path: "/" + database,
		RawQuery: url.Values{"sslmode": {"disable"}, "binary_parameters": {"yes"}}.Encode(),
	}
	return dsn.String()
}

// initialize makes the data folder when there is none. It appears whole or not at all.
func (s *postgresServer) initialize(ctx context.Context, passwordFile string) error {
	password, err := os.ReadFile(passwordFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read PostgreSQL's password: %w", err)
	}
	s.password = strings.TrimSpace(string(password))
	if _, err := os.Stat(filepath.Join(s.data(), "PG_VERSION")); err == nil {
		if s.password == "" {
			return fmt.Errorf("%s, the password of the data in %s, is missing: restore it, or delete both to begin anew",
				passwordFile, s.root)
		}
		return nil
	}
	if s.password == "" {
		s.password = rand.Text()
		if err := writeWhole(passwordFile, []byte(s.password+"\n")); err != nil {
			return fmt.Errorf("write PostgreSQL's password: %w", err)
		}
	}
	fresh := s.data() + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("remove a half-made data folder: %w", err)
	}
	if err := s.runInitdb(ctx, fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, s.data()); err != nil {
		return fmt.Errorf("put PostgreSQL's data folder in its place: %w", err)
	}
	return nil
}

func (s *postgresServer) runInitdb(ctx context.Context, data string) error {
	// The account must read the password, so it gets a copy of its own for a moment.
	copied := filepath.Join(s.root, "password")
	defer func() { _ = os.Remove(copied) }()
	if err := os.WriteFile(copied, []byte(s.password+"\n"), 0o600); err != nil {
		return fmt.Errorf("hand PostgreSQL its password: %w", err)
	}
	if err := s.account.own(copied); err != nil {
		return fmt.Errorf("hand PostgreSQL its password: %w", err)
	}
	initdb := exec.CommandContext(ctx, s.binaries.path("initdb"), "-D", data, "-U", postgresName, "--pwfile", copied,
		"-A", "scram-sha-256", "-E", "UTF8", "--locale=C")
	s.prepare(initdb)
	if output, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("make PostgreSQL's data folder with %s: %w\n%s", initdb.Path, err, strings.TrimSpace(string(output)))
	}
	return nil
}

func (s *postgresServer) prepare(cmd *exec.Cmd) {
	cmd.Dir = s.root
	cmd.Env = append(environWithout("PG", "LC_", "LANG"), "LC_ALL=C")
	s.account.runAs(cmd)
}

// start runs the server on its port until it answers. After a SIGKILL the old server's children may still be on their
// way out, holding the shared memory: then it is tried again until the bound.
func (s *postgresServer) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, postgresStartBound)
	defer cancel()
	for {
		err := s.startOnce(ctx)
		if err == nil {
			return nil
		}
		if s.process == nil || s.process.alive() || !strings.Contains(s.process.logged(), "shared memory block") {
			if s.process != nil {
				err = errors.Join(err, s.process.kill())
			}
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pollInterval):
		}
	}
}

func (s *postgresServer) startOnce(ctx context.Context) error {
	server := exec.Command(s.binaries.path("postgres"), "-D", s.data(),
		"-c", "listen_addresses="+host, "-c", "port="+strconv.Itoa(s.port),
		// Loopback only: the usual socket folder is rarely ours to write to, and a socket's path has a short limit.
		"-c", "unix_socket_directories=",
		"-c", "max_connections="+strconv.Itoa(maxConnections),
		// What a stack promises to keep is kept: the tests of lost work rely on it.
		"-c", "fsync=on", "-c", "logging_collector=off")
	s.prepare(server)
	started, err := startProcess("PostgreSQL", server, s.logFile, postgresDeathSignal)
	if err != nil {
		return err
	}
	s.process = started
	return started.awaitReady(ctx, postgresStartBound, s.ensureDatabase)
}

// ensureDatabase fails until the server answers, and makes our database in a new one.
func (s *postgresServer) ensureDatabase(ctx context.Context) error {
	err := ping(ctx, s.dsn(postgresName))
	if failure := (*pq.Error)(nil); !errors.As(err, &failure) || failure.Code.Name() != "invalid_catalog_name" {
		return err
	}
	db, err := sql.Open("postgres", s.dsn("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+pq.QuoteIdentifier(postgresName)); err != nil {
		return fmt.Errorf("create database %s: %w", postgresName, err)
	}
	return nil
}

// ping asks whether a server answers. lib/pq heeds a context only once it is connected, and whoever holds the port may
// accept and say nothing: the driver's own bound covers that.
func ping(ctx context.Context, dsn string) error {
	settings, err := pq.NewConfig(dsn)
	if err != nil {
		return err
	}
	settings.ConnectTimeout = attemptBound
	connector, err := pq.NewConnectorConfig(settings)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	return db.PingContext(ctx)
}

func (s *postgresServer) stop() error {
	if s.process == nil {
		return nil
	}
	err := s.process.terminate(func() error { return askPostgresToStop(s.process, s.binaries, s.data()) }, postgresStopPatience)
	s.process = nil
	return err
}

func (s *postgresServer) kill() error {
	if s.process == nil {
		return nil
	}
	err := s.process.kill()
	s.process = nil
	return err
}

// stopLeftover stops a server that a killed stack left on our data.
func (s *postgresServer) stopLeftover(ctx context.Context) error {
	path := filepath.Join(s.data(), "postmaster.pid")
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for a PostgreSQL left behind: %w", err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	// Half-written by a crash, it names no process, and goes.
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err == nil && runs(pid, "postgres", s.data()) {
		return endLeftover(ctx, "PostgreSQL", pid, "postgres", s.data())
	}
	// The number is free or belongs to another program by now, which would make the server refuse to start.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a dead PostgreSQL's process id: %w", err)
	}
	return nil
}
