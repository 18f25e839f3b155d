package definitions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/perdure-io/perdure/definitions"
)

// The functions of the examples are plain: a unit test calls them.

type Order struct {
	Customer string
	Amount   float64
}

func readOrders(definitions.Context) ([]Order, error) {
	return []Order{{"ann", 10}, {"bob", 25}, {"ann", 5}}, nil
}

func totals(_ definitions.Context, orders []Order) (map[string]float64, error) {
	sums := map[string]float64{}
	for _, o := range orders {
		sums[o.Customer] += o.Amount
	}
	return sums, nil
}

// An asset is a key and a function whose parameters are bound to other assets. A whole graph is computed in process.
func Example() {
	orders := definitions.Asset("orders", definitions.Bind0(readOrders), definitions.Group("raw"))
	sums := definitions.Asset("totals", definitions.Bind1(totals, orders), definitions.Group("reports"),
		definitions.Retries{Max: 3, Delay: time.Second, Backoff: definitions.Exponential})
	shop := definitions.New("shop", orders, sums)

	run := definitions.Materialize(context.Background(), shop)
	value, err := sums.In(run)
	fmt.Println(run.Materialized(), value, err)
	// Output: [orders totals] map[ann:15 bob:25] <nil>
}

// A source can be replaced in a test: here, nothing is read.
func ExampleGiven() {
	orders := definitions.Asset("orders", definitions.Bind0(readOrders))
	sums := definitions.Asset("totals", definitions.Bind1(totals, orders))

	run := definitions.Materialize(context.Background(), definitions.New("shop", orders, sums),
		definitions.Only(sums), definitions.Given(orders, []Order{{"eve", 1}}))
	value, err := sums.In(run)
	fmt.Println(run.Materialized(), value, err)
	// Output: [totals] map[eve:1] <nil>
}

// A bad declaration is found when the definitions are validated, with all others, and where it stands.
func ExampleDefinitions_Validate() {
	orders := definitions.Asset("orders", definitions.Bind0(readOrders), definitions.Owners{"ann"})
	sums := definitions.Asset("totals", definitions.Bind1(totals, orders), definitions.Retries{Max: 3, Jitter: definitions.FullJitter})

	err := definitions.New("shop", orders, sums).Validate()
	if problems, ok := errors.AsType[definitions.ProblemList](err); ok {
		for _, p := range problems {
			fmt.Printf("%s, %s: %s (%s)\n", p.Object, p.Field, p.Message, p.Fix)
		}
	}
	// Output:
	// asset "orders", owners: "ann" is neither an e-mail address nor a team (write "ann@example.com" or "team:data")
	// asset "totals", retries: Jitter is full without a Delay (set the Delay that is spread)
}

// An optional asset may produce nothing. What needs it is then skipped.
func ExampleOptionalAsset() {
	largest := func(_ definitions.Context, orders []Order) (*Order, error) {
		for _, o := range orders {
			if o.Amount > 100 {
				return &o, nil
			}
		}
		return nil, nil
	}
	thank := func(_ definitions.Context, o Order) (string, error) { return "thank you, " + o.Customer, nil }

	orders := definitions.Asset("orders", definitions.Bind0(readOrders))
	large := definitions.OptionalAsset("large_order", definitions.Bind1(largest, orders))
	letter := definitions.Asset("letter", definitions.Bind1(thank, large))

	run := definitions.Materialize(context.Background(), definitions.New("shop", orders, large, letter))
	fmt.Println(run.Status(large), run.Status(letter), run.Err())
	// Output: SUCCESS SKIPPED <nil>
}

