package definitions_test

import (
	"context"
	"fmt"

	"github.com/perdure-io/perdure/definitions"
)

// The functions of the ops are plain, too.

func customers(_ definitions.Context, orders []Order) ([]definitions.Keyed[[]Order], error) {
	var names []string
	of := map[string][]Order{}
	for _, o := range orders {
		if of[o.Customer] == nil {
			names = append(names, o.Customer)
		}
		of[o.Customer] = append(of[o.Customer], o)
	}
	var elements []definitions.Keyed[[]Order]
	for _, name := range names {
		elements = append(elements, definitions.Keyed[[]Order]{Key: name, Value: of[name]})
	}
	return elements, nil
}

func invoice(_ definitions.Context, customer string, orders []Order) (string, error) {
	sum := 0.0
	for _, o := range orders {
		sum += o.Amount
	}
	return fmt.Sprintf("%s owes %g", customer, sum), nil
}

func letter(_ definitions.Context, invoices []string) (string, error) {
	return fmt.Sprint(invoices), nil
}

// Ops are the steps of a graph; a job runs those that its results hang on. In process, RunJob does.
func ExampleOpJob() {
	read := definitions.Op("read", definitions.Bind0(readOrders), definitions.Queue("large"))
	sums := definitions.Op("sums", definitions.Bind1(totals, read))
	job := definitions.OpJob("billing", []definitions.AnyValue{sums})

	run := definitions.RunJob(context.Background(), definitions.New("shop", job), job)
	value, err := sums.In(run)
	fmt.Println(value, run.OpStatus(read), err)
	// Output: map[ann:15 bob:25] SUCCESS <nil>
}

// How many steps there are is known when the fan-out has run: here, one for each customer.
func ExampleFanOut() {
	read := definitions.Op("read", definitions.Bind0(readOrders))
	byCustomer := definitions.FanOut("by_customer", definitions.Bind1(customers, read))
	invoices := definitions.Map(byCustomer, func(orders *definitions.Value[[]Order]) *definitions.Value[string] {
		return definitions.Op("invoice", definitions.Bind2(invoice, definitions.MappingKey, orders), definitions.Retries{Max: 2})
	})
	all := definitions.Op("letter", definitions.Bind1(letter, definitions.Collect(invoices)))
	job := definitions.OpJob("billing", []definitions.AnyValue{all})

	run := definitions.RunJob(context.Background(), definitions.New("shop", job), job)
	each, _ := invoices.In(run)
	text, err := all.In(run)
	fmt.Println(each)
	fmt.Println(text, run.StepStatus("invoice[bob]"), err)
	// Output:
	// map[ann:ann owes 15 bob:bob owes 25]
	// [ann owes 15 bob owes 25] SUCCESS <nil>
}

// A branch that is not taken skips what hangs on it, unless that has a value in its place.
func ExampleMaybe() {
	largest := func(_ definitions.Context, orders []Order) (*Order, error) {
		for _, o := range orders {
			if o.Amount > 100 {
				return &o, nil
			}
		}
		return nil, nil
	}
	thank := func(_ definitions.Context, o Order) (string, error) { return "thank you, " + o.Customer, nil }

	read := definitions.Op("read", definitions.Bind0(readOrders))
	large := definitions.Maybe("large", definitions.Bind1(largest, read))
	skipped := definitions.Op("thank", definitions.Bind1(thank, large))
	anyhow := definitions.Op("thank_anyhow", definitions.Bind1(thank, definitions.OrElse(large, Order{Customer: "everybody"})))
	job := definitions.OpJob("letters", []definitions.AnyValue{skipped, anyhow})

	run := definitions.RunJob(context.Background(), definitions.New("shop", job), job)
	text, err := anyhow.In(run)
	fmt.Println(run.OpStatus(skipped), run.Err())
	fmt.Println(text, err)
	// Output:
	// SKIPPED <nil>
	// thank you, everybody <nil>
}

// A graph names the steps that its body declares.
func ExampleGraph() {
	valid := func(_ definitions.Context, orders []Order) ([]Order, error) { return orders[:2], nil }

	read := definitions.Op("read", definitions.Bind0(readOrders))
	sums := definitions.Graph("etl", read, func(orders *definitions.Value[[]Order]) *definitions.Value[map[string]float64] {
		clean := definitions.Op("clean", definitions.Bind1(valid, orders))
		return definitions.Op("sums", definitions.Bind1(totals, clean))
	})
	job := definitions.OpJob("billing", []definitions.AnyValue{sums})

	run := definitions.RunJob(context.Background(), definitions.New("shop", job), job)
	value, err := sums.In(run)
	fmt.Println(sums.Name(), run.StepStatus("etl.clean"), value, err)
	// Output: etl.sums SUCCESS map[ann:10 bob:25] <nil>
}

