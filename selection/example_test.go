package selection_test

import (
	"errors"
	"fmt"

	"github.com/perdure-io/perdure/selection"
)

var flights = []selection.Node{
	{Key: "airports_source", External: true},
	{Key: "raw/flights", Group: "raw", Kinds: []string{"csv"}},
	{Key: "raw/airports", Group: "raw", Parents: []string{"airports_source"}},
	{Key: "route_delays", Group: "delays", Parents: []string{"raw/flights", "raw/airports"}},
	{Key: "report", Group: "delays", Kinds: []string{"image"}, Parents: []string{"route_delays"}},
}

func Example() {
	index, err := selection.NewIndex(flights)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, text := range []string{
		"route_delays+", "1+route_delays", "airports_source+1", "raw/*",
		"group:delays and not kind:image", "roots(*)", "sinks(raw/flights or route_delays)",
	} {
		parsed, err := selection.Parse(text)
		if err != nil {
			fmt.Println(err)
			return
		}
		keys, err := parsed.Evaluate(index)
		fmt.Println(text, "→", keys, err)
	}
	// Output:
	// route_delays+ → [report route_delays] <nil>
	// 1+route_delays → [raw/airports raw/flights route_delays] <nil>
	// airports_source+1 → [airports_source raw/airports] <nil>
	// raw/* → [raw/airports raw/flights] <nil>
	// group:delays and not kind:image → [route_delays] <nil>
	// roots(*) → [raw/airports raw/flights] <nil>
	// sinks(raw/flights or route_delays) → [route_delays] <nil>
}

func ExampleParse_syntaxError() {
	_, err := selection.Parse("group:delays and and report")
	if syntax, ok := errors.AsType[*selection.SyntaxError](err); ok {
		fmt.Println(syntax.Caret())
		fmt.Println(syntax.Message)
	}
	// Output:
	// group:delays and and report
	//                  ^
	// expected an asset key, *, not, "(", sinks(…), roots(…) or a filter such as group:NAME, found "and"
}

func ExampleSelection_Evaluate_unknownNames() {
	index, err := selection.NewIndex(flights)
	if err != nil {
		fmt.Println(err)
		return
	}
	parsed, err := selection.Parse("route_delay+ or group:dalays")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = parsed.Evaluate(index)
	if unknown, ok := errors.AsType[selection.UnknownErrors](err); ok {
		for _, one := range unknown {
			fmt.Println(one)
		}
	}
	// Output:
	// there is no asset "route_delay": did you mean "route_delays"?
	// there is no group "dalays": did you mean "delays"?
}

func ExampleKeys() {
	index, err := selection.NewIndex(flights)
	if err != nil {
		fmt.Println(err)
		return
	}
	chosen := selection.Keys("report", "airports_source")
	fmt.Println(chosen)
	fmt.Println(chosen.Evaluate(index))
	// Output:
	// report or airports_source
	// [airports_source report] <nil>
}

func ExampleSelection_String() {
	parsed, err := selection.Parse(`((key:report)) or (1+key:"raw/*" and not (not kind:csv))`)
	fmt.Println(parsed, err)
	// Output:
	// report or 1+key:"raw/*" and kind:csv <nil>
}