// One function makes several assets; CanSubset lets a run ask for some of them.
func ExampleMultiAsset() {
	orders := definitions.Asset("orders", definitions.Bind0(readOrders))
	small, large := definitions.Output[[]Order]("small_orders"), definitions.Output[[]Order]("large_orders")
	split := func(_ definitions.Context, orders []Order, want definitions.Subset) (definitions.Outputs, error) {
		var s, l []Order
		for _, o := range orders {
			if o.Amount < 10 {
				s = append(s, o)
			} else {
				l = append(l, o)
			}
		}
		var out definitions.Outputs
		if want.Has(small) {
			out = append(out, small.Of(s))
		}
		if want.Has(large) {
			out = append(out, large.Of(l, definitions.Float("limit", 10)))
		}
		return out, nil
	}
	sizes := definitions.MultiAsset("order_sizes", definitions.Outs{small, large},
		definitions.Bind2(split, orders, definitions.Requested), definitions.CanSubset{},
		definitions.Group("orders")) // of both outputs
	shop := definitions.New("shop", orders, sizes)

	run := definitions.Materialize(context.Background(), shop)
	fmt.Println(run.Materialized(), run.Metadata(large))
	run = definitions.Materialize(context.Background(), shop, definitions.Only(small))
	fmt.Println(run.Materialized())
	// Output:
	// [large_orders orders small_orders] [limit=10 perdure/row_count=2]
	// [orders small_orders]
}

// Something else makes an external asset. A test gives its value.
func ExampleExternal() {
	rates := definitions.External[map[string]float64]("exchange_rates", definitions.Description("Filled by the bank, every night."))
	euros := definitions.Asset("euros", definitions.Bind1(func(_ definitions.Context, rates map[string]float64) (float64, error) {
		return 100 * rates["EUR"], nil
	}, rates))

	run := definitions.Materialize(context.Background(), definitions.New("shop", rates, euros), definitions.Given(rates, map[string]float64{"EUR": 0.9}))
	fmt.Println(euros.In(run))
	// Output: 90 <nil>
}

// A manager that only reads suits external assets. A test can have it read, as a worker does.
func ExampleLoadedBy() {
	open := func(definitions.Context) (rateFile, error) { return rateFile(`{"EUR":0.9}`), nil }
	bank := definitions.Resource("bank", definitions.Bind0(open), definitions.NoClose)
	rates := definitions.External[map[string]float64]("exchange_rates", definitions.LoadedBy(bank))
	euros := definitions.Asset("euros", definitions.Bind1(func(_ definitions.Context, rates map[string]float64) (float64, error) {
		return 100 * rates["EUR"], nil
	}, rates))

	run := definitions.Materialize(context.Background(), definitions.New("shop", bank, rates, euros), definitions.LoadExternal())
	fmt.Println(euros.In(run))
	// Output: 90 <nil>
}

// rateFile is a file of exchange rates.
type rateFile []byte

func (rateFile) Accepts(reflect.Type) error { return nil }

func (f rateFile) Load(_ definitions.Context, _ definitions.Slot, into any) error {
	return json.Unmarshal(f, into)
}

// What several assets have in common is written once. What an asset is given itself wins.
func ExampleOptions() {
	reports := definitions.Options{definitions.Group("reports"), definitions.Owners{"team:sales"}, definitions.Kinds{"table"}}
	orders := definitions.Asset("orders", definitions.Bind0(readOrders), reports, definitions.Group("raw"))
	sums := definitions.Asset("totals", definitions.Bind1(totals, orders), reports)

	snapshot, err := definitions.New("shop", orders, sums).Snapshot()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, asset := range snapshot.Assets {
		fmt.Println(asset.Key, asset.Group, asset.Owners)
	}
	// Output:
	// orders raw [team:sales]
	// totals reports [team:sales]
}

// A unit test of what a function does when it is tried again.
func ExampleNewContext() {
	ask := func(ctx definitions.Context) (string, error) {
		if ctx.Run().Attempt > 1 {
			return "the second server", nil
		}
		return "the first server", nil
	}
	fmt.Println(ask(definitions.NewContext(context.Background())))
	fmt.Println(ask(definitions.NewContext(context.Background(), definitions.RunInfo{Attempt: 2})))
	// Output:
	// the first server <nil>
	// the second server <nil>
}