// An asset is made of a graph: the op that gives its value stores it.
func ExampleGraphAsset() {
	orders := definitions.Asset("orders", definitions.Bind0(readOrders))
	byCustomer := definitions.FanOut("by_customer", definitions.Bind1(customers, orders))
	invoices := definitions.Map(byCustomer, func(orders *definitions.Value[[]Order]) *definitions.Value[string] {
		return definitions.Op("invoice", definitions.Bind2(invoice, definitions.MappingKey, orders))
	})
	all := definitions.Op("letter", definitions.Bind1(letter, definitions.Collect(invoices)))
	letters := definitions.GraphAsset("letters", all, definitions.Group("billing"))

	run := definitions.Materialize(context.Background(), definitions.New("shop", orders, letters))
	value, err := letters.In(run)
	fmt.Println(run.Materialized(), run.StepStatus("letters.invoice[ann]"))
	fmt.Println(value, err)
	// Output:
	// [letters orders] SUCCESS
	// [ann owes 15 bob owes 25] <nil>
}

// Several assets are made of several ops of one graph.
func ExampleGraphMultiAsset() {
	count := func(_ definitions.Context, orders []Order) (int, error) { return len(orders), nil }

	sums, number := definitions.Output[map[string]float64]("sums"), definitions.Output[int]("number")
	read := definitions.Op("read", definitions.Bind0(readOrders))
	report := definitions.GraphMultiAsset("report", definitions.GraphOuts{
		sums.From(definitions.Op("add", definitions.Bind1(totals, read))),
		number.From(definitions.Op("count", definitions.Bind1(count, read))),
	})

	run := definitions.Materialize(context.Background(), definitions.New("shop", report))
	value, err := number.In(run)
	fmt.Println(run.Materialized(), value, err)
	// Output: [number sums] 3 <nil>
}

// In a test, elements are given in place of those that an op finds.
func ExampleGivenFan() {
	read := definitions.Op("read", definitions.Bind0(readOrders))
	byCustomer := definitions.FanOut("by_customer", definitions.Bind1(customers, read))
	invoices := definitions.Map(byCustomer, func(orders *definitions.Value[[]Order]) *definitions.Value[string] {
		return definitions.Op("invoice", definitions.Bind2(invoice, definitions.MappingKey, orders))
	})
	job := definitions.OpJob("billing", []definitions.AnyValue{invoices})

	run := definitions.RunJob(context.Background(), definitions.New("shop", job), job,
		definitions.GivenFan(byCustomer, definitions.Keyed[[]Order]{Key: "eve", Value: []Order{{"eve", 1}}}))
	each, err := invoices.In(run)
	fmt.Printf("%v, read: %q, %v\n", each, run.OpStatus(read), err)
	// Output: map[eve:eve owes 1], read: "", <nil>
}

// After orders an op after others whose values it does not take.
func ExampleAfter_ops() {
	say := func(text string) definitions.Compute[definitions.Nothing] {
		return definitions.Do1(func(_ definitions.Context, text string) error { fmt.Println(text); return nil }, definitions.Literal(text))
	}
	first := definitions.Op("first", say("the table is empty"))
	second := definitions.Op("second", say("the table is filled"), definitions.After(first))
	job := definitions.OpJob("fill", []definitions.AnyValue{second})
	fmt.Println(definitions.RunJob(context.Background(), definitions.New("shop", job), job).Err())
	// Output:
	// the table is empty
	// the table is filled
	// <nil>
}

// A graph takes config of its own, in place of that of its ops.
func ExampleMapConfig() {
	type shopConfig struct{ Least float64 }
	type filterConfig struct{ Above float64 }
	filter := func(_ definitions.Context, orders []Order, c filterConfig) ([]Order, error) {
		var kept []Order
		for _, o := range orders {
			if o.Amount > c.Above {
				kept = append(kept, o)
			}
		}
		return kept, nil
	}
	outer, inner := definitions.Config(shopConfig{Least: 0}), definitions.Config(filterConfig{})

	read := definitions.Op("read", definitions.Bind0(readOrders))
	sums := definitions.Graph("report", read, func(orders *definitions.Value[[]Order]) *definitions.Value[map[string]float64] {
		large := definitions.Op("filter", definitions.Bind2(filter, orders, inner))
		return definitions.Op("sums", definitions.Bind1(totals, large))
	}, definitions.MapConfig(outer, inner, func(c shopConfig) filterConfig { return filterConfig{Above: c.Least} }))
	job := definitions.OpJob("billing", []definitions.AnyValue{sums})

	run := definitions.RunJob(context.Background(), definitions.New("shop", job), job,
		definitions.RunConfig(`{"ops":{"report":{"least":7}}}`))
	value, err := sums.In(run)
	fmt.Println(value, err)
	// Output: map[ann:10 bob:25] <nil>
}
