package testlocation

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/worker"
)

// The variables that make a program a worker.
const (
	specVariable   = "PERDURETEST_SPEC"
	folderVariable = "PERDURETEST_FOLDER"
)

// Main makes this process a worker or a daemon and does not return, when it was started as one by [Instance.StartWorker] or
// [Instance.StartDaemon]. A program that starts them calls it first.
func Main() {
	if os.Getenv(daemonVariable) != "" {
		go endWithStarter()
		end(watchInstance())
	}
	path, ok := os.LookupEnv(specVariable)
	if !ok {
		return
	}
	spec, err := readSpec(path)
	if err == nil {
		var controls Controls
		if controls, err = NewControls(os.Getenv(folderVariable)); err == nil {
			if !slices.Contains(os.Args, "step") {
				// The process of a step ends with its worker.
				go endWithStarter()
			}
			worker.Main(spec.definitions(controls, os.Getenv("PERDURE_STORAGE_URL")))
		}
	}
	end(err)
}

func end(err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, "Error:", err)
	os.Exit(1)
}

// endWithStarter ends this process when the one that started it is gone: its standard input ends then.
func endWithStarter() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	fmt.Fprintln(os.Stderr, "Error: the process that started this worker is gone")
	os.Exit(1)
}

// environ is our environment without Perdure's own variables: a person's settings are not for tests.
func environ() []string {
	var kept []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "PERDURE") {
			kept = append(kept, variable)
		}
	}
	return kept
}
