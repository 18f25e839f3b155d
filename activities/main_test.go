package activities

import (
	"testing"

	"github.com/perdure-io/perdure/internal/devstack/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }
