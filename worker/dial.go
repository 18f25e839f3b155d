package worker

import (
	"context"
	"fmt"
	"log/slog"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/perdure-io/perdure/config"
)

// Dial connects to Temporal as config says, and checks that it answers and has the namespace.
func Dial(ctx context.Context, settings config.Temporal, logger *slog.Logger) (client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	security, err := settings.TLS.Config()
	if err != nil {
		return nil, err
	}
	options := client.Options{
		HostPort: settings.Address, Namespace: settings.Namespace, Logger: log.NewStructuredLogger(logger),
		ConnectionOptions: client.ConnectionOptions{TLS: security},
	}
	if settings.APIKey != "" {
		options.Credentials = client.NewAPIKeyStaticCredentials(settings.APIKey.Reveal())
	}
	temporal, err := client.DialContext(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("temporal at %s (temporal.address) cannot be reached: %w (is it running? `perdure dev` starts one)", settings.Address, err)
	}
	_, err = temporal.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: settings.Namespace})
	if err != nil {
		temporal.Close()
		return nil, fmt.Errorf("namespace %q (temporal.namespace) of Temporal at %s: %w", settings.Namespace, settings.Address, err)
	}
	return temporal, nil
}
