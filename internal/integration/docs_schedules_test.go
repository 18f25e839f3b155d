package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// schedulePage is the page whose commands need a schedule.
const schedulePage = "schedules.md"

func TestTheCommandsOfThePageAboutSchedules(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dsn, err := b.config.PostgresDSN()
	require.NoError(t, err)
	prices := definitions.Asset("prices", definitions.Bind0(func(definitions.Context) (int, error) { return 100, nil }),
		definitions.PartitionedBy(definitions.Daily("2001-01-01").InZone("America/New_York")))
	job := definitions.AssetJob("prices", definitions.Assets(prices))
	nightly := definitions.Schedule("nightly", job, definitions.Cron{Expr: "0 6 * * *", Zone: "America/New_York"}, definitions.AlsoAt("0 18 * * *"),
		definitions.Evaluate(definitions.Bind1(func(ctx definitions.Context, at time.Time) ([]definitions.RunRequest, error) {
			ctx.Log().Info("evaluating")
			return []definitions.RunRequest{job.Request(definitions.ForPartition(at.AddDate(0, 0, -1).Format(time.DateOnly)))}, nil
		}, definitions.ScheduledTime)))
	b.serve(t, definitions.New("shop", prices, job, nightly))
	id := metadata.TriggerID{Location: "shop", Kind: wire.TriggerSchedule, Name: "nightly"}
	require.Eventually(t, func() bool {
		row, err := b.store.Trigger(t.Context(), id)
		return err == nil && row.AppliedPaused != nil
	}, commandBound, 50*time.Millisecond)
	server, bin := testenv.Temporal(t), t.TempDir()
	require.NoError(t, os.Symlink(server.Binary, filepath.Join(bin, "temporal")))
	require.NoError(t, os.Symlink(buildProgram(t, repository+"/cmd/perdure"), filepath.Join(bin, "perdure")))
	environment := append(b.exampleEnvironment(dsn), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "TEMPORAL_ADDRESS="+server.Address)
	commands := 0
	for _, one := range blocksOf(t, filepath.Join(repository, "docs", schedulePage)) {
		for _, line := range commandsOf(one) {
			commands++
			result := run(t, environment, "sh", "-c", strings.ReplaceAll(line, httpAddress, server.HTTPAddress))
			require.Zero(t, result.code, "%s\n%s%s", line, result.out, result.err)
			require.NotContains(t, result.out, `"code":`, "%s: the HTTP API has refused it", line)
		}
	}
	require.GreaterOrEqual(t, commands, 14)
	// What the page has evaluated: two by hand, one by Temporal's, two a day of the three days filled in.
	require.Eventually(t, func() bool {
		page, err := b.store.Ticks(t.Context(), metadata.TickFilter{TriggerID: id, Statuses: []wire.TickStatus{wire.TickSuccess}}, "", 100)
		return err == nil && len(page.Rows) >= 2+1+6
	}, commandBound, 50*time.Millisecond)
	var preview wire.PreviewResult
	require.NoError(t, b.starter.Temporal.GetWorkflow(t.Context(), "preview-by-curl", "").Get(t.Context(), &preview))
	require.Len(t, preview.Runs, 1)
	require.Equal(t, "2001-02-08", preview.Runs[0].Request.Partition)
}
