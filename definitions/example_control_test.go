package definitions_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/perdure-io/perdure/definitions"
)

// errBusy is what a service answers that wants to be left alone for a while.
var errBusy = errors.New("too many requests")

// A service says how long to wait: the step is tried again then, whatever its Retries say about the delay.
func ExampleRetryAfter() {
	quote := definitions.Asset("quote", definitions.Bind0(func(ctx definitions.Context) (int, error) {
		if ctx.Run().Attempt == 1 {
			return 0, definitions.RetryAfter(fmt.Errorf("ask for a quote: %w", errBusy), 30*time.Second)
		}
		return 42, nil
	}))
	run := definitions.Materialize(context.Background(), definitions.New("shop", quote), definitions.RetryAtOnce{})
	value, err := quote.In(run)
	fmt.Println(value, err)
	// Output: 42 <nil>
}

// Input that is wrong stays wrong: the step fails at once, and its failure says where to look.
func ExampleNoRetry() {
	orders := definitions.Asset("orders", definitions.Bind0(func(definitions.Context) (int, error) {
		return 0, definitions.NoRetry(definitions.WithMetadata(errors.New("the amount is negative"), definitions.Int("line", 7)))
	}), definitions.Retries{Max: 5, Delay: time.Minute})
	run := definitions.Materialize(context.Background(), definitions.New("shop", orders))
	fmt.Println(run.Err())
	fmt.Println(run.FailureMetadata(orders))
	// Output:
	// orders failed (attempt 1): the amount is negative
	// [line=7]
}

// A type says what Go's type does not. It checks what a step gives, or what a function takes.
func ExampleType() {
	shares := definitions.Type[[]float64]{
		Name: "shares", Description: "sums to 1",
		Check: func(shares []float64) error {
			sum := 0.0
			for _, share := range shares {
				sum += share
			}
			if sum != 1 {
				return fmt.Errorf("the sum is %g", sum)
			}
			return nil
		},
	}
	split := definitions.Asset("split", definitions.Bind0(func(definitions.Context) ([]float64, error) {
		return []float64{0.5, 0.25}, nil
	}), definitions.OfType(shares))
	run := definitions.Materialize(context.Background(), definitions.New("shop", split))
	fmt.Println(run.Err())
	// Output: split failed (attempt 1): output "split" is no shares (sums to 1): the sum is 0.75; the value is [0.5 0.25]
}

// A hook tells somebody that a step has failed, once no retry is left.
func ExampleOnFailure() {
	chat := definitions.Resource("chat", definitions.Bind0(func(definitions.Context) (func(string), error) {
		return func(text string) { fmt.Println("chat:", text) }, nil
	}), definitions.NoClose)
	tell := func(_ definitions.Context, f definitions.Failure, say func(string)) error {
		say(fmt.Sprintf("%s failed for good, attempt %d: %v", f.Step, f.Run.Attempt, f.Err))
		return nil
	}
	orders := definitions.Asset("orders", definitions.Bind0(func(definitions.Context) (int, error) { return 0, errBusy }),
		definitions.Retries{Max: 1}, definitions.OnFailure(definitions.Do2(tell, definitions.TheFailure, chat)))
	definitions.Materialize(context.Background(), definitions.New("shop", orders, chat))
	// Output: chat: orders failed for good, attempt 2: too many requests
}

// audit writes what steps log as lines of its own.
type audit struct{ slog.Handler }

func (audit) Enabled(context.Context, slog.Level) bool { return true }
func (a audit) WithAttrs([]slog.Attr) slog.Handler     { return a }
func (audit) Handle(_ context.Context, r slog.Record) error {
	fmt.Println("audit:", r.Message)
	return nil
}

// What the steps of a job log goes to handlers of the job, too.
func ExampleLogger() {
	auditing := definitions.Logger("audit", definitions.Bind0(func(definitions.Context) (audit, error) { return audit{}, nil }))
	orders := definitions.Asset("orders", definitions.Bind0(func(ctx definitions.Context) (int, error) {
		ctx.Log().Debug("7 orders")
		return 7, nil
	}))
	job := definitions.AssetJob("nightly", definitions.Assets(orders), definitions.Loggers(auditing))
	definitions.RunJob(context.Background(), definitions.New("shop", orders, job), job)
	// Output: audit: 7 orders
}

// A job says how its runs run: how many steps at once, how many of them on one database, and for how long.
func ExampleTagLimit() {
	customers := definitions.Asset("customers", definitions.Bind0(readOrders), definitions.Tags{"db": "shop"}, definitions.Order(1))
	orders := definitions.Asset("orders", definitions.Bind0(readOrders), definitions.Tags{"db": "shop"},
		definitions.ExecuteAs(definitions.Subprocess{MemoryLimit: 2 * definitions.GiB}), definitions.StallTimeout(10*time.Minute))
	job := definitions.AssetJob("copy", definitions.Assets(customers, orders),
		definitions.MaxConcurrentSteps(20), definitions.TagLimit{Key: "db", PerValue: true, Limit: 1}, definitions.RunTimeout(2*time.Hour))
	run := definitions.RunJob(context.Background(), definitions.New("shop", customers, orders, job), job)
	fmt.Println(run.Materialized(), run.Err())
	// Output: [customers orders] <nil>
}
