package starter

import (
	"encoding/json"

	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// PriorityOf is how Temporal ranks the tasks of a run: by its priority, and among those that have the same one fairly between
// backfills, schedules and sensors, however many runs each of them has. The steps inherit it from the workflow, but for a
// priority of their own. Servers that know no fairness keys ignore them.
func PriorityOf(deployment, location string, request wire.RunRequest) temporal.Priority {
	ranked := temporal.Priority{PriorityKey: int(request.Priority)}
	switch trigger := request.Trigger; {
	case request.Backfill != "":
		ranked.FairnessKey = backfillKey(deployment, request.Backfill)
	case trigger != nil:
		ranked.FairnessKey = wire.FairnessKey(deployment, string(trigger.Kind), location, trigger.Name)
	}
	return ranked
}

func backfillKey(deployment, backfill string) string {
	return wire.FairnessKey(deployment, "backfill", backfill)
}

// retryPriority is the same of the run that follows a failed one: it still belongs to what that one belonged to.
func (s *Starter) retryPriority(failed metadata.Run) temporal.Priority {
	asked := wire.RunRequest{Priority: failed.Priority, Backfill: failed.Backfill}
	var request wire.RunRequest
	if json.Unmarshal(failed.Request, &request) == nil {
		asked.Trigger = request.Trigger
	}
	return PriorityOf(s.Deployment, failed.Location, asked)
}