// A function that returns only an error is bound with Do; After orders it without loading anything.
func ExampleAfter() {
	orders := definitions.Asset("orders", definitions.Bind0(readOrders))
	cleanUp := definitions.Asset("cleaned_up", definitions.Do0(func(definitions.Context) error {
		fmt.Println("cleaning up")
		return nil
	}), definitions.After(orders))

	run := definitions.Materialize(context.Background(), definitions.New("shop", orders, cleanUp))
	fmt.Println(run.Materialized())
	// Output:
	// cleaning up
	// [cleaned_up orders]
}

// Fan-in: one parameter takes several assets of a type.
func ExampleAll() {
	count := func(_ definitions.Context, all [][]Order) (int, error) {
		n := 0
		for _, orders := range all {
			n += len(orders)
		}
		return n, nil
	}
	shop := definitions.Asset("shop_orders", definitions.Bind0(readOrders))
	web := definitions.Asset("web_orders", definitions.Bind0(readOrders))
	number := definitions.Asset("order_count", definitions.Bind1(count, definitions.All(shop, web)))

	run := definitions.Materialize(context.Background(), definitions.New("shop", shop, web, number))
	fmt.Println(number.In(run))
	// Output: 6 <nil>
}

// A view gives a function the part of a value that it takes.
func ExampleView() {
	orders := definitions.Asset("orders", definitions.Bind0(readOrders))
	first := definitions.View(orders, func(orders []Order) Order { return orders[0] })
	letter := definitions.Asset("letter", definitions.Bind1(func(_ definitions.Context, o Order) (string, error) {
		return "dear " + o.Customer, nil
	}, first))

	run := definitions.Materialize(context.Background(), definitions.New("shop", orders, letter))
	fmt.Println(letter.In(run))
	// Output: dear ann <nil>
}

type mailServer struct{ address string }

func (s *mailServer) Close() error {
	fmt.Println("closed")
	return nil
}

// A resource is opened once and shared by all steps of a worker.
func ExampleResource() {
	server := definitions.Resource("mail", definitions.Bind0(func(definitions.Context) (*mailServer, error) {
		fmt.Println("opened")
		return &mailServer{"mail.example.com"}, nil
	}), (*mailServer).Close)
	via := func(_ definitions.Context, s *mailServer) (string, error) { return "sent via " + s.address, nil }
	a := definitions.Asset("a", definitions.Bind1(via, server))
	b := definitions.Asset("b", definitions.Bind1(via, server))

	run := definitions.Materialize(context.Background(), definitions.New("shop", server, a, b))
	fmt.Println(b.In(run))
	// Output:
	// opened
	// closed
	// sent via mail.example.com <nil>
}

type reportConfig struct {
	MinAmount float64 `description:"Orders below it are left out."`
	Format    string  `enum:"text,html"`
	Title     string  `config:"required"`
}

// The fields of a config struct are the config of what binds it. A run sets some of them, and others have their defaults.
func ExampleConfig() {
	config := definitions.Config(reportConfig{Format: "text"})
	orders := definitions.Asset("orders", definitions.Bind0(readOrders))
	report := definitions.Asset("report", definitions.Bind2(func(_ definitions.Context, orders []Order, c reportConfig) (string, error) {
		n := 0
		for _, o := range orders {
			if o.Amount >= c.MinAmount {
				n++
			}
		}
		return fmt.Sprintf("%s (%s): %d", c.Title, c.Format, n), nil
	}, orders, config))
	shop := definitions.New("shop", orders, report)

	run := definitions.Materialize(context.Background(), shop, definitions.RunConfig(`{"assets":{"report":{"title":"Orders","min_amount":10}}}`))
	fmt.Println(report.In(run))
	run = definitions.Materialize(context.Background(), shop, definitions.RunConfig(`{"assets":{"report":{"titl":"Orders"}}}`))
	fmt.Println(strings.ReplaceAll(run.Err().Error(), "; ", "\n"))
	// Output:
	// Orders (text): 2 <nil>
	// config.assets.report.titl: unknown field "titl" (did you mean "title"? known: format, min_amount, title)
	// config.assets.report.title: "title" is required and has no default (give it, for example "config":{"assets":{"report":{"title":"…"}}})
}

