package devstack

// TemporalBinary is the path of the temporal CLI that the stack runs, "" without Temporal: of the same version as the
// server, it is the one to speak to it with.
func (s *Stack) TemporalBinary() string {
	s.temporalLock.Lock()
	defer s.temporalLock.Unlock()
	if s.temporal == nil {
		return ""
	}
	return s.temporal.binary
}
