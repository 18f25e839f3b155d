package metadata

import (
	"context"
	"fmt"
	"time"
)

// AlertMute keeps alerts from being told until a time: those that have all of Kind, Location, Job and Subject that are given, to Sink when
// that is given.
type AlertMute struct {
	ID       int64  `json:"mute_id"`
	Kind     string `json:"kind"`
	Location string `json:"location"`
	Job      string `json:"job"`
	// Subject is a run, schedule, sensor, backfill or sink.
	Subject string `json:"subject"`
	Sink    string `json:"sink"`
	// Who mutes, and Why, for people.
	Who       string    `json:"who"`
	Why       string    `json:"why"`
	CreatedAt time.Time `json:"created_at"`
	Until     time.Time `json:"until"`
	// EndedAt is when EndedBy ended it before its time; zero when nobody did.
	EndedAt time.Time `json:"ended_at,omitzero"`
	EndedBy string    `json:"ended_by,omitempty"`
}

// MuteAlerts begins a mute. Alerts that wait already are told still.
func (s *Store) MuteAlerts(ctx context.Context, mute AlertMute) (AlertMute, error) {
	return call[AlertMute](ctx, s, "mute alerts", "mute_alerts_v1", mute)
}

// UnmuteAlerts ends a mute before its time; ended is false when it was over. [ErrNotFound] says that there is none with this id.
func (s *Store) UnmuteAlerts(ctx context.Context, id int64, who string) (ended bool, err error) {
	operation := fmt.Sprintf("end mute %d", id)
	answer, err := call[struct {
		Found bool `json:"found"`
		Ended bool `json:"ended"`
	}](ctx, s, operation, "unmute_alerts_v1", struct {
		ID  int64  `json:"mute_id"`
		Who string `json:"who"`
	}{id, who})
	if err == nil && !answer.Found {
		err = fmt.Errorf("%s: %w", operation, ErrNotFound)
	}
	return answer.Ended, err
}

// AlertMutes lists the mutes that hold, or with all those that are over as well, the newest first, at most limit.
func (s *Store) AlertMutes(ctx context.Context, all bool, limit int) ([]AlertMute, error) {
	return rows[AlertMute](ctx, s, "list mutes of alerts", `
		select to_jsonb(m) from (
			select * from alert_mutes where $1 or ended_at is null and until > clock_v1() order by mute_id desc limit $2) m`,
		all, pageSize(limit))
}
