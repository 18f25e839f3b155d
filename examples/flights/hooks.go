package main

import "github.com/perdure-io/perdure/definitions"

// Hooks run when a step has ended. What they log is in the run's lines: `perdure run logs RUN`.
var (
	announce  = definitions.OnSuccess(definitions.Do1(announceReport, definitions.TheSuccess))
	tellOwner = definitions.OnFailure(definitions.Do1(tellTeam, definitions.TheFailure))
)

func announceReport(ctx definitions.Context, s definitions.Success) error {
	ctx.Log().Info("there is a new report", "assets", s.Assets)
	return nil
}

func tellTeam(ctx definitions.Context, f definitions.Failure) error {
	ctx.Log().Error("telling team:network that a step has failed", "failed", f.Step, "error", f.Err)
	return nil
}
