// Package testpython gives tests a Python interpreter with the real packages that steps in Python use: dagster-pipes and
// temporalio, from PyPI.
package testpython

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// install is slow the first time on a machine.
var install = sync.OnceValues(func() (string, error) {
	_, file, _, _ := runtime.Caller(0)
	script := filepath.Join(filepath.Dir(file), "..", "..", "tools", "python.sh")
	var problems bytes.Buffer
	cmd := exec.Command(script)
	cmd.Stderr = &problems
	output, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("tools/python.sh: %w\n%s", err, problems.String())
	}
	return strings.TrimSpace(string(output)), nil
})

// Path is the path of the interpreter, for a program that tests; see [Interpreter].
func Path() (string, error) { return install() }

// Interpreter is the path of the interpreter. What keeps it from being installed fails the test.
func Interpreter(t testing.TB) string {
	t.Helper()
	path, err := install()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
