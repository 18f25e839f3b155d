package workflows

// places are how many more steps may begin what is bounded more closely than steps in general.
type places struct {
	// local are local activities, begins claims of remote steps, whose answers one workflow task passes on.
	local, begins int
	// ends are the bytes of remote results that may yet be passed on in one workflow task; one may always.
	ends int
	// localWaits is set when a local step found no place.
	localWaits bool
}

const (
	// maxBegins is how many remote steps are claimed at once: each answer is up to wire.MaxRemoteInput.
	maxBegins = 10
	// maxEnds bounds the remote results that are recorded at once, in bytes.
	maxEnds = 512 << 10
)

func (r *run) places() places {
	free := places{local: localWindow, begins: maxBegins, ends: maxEnds}
	for _, p := range r.pending {
		switch {
		case p.local:
			free.local--
		case p.remote == nil:
		case p.remote.phase == remoteBeginning:
			free.begins--
		case p.remote.phase == remoteEnding:
			free.ends -= p.remote.outcomeSize()
		}
	}
	if r.local.checkpoint != nil {
		free.local = 0
	}
	return free
}
