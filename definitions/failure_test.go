package definitions_test

import (
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/wire"
)

// failsWith counts its calls, and always returns err.
func failsWith(calls *atomic.Int32, err error) d.Compute[int] {
	return d.Bind0(func(d.Context) (int, error) {
		calls.Add(1)
		return 0, err
	})
}

func TestRetriesOfAStepGoBeforeThoseOfItsJob(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		own   []d.OpOption
		asset []d.AssetOption
		job   []d.JobOption
		want  int32
	}{
		"none, as the default is": {want: 1},
		"the job's":               {job: []d.JobOption{d.Retries{Max: 2}}, want: 3},
		"its own":                 {own: []d.OpOption{d.Retries{Max: 1}}, asset: []d.AssetOption{d.Retries{Max: 1}}, want: 2},
		"its own before the job's": {
			own: []d.OpOption{d.Retries{Max: 1}}, asset: []d.AssetOption{d.Retries{Max: 1}}, job: []d.JobOption{d.Retries{Max: 5}}, want: 2,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ofOp, ofAsset, mapped atomic.Int32
			op := d.Op("op", failsWith(&ofOp, fs.ErrInvalid), test.own...)
			each := d.Map(fanOf("fan", "a"), func(n *d.Value[int]) *d.Value[int] {
				return d.Op("each", d.Bind1(func(d.Context, int) (int, error) { mapped.Add(1); return 0, fs.ErrInvalid }, n), test.own...)
			})
			asset := d.Asset("asset", failsWith(&ofAsset, fs.ErrInvalid), test.asset...)
			ops := d.OpJob("ops", []d.AnyValue{op, each}, test.job...)
			assets := d.AssetJob("assets", d.Assets(asset), test.job...)
			location := d.New("x", asset, ops, assets)
			require.ErrorIs(t, d.RunJob(t.Context(), location, ops, d.RetryAtOnce{}).Err(), fs.ErrInvalid)
			require.ErrorIs(t, d.RunJob(t.Context(), location, assets, d.RetryAtOnce{}).Err(), fs.ErrInvalid)
			require.Equal(t, test.want, ofOp.Load())
			require.Equal(t, test.want, mapped.Load())
			require.Equal(t, test.want, ofAsset.Load())
		})
	}
}

func TestErrorsDecideAboutTheirRetry(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err     error
		retries []d.AssetOption
		calls   int32
		waited  time.Duration
	}{
		"a time, in place of the policy's":   {d.RetryAfter(fs.ErrExist, time.Hour), []d.AssetOption{d.Retries{Max: 2, Delay: time.Second}}, 3, 2 * time.Hour},
		"a time, without a policy once":      {d.RetryAfter(fs.ErrExist, time.Hour), nil, 2, time.Hour},
		"its own maximum":                    {d.RetryAfter(fs.ErrExist, time.Minute, d.AtMost(3)), []d.AssetOption{d.Retries{Max: 1}}, 4, 3 * time.Minute},
		"at once":                            {d.RetryAfter(fs.ErrExist, -time.Hour), nil, 2, 0},
		"no retry, whatever the policy":      {d.NoRetry(fs.ErrExist), []d.AssetOption{d.Retries{Max: 9}}, 1, 0},
		"wrapped":                            {fmt.Errorf("read: %w", d.NoRetry(fmt.Errorf("file: %w", fs.ErrExist))), []d.AssetOption{d.Retries{Max: 9}}, 1, 0},
		"the outermost decides":              {d.RetryAfter(d.NoRetry(fs.ErrExist), time.Minute), nil, 2, time.Minute},
		"an error that says nothing: policy": {fs.ErrExist, []d.AssetOption{d.Retries{Max: 1, Delay: time.Minute}}, 2, time.Minute},
		"a store that is away, for good":     {d.NoRetry(errors.Join(fs.ErrExist, d.ErrUnavailable)), nil, 1, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int32
				started := time.Now()
				a := d.Asset("a", failsWith(&calls, test.err), test.retries...)
				err := d.Materialize(t.Context(), d.New("x", a)).Err()
				require.ErrorIs(t, err, fs.ErrExist, "what is inside is found")
				require.ErrorIs(t, err, test.err)
				require.Equal(t, test.calls, calls.Load())
				require.Equal(t, test.waited, time.Since(started))
			})
		})
	}
	require.NoError(t, d.RetryAfter(nil, time.Hour))
	require.NoError(t, d.NoRetry(nil))
	require.NoError(t, d.WithMetadata(nil, d.Int("row", 7)))
}

