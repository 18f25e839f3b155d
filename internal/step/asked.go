package step

import (
	"errors"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// RetryError is an error of the user's function that asks for another attempt.
type RetryError struct {
	Cause error
	// Delay is until then, in place of the policy's.
	Delay time.Duration
	// Max is how many retries the step has, in place of the policy's; 0 leaves the policy's, or one where there is none.
	Max int
}

func (e *RetryError) Error() string { return e.Cause.Error() }
func (e *RetryError) Unwrap() error { return e.Cause }

// FinalError is an error of the user's function that forbids another attempt.
type FinalError struct{ Cause error }

func (e *FinalError) Error() string { return e.Cause.Error() }
func (e *FinalError) Unwrap() error { return e.Cause }

// DescribedError is an error of the user's function that carries metadata, which is recorded with it.
type DescribedError struct {
	Cause    error
	Metadata []wire.Metadatum
}

func (e *DescribedError) Error() string { return e.Cause.Error() }
func (e *DescribedError) Unwrap() error { return e.Cause }

// defaultRetries is how often an error that asks for it is tried again where no policy says.
const defaultRetries = 1

// decide says whether a failure is final, and else when it is tried again: as the outermost error says that asks for
// something, then as the policy does.
func (e *execution) decide(cause error) (final bool, delay time.Duration) {
	policy := e.attempt.Plan.Retries
	switch asked := askedFor(cause).(type) { //nolint:errorlint // askedFor gives one of the two itself
	case *FinalError:
		return true, 0
	case *RetryError:
		limit := defaultRetries
		if policy != nil {
			limit = policy.Max
		}
		if asked.Max > 0 {
			limit = asked.Max
		}
		if e.attempt.Number > limit {
			return true, 0
		}
		return false, asked.Delay
	}
	if policy == nil || e.attempt.Number > policy.Max {
		return true, 0
	}
	return false, retryDelay(*policy, e.attempt.Number, e.runner.Random)
}

// askedFor is the outermost [FinalError] or [RetryError]; nil when there is none.
func askedFor(err error) (asked error) {
	eachError(err, func(one error) bool {
		switch one.(type) { //nolint:errorlint // eachError visits what is wrapped
		case *FinalError, *RetryError:
			asked = one
			return false
		}
		return true
	})
	return asked
}

// metadataOf is what the errors in err carry; what an outer one says under a label holds.
func metadataOf(err error) []wire.Metadatum {
	var found []wire.Metadatum
	eachError(err, func(one error) bool {
		if described, ok := one.(*DescribedError); ok { //nolint:errorlint // eachError visits what is wrapped
			found = append(append([]wire.Metadatum{}, described.Metadata...), found...)
		}
		return true
	})
	if found == nil {
		return nil
	}
	return lastOfEachLabel(found)
}

// eachError visits an error and all that it wraps, outer ones first, until visit says that it is enough.
func eachError(err error, visit func(error) bool) bool {
	if err == nil {
		return true
	}
	if !visit(err) {
		return false
	}
	switch wrapper := err.(type) { //nolint:errorlint // this is what walks the chain
	case interface{ Unwrap() error }:
		return eachError(wrapper.Unwrap(), visit)
	case interface{ Unwrap() []error }:
		for _, one := range wrapper.Unwrap() {
			if !eachError(one, visit) {
				return false
			}
		}
	}
	return true
}

// isOutage says whether an error is a store's or the ledger's that cannot be reached, and nobody decided otherwise.
func isOutage(err error) bool { return errors.Is(err, ErrUnavailable) && askedFor(err) == nil }
