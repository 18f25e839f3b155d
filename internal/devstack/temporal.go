package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	// temporalStartBound is generous for a machine that compiles beside it.
	temporalStartBound = 90 * time.Second
	// temporalStopPatience is how long Temporal may take to end in order before it is killed.
	temporalStopPatience = 10 * time.Second
	// bindBound is how long Temporal may take to find that its port is taken; one that runs longer listens, whatever it
	// prints.
	bindBound = 15 * time.Second
	// attemptBound is how long one question whether a server answers may take.
	attemptBound = 3 * time.Second
	// Retention is how long Temporal keeps the history of an ended run.
	Retention = 7 * 24 * time.Hour
	// Namespace is the namespace of the local stack.
	Namespace = "default"
)

// dynamicConfig is what the local stack sets on Temporal's dev server.
var dynamicConfig = []string{
	// The defaults of 20 polls a second make a chain of short steps several times slower.
	"history.transferProcessorMaxPollRPS=2000",
	"history.timerProcessorMaxPollRPS=2000",
	// Until it is told how far a queue was worked off, the server looks through all tasks that were done since, for each new one. The
	// default is half a minute: hundreds of runs later, that took a fifth of its time.
	`history.transferProcessorUpdateAckInterval="1s"`,
	`history.timerProcessorUpdateAckInterval="1s"`,
	`history.visibilityProcessorUpdateAckInterval="1s"`,
	// The dev server would read the list of search attributes from its database whenever one is used. A new one may take a minute.
	"system.forceSearchAttributesCacheRefreshOnRead=false",
	// With several partitions a few tasks in a hundred wait 2 s in one that nobody polls at that moment.
	"matching.numTaskqueueReadPartitions=1",
	"matching.numTaskqueueWritePartitions=1",
	"system.enableActivityEagerExecution=true",
	// Tasks that wait are handed out by priority, and fairly between backfills: servers before 1.32 do neither by default.
	"matching.enableFairness=true",
	// A local stack asks nobody whether there is a newer version.
	"frontend.enableServerVersionCheck=false",
}

// searchAttributes are Perdure's search attributes, all optional to it.
var searchAttributes = []string{
	"PerdureJob=Keyword", "PerdurePartition=Keyword", "PerdureBackfill=Keyword", "PerdureStatus=Keyword",
	"PerdureCause=Keyword", "PerdureAssets=KeywordList",
}

// temporalServer is the Temporal dev server of a stack.
type temporalServer struct {
	binary           string
	database         string // SQLite file; "" keeps everything in memory
	logFile          string
	withoutUI        bool
	searchAttributes bool
	port             int
	httpPort         int
	uiPort           int
	process          *process // nil when it does not run
}

func (s *temporalServer) arguments() []string {
	arguments := []string{
		"server", "start-dev", "--ip", host, "--port", strconv.Itoa(s.port), "--http-port", strconv.Itoa(s.httpPort),
		"--namespace", Namespace, "--log-level", "error",
	}
	if s.withoutUI {
		arguments = append(arguments, "--headless")
	} else {
		arguments = append(arguments, "--ui-port", strconv.Itoa(s.uiPort))
	}
	if s.database != "" {
		arguments = append(arguments, "--db-filename", s.database)
	}
	for _, setting := range dynamicConfig {
		arguments = append(arguments, "--dynamic-config-value", setting)
	}
	if s.searchAttributes {
		for _, attribute := range searchAttributes {
			arguments = append(arguments, "--search-attribute", attribute)
		}
	}
	return arguments
}

// launch starts the process; await waits until it answers.
func (s *temporalServer) launch() error {
	command := exec.Command(s.binary, s.arguments()...)
	// A person's Temporal profile points elsewhere.
	command.Env = environWithout("TEMPORAL_")
	command.Dir = filepath.Dir(s.logFile)
	started, err := startProcess("Temporal", command, s.logFile, temporalDeathSignal)
	if err != nil {
		return err
	}
	s.process = started
	return nil
}

func (s *temporalServer) await(ctx context.Context) error {
	ready := func(ctx context.Context) error {
		if err := s.answers(ctx); err != nil {
			return err
		}
		return s.listens()
	}
	if err := s.process.awaitReady(ctx, temporalStartBound, ready); err != nil {
		return errors.Join(err, s.process.kill())
	}
	return nil
}

// answers fails until Temporal serves the namespace with our retention over gRPC and, where it is on, the Web UI.
func (s *temporalServer) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attemptBound)
	defer cancel()
	ports := []int{s.port, s.httpPort}
	if !s.withoutUI {
		ports = append(ports, s.uiPort)
	}
	for _, number := range ports {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address(number))
		if err != nil {
			return err
		}
		_ = connection.Close()
	}
	connected, err := client.DialContext(ctx, client.Options{
		HostPort: address(s.port), Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		return err
	}
	defer connected.Close()
	return keepRetention(ctx, connected.WorkflowService())
}

// listens fails while it may be another server that answers: one that took the port between our look and our bind, with
// whose end everything on it would be lost. Ours prints its addresses once it listens, and ends when it cannot.
func (s *temporalServer) listens() error {
	if strings.Contains(s.process.logged(), "Server:") || time.Since(s.process.started) > bindBound {
		return nil
	}
	return errors.New("it does not say yet that it listens")
}

// keepRetention sets the namespace's retention: the dev server creates it with one day and has no setting for it.
func keepRetention(ctx context.Context, service workflowservice.WorkflowServiceClient) error {
	described, err := service.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: Namespace})
	if err != nil {
		return fmt.Errorf("describe namespace %s: %w", Namespace, err)
	}
	if described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration() == Retention {
		return nil
	}
	_, err = service.UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
		Namespace: Namespace,
		Config:    &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(Retention)},
	})
	if err != nil {
		return fmt.Errorf("set the retention of namespace %s: %w", Namespace, err)
	}
	return nil
}

func (s *temporalServer) stop() error {
	if s.process == nil {
		return nil
	}
	err := s.process.terminate(func() error { return askToStop(s.process) }, temporalStopPatience)
	s.process = nil
	return err
}

func (s *temporalServer) kill() error {
	if s.process == nil {
		return nil
	}
	err := s.process.kill()
	s.process = nil
	return err
}