func TestErrorsCarryMetadata(t *testing.T) {
	t.Parallel()
	inner := d.WithMetadata(fs.ErrExist, d.Int("row", 7), d.Text("file", "a"))
	a := d.Asset("a", failsWith(new(atomic.Int32), d.WithMetadata(fmt.Errorf("load: %w", inner), d.Text("file", "b"))))
	b := constant("b")
	run := d.Materialize(t.Context(), d.New("x", a, b))
	require.ErrorContains(t, run.Err(), "load: file already exists")
	require.Equal(t, []string{"row=7", `file="b"`}, texts(run.FailureMetadata(a)), "the outer error's holds")
	require.Nil(t, run.FailureMetadata(b))
	require.ErrorContains(t, d.WithMetadata(fs.ErrExist, d.Metadatum{Label: "empty"}), `metadata "empty" has no value`)
}

func texts(metadata []d.Metadatum) []string {
	var all []string
	for _, m := range metadata {
		all = append(all, m.String())
	}
	return all
}

func TestTimeoutsHoldForFunctionsThatIgnoreThem(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		option interface {
			d.AssetOption
			d.OpOption
		}
		want string
	}{
		"timeout":       {d.Timeout(time.Minute), "took longer than its timeout of 1m0s"},
		"stall timeout": {d.StallTimeout(time.Minute), "reported no progress for its stall timeout of 1m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int32
				release := make(chan struct{})
				stuck := d.Bind0(func(d.Context) (int, error) { calls.Add(1); <-release; return 1, nil })
				op := d.Op("op", stuck, test.option, d.Retries{Max: 1})
				a := d.Asset("a", stuck, test.option, d.Retries{Max: 1})
				job := d.OpJob("job", []d.AnyValue{op})
				location := d.New("x", a, job)
				for _, run := range []*d.Result{d.RunJob(t.Context(), location, job), d.Materialize(t.Context(), location)} {
					require.ErrorContains(t, run.Err(), test.want)
					require.ErrorContains(t, run.Err(), "left behind")
				}
				require.Equal(t, int32(4), calls.Load(), "it is retried by policy")
				close(release)
			})
		})
	}
}

func TestProgressKeepsAStepFromStalling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := d.Asset("a", d.Bind0(func(ctx d.Context) (int, error) {
			for i := range 10 {
				<-time.After(59 * time.Second)
				ctx.Log().Info("still here")
				ctx.Progress(i+1, 10)
			}
			return 1, nil
		}), d.StallTimeout(time.Minute))
		require.NoError(t, d.Materialize(t.Context(), d.New("x", a)).Err())
	})
}

func TestRunTimeoutEndsAJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := d.Asset("slow", d.Bind0(func(ctx d.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }))
		next := d.Asset("next", d.Bind1(plusOne, slow))
		job := d.AssetJob("job", d.Assets(slow, next), d.RunTimeout(time.Hour))
		started := time.Now()
		run := d.RunJob(t.Context(), d.New("x", slow, next, job), job)
		require.ErrorContains(t, run.Err(), "it took longer than its run timeout of 1h0m0s")
		require.Equal(t, time.Hour, time.Since(started))
		require.Equal(t, wire.StepCanceled, run.Status(slow))
		require.Equal(t, wire.StepUpstreamFailed, run.Status(next))
	})
}
