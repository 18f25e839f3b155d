package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/perdure-io/perdure/definitions"
)

// Sensors that nobody signals: they read what has happened in the event log, each from its own position, whoever made it happen.
var (
	// NewDays is told of each day of joined flights, and has the day's distances made. What is gathered within five seconds is one tick.
	Distances = definitions.AssetJob("distances", definitions.Assets(DistanceDelays), definitions.Description("Makes days by distances."))
	NewDays   = definitions.AssetSensor("new_days", []definitions.AnyAsset{JoinedFlights}, []*definitions.Job{Distances},
		definitions.Bind1(newDays, definitions.NewMaterializations), definitions.MinInterval(5*time.Second),
		definitions.Owners{"team:network"}, definitions.Description("Makes the distances of a day when its flights were made."))

	// Failures is told of each run of this location that has failed, after its retries.
	Failures = definitions.RunFailureSensor("failures", definitions.Do1(tellOfFailure, definitions.TheRun), definitions.DefaultRunning{},
		definitions.Owners{"team:network"}, definitions.Description("Tells the team what has failed, and where to look."))
)

// newDays asks for a run for each materialization, which is the run key: a day that is made again has its distances made again.
func newDays(_ definitions.Context, made []definitions.Materialization) (definitions.Tick[definitions.Nothing], error) {
	var tick definitions.Tick[definitions.Nothing]
	for _, m := range made {
		tick.Runs = append(tick.Runs, Distances.Request(definitions.RunKey(fmt.Sprintf("%s at %d", m.Partition, m.Position)),
			definitions.ForPartitions(m.Partition+"|short", m.Partition+"|medium", m.Partition+"|long"), definitions.Title("distances of "+m.Partition)))
	}
	return tick, nil
}

// tellOfFailure writes to the tick's log: perdure sensor ticks failures --log. A team would rather be mailed; for that there are alerts.
func tellOfFailure(ctx definitions.Context, run definitions.MonitoredRun) error {
	var failed []string
	for _, f := range run.Failures {
		failed = append(failed, f.Step+": "+f.Message)
	}
	ctx.Log().Error("telling team:network that a run has failed", "run", run.ID, "job", run.Job, "partition", run.Partition,
		"failed", strings.Join(failed, "; "), "reason", run.Reason, "url", run.URL)
	return nil
}
