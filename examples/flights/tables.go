package main

import (
	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/storage/postgres"
)

// Tables keeps assets as tables in Postgres, in the schema "flights". Where Postgres is, only the worker's environment
// says: config, history and logs know no more than the variable's name.
var (
	TablesConfig = definitions.Config(tablesConfig{DSN: definitions.FromEnv("PERDURE_POSTGRES_DSN"), Schema: "flights"})
	Tables       = definitions.Resource("tables", definitions.Bind1(openTables, TablesConfig), (*postgres.Storage).Close)
)

type tablesConfig struct {
	DSN    definitions.Secret
	Schema string
}

func openTables(ctx definitions.Context, c tablesConfig) (*postgres.Storage, error) {
	return postgres.Open(c.DSN.Reveal(ctx), postgres.Schema(c.Schema))
}