// A secret is known by the name of an environment variable, and shows only that.
func ExampleSecret() {
	password := definitions.FromEnv("WAREHOUSE_PASSWORD")
	fmt.Println(password)
	fmt.Printf("%+v\n", struct{ Password definitions.Secret }{password})
	// Output:
	// {env WAREHOUSE_PASSWORD}
	// {Password:{env WAREHOUSE_PASSWORD}}
}

// A type that stores slices. Accepts needs nothing but the type, so the definitions are validated without opening it.
type csvFiles struct{}

func (csvFiles) Accepts(t reflect.Type) error {
	if t.Kind() != reflect.Slice {
		return fmt.Errorf("a CSV file holds a slice, not a %v", t)
	}
	return nil
}

func (csvFiles) Stage(definitions.Context, definitions.Slot, any) (definitions.Staged, error) {
	return nil, errors.ErrUnsupported // it would write the rows to a file of its own
}

func (csvFiles) Load(definitions.Context, definitions.Slot, any) error {
	return errors.ErrUnsupported // it would read the file that Stage wrote
}

// An IO manager is a resource. A type that it does not keep is found before anything runs.
func ExampleStoredBy() {
	files := definitions.Resource("files", definitions.Bind0(func(definitions.Context) (csvFiles, error) { return csvFiles{}, nil }), definitions.NoClose)
	orders := definitions.Asset("orders", definitions.Bind0(readOrders), definitions.StoredBy(files))
	sums := definitions.Asset("totals", definitions.Bind1(totals, orders), definitions.StoredBy(files))

	err := definitions.New("shop", files, orders, sums).Validate()
	if problems, ok := errors.AsType[definitions.ProblemList](err); ok {
		fmt.Println(problems[0].Object, problems[0].Message)
	}
	// Output: asset "totals" the IO manager "files" does not keep a map[string]float64: a CSV file holds a slice, not a map[string]float64
}

// A job names a selection, with config and tags of its own.
func ExampleAssetJob() {
	orders := definitions.Asset("orders", definitions.Bind0(readOrders))
	sums := definitions.Asset("totals", definitions.Bind1(totals, orders), definitions.Group("reports"))
	nightly := definitions.AssetJob("nightly", definitions.Assets(orders).Downstream().And(definitions.Select("group:reports")),
		definitions.Tags{"team": "sales"}, definitions.HighPriority)

	snapshot, err := definitions.New("shop", orders, sums, nightly).Snapshot()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(snapshot.Jobs[0].Name, "runs", snapshot.Jobs[0].Selection)
	// Output: nightly runs orders+ and group:reports
}

// Several packages may each define a part of a location.
func ExampleMerge() {
	orders := definitions.Asset("orders", definitions.Bind0(readOrders))
	intake := definitions.New("intake", orders)
	reports := definitions.New("reports", orders, definitions.Asset("totals", definitions.Bind1(totals, orders)))

	run := definitions.Materialize(context.Background(), definitions.Merge("shop", intake, reports))
	fmt.Println(run.Materialized(), run.Err())
	// Output: [orders totals] <nil>
}

// A step reports typed facts about what it makes. A unit test reads them back.
func ExampleContext() {
	load := func(ctx definitions.Context) ([]Order, error) {
		orders, err := readOrders(ctx)
		ctx.Log().Debug("read", "orders", len(orders))
		ctx.Report(
			definitions.RowCount(len(orders)),
			definitions.URL("source", "https://shop.example.com/orders"),
			definitions.Table("sample", orders[:1]),
			definitions.ColumnSchema(definitions.SchemaOf[Order]()),
		)
		return orders, err
	}

	ctx := definitions.NewContext(context.Background())
	if _, err := load(ctx); err != nil {
		fmt.Println(err)
	}
	for _, m := range ctx.Reported() {
		fmt.Println(m.Type(), m)
	}
	// Output:
	// int perdure/row_count=3
	// url source="https://shop.example.com/orders"
	// table sample={"columns":[{"name":"customer","type":"string"},{"name":"amount","type":"float"}],"rows":[["ann",10]]}
	// table_schema perdure/column_schema={"columns":[{"name":"customer","type":"string"},{"name":"amount","type":"float"}]}
}
