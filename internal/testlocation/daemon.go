//go:build unix

package testlocation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/internal/daemon"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/worker"
)

// daemonVariable makes a program a daemon.
const daemonVariable = "PERDURETEST_DAEMON"

// StartDaemon starts a daemon of the instance as a process, which can be killed; see [Worker.AwaitServing].
func (i *Instance) StartDaemon(ctx context.Context) (*Worker, error) {
	name := "worker-" + strconv.FormatInt(i.workers.Add(1), 10)
	environment := slices.Concat(environ(), i.settings, []string{daemonVariable + "=1", folderVariable + "=" + i.folder})
	w, err := startWorker(ctx, filepath.Join(i.folder, name+".log"), environment, []string{"daemon"})
	if err != nil {
		return nil, fmt.Errorf("start a daemon: %w", err)
	}
	return w, nil
}

// watchInstance is a daemon until this process is told to stop.
func watchInstance() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	settings, err := config.Load(config.LoadOptions{Folder: os.Getenv(folderVariable), Environ: os.Environ()})
	if err != nil {
		return err
	}
	store, err := metadata.Open(ctx, string(settings.Postgres.DSN), metadata.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	temporal, err := worker.Dial(ctx, settings.Temporal, log)
	if err != nil {
		return err
	}
	defer temporal.Close()
	waker := starter.NewWaker(temporal, store, log)
	defer waker.Close()
	watch := &daemon.Daemon{
		Temporal: temporal, Store: store, Namespace: settings.Temporal.Namespace, Log: log,
		Starter: &starter.Starter{Temporal: temporal, Store: store, Deployment: settings.Deployment, Limits: plan.DefaultLimits()},
	}
	log.Info("serving")
	return watch.Run(ctx)
}
