package integration

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/internal/testlocation"
)

// atOnce is how many tests run at once, whatever the machine: they hardly compute, but wait for timeouts.
const atOnce = "16"

func TestMain(m *testing.M) {
	testlocation.Main()
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", atOnce); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	testenv.Main(m)
}
