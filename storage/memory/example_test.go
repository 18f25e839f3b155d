package memory_test

import (
	"context"
	"fmt"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/storage/memory"
)

func Example() {
	ctx := definitions.NewContext(context.Background())
	storage := memory.New()
	storage.Put("airports", []string{"RNO", "SMF"})

	var airports []string
	if err := storage.Load(ctx, definitions.Slot{Asset: "airports"}, &airports); err != nil {
		fmt.Println(err)
	}
	fmt.Println(airports)
	// Output: [RNO SMF]
}
