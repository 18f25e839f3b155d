//go:build unix

package testlocation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/storage/blob"
	"github.com/perdure-io/perdure/worker"
)

// Instance is an instance of Perdure for test locations: servers that are there already, and a folder for the rest.
type Instance struct {
	Controls
	Config   config.Config
	Temporal client.Client
	Store    *metadata.Store
	Starter  *starter.Starter
	Storage  *blob.Storage

	dsn      string
	settings []string
	workers  atomic.Int64
	waker    *starter.Waker
}

// Open migrates the database and connects. settings are more of PERDURE_*: "PERDURE_RUN_DEPLOY_GRACE=5s".
func Open(ctx context.Context, folder, dsn, temporalAddress string, settings ...string) (_ *Instance, err error) {
	controls, err := NewControls(folder)
	if err != nil {
		return nil, err
	}
	storage := (&url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(folder, "storage"))}).String()
	i := &Instance{Controls: controls, dsn: dsn, settings: slices.Concat([]string{
		"PERDURE_POSTGRES_DSN=" + dsn, "PERDURE_TEMPORAL_ADDRESS=" + temporalAddress, "PERDURE_STORAGE_URL=" + storage,
	}, settings)}
	defer func() {
		if err != nil {
			err = errors.Join(err, i.Close())
		}
	}()
	if i.Config, err = config.Load(config.LoadOptions{Folder: folder, Environ: i.settings}); err != nil {
		return nil, err
	}
	if _, err = metadata.Migrate(ctx, dsn); err != nil {
		return nil, err
	}
	if i.Store, err = metadata.Open(ctx, dsn, metadata.Options{}); err != nil {
		return nil, err
	}
	if i.Temporal, err = worker.Dial(ctx, i.Config.Temporal, slog.New(slog.DiscardHandler)); err != nil {
		return nil, err
	}
	if i.Storage, err = blob.Open(ctx, storage); err != nil {
		return nil, err
	}
	i.waker = starter.NewWaker(i.Temporal, i.Store, slog.New(slog.DiscardHandler))
	i.Starter = &starter.Starter{Temporal: i.Temporal, Store: i.Store, Deployment: i.Config.Deployment, Limits: plan.DefaultLimits()}
	return i, nil
}

// Close lets go of the servers. Workers are ended by whoever started them.
func (i *Instance) Close() error {
	var problems []error
	if i.Storage != nil {
		problems = append(problems, i.Storage.Close())
	}
	if i.waker != nil {
		i.waker.Close()
	}
	if i.Store != nil {
		problems = append(problems, i.Store.Close())
	}
	if i.Temporal != nil {
		i.Temporal.Close()
	}
	return errors.Join(problems...)
}

// StartWorker starts a worker of the location, under a build id; see [Worker.AwaitServing]. settings are as in Open.
func (i *Instance) StartWorker(ctx context.Context, spec Spec, build string, settings ...string) (*Worker, error) {
	name := "worker-" + strconv.FormatInt(i.workers.Add(1), 10)
	path, err := spec.write(i.folder, name+".json")
	if err != nil {
		return nil, err
	}
	environment := slices.Concat(environ(), i.settings, []string{
		specVariable + "=" + path, folderVariable + "=" + i.folder, "PERDURE_WORKER_BUILD=" + build,
	}, settings)
	w, err := startWorker(ctx, filepath.Join(i.folder, name+".log"), environment, []string{"serve"})
	if err != nil {
		return nil, fmt.Errorf("location %q: %w", spec.Location, err)
	}
	return w, nil
}

// Logs are what all workers have written.
func (i *Instance) Logs() string {
	var logs strings.Builder
	for n := int64(1); n <= i.workers.Load(); n++ {
		name := "worker-" + strconv.FormatInt(n, 10) + ".log"
		content, err := os.ReadFile(filepath.Join(i.folder, name))
		if err != nil {
			content = []byte(err.Error())
		}
		fmt.Fprintf(&logs, "%s:\n%s\n", name, content)
	}
	return logs.String()
}
