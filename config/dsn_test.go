package config_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/perdure-io/perdure/config"
)

func TestPostgresDSNKeepsWhatWasGiven(t *testing.T) {
	t.Parallel()
	password := `p@s:s/w#o?r%d '"\x`
	quoted := `'` + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(password) + `'`
	for _, given := range []string{
		(&url.URL{Scheme: "postgres", User: url.UserPassword("me", password), Host: "db:6543", Path: "/things", RawQuery: "sslmode=disable"}).String(),
		(&url.URL{Scheme: "postgresql", User: url.UserPassword("me", password), Host: "db:6543", Path: "/things", RawQuery: "sslmode=disable&binary_parameters=no"}).String(),
		"host=db port=6543 dbname=things user=me sslmode=disable password=" + quoted,
		"password = " + quoted + " host=db port=6543 dbname=things user=me sslmode=disable binary_parameters=no",
	} {
		dsn, err := config.Config{Postgres: config.Postgres{DSN: config.DSN(given), Schema: "mine"}}.PostgresDSN()
		require.NoError(t, err)
		settings, err := pq.NewConfig(dsn)
		require.NoError(t, err)
		require.Equal(t, "db", settings.Host)
		require.Equal(t, uint16(6543), settings.Port)
		require.Equal(t, "things", settings.Database)
		require.Equal(t, "me", settings.User)
		require.Equal(t, password, settings.Password)
		require.True(t, settings.BinaryParameters)
		require.Equal(t, "mine", settings.Runtime["search_path"])
		require.Equal(t, 10*time.Second, settings.ConnectTimeout)

		shown := config.DSN(given).Redacted()
		require.Contains(t, shown, "db")
		require.Contains(t, shown, "xxxxx")
	}
	dsn, err := config.Config{Postgres: config.Postgres{DSN: "host=db connect_timeout=3", Schema: "mine"}}.PostgresDSN()
	require.NoError(t, err)
	require.Equal(t, "host=db connect_timeout=3 binary_parameters=yes search_path=mine", dsn)
	_, err = config.Config{}.PostgresDSN()
	require.ErrorContains(t, err, "postgres.dsn is not set; set PERDURE_POSTGRES_DSN=")
}

func TestRedactedNeverShowsAPassword(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		// A marker inside any text, valid in its notation or not.
		text := rapid.StringMatching(`[ -~]{0,8}`)
		password := text.Draw(t, "before") + "HUNTER2" + text.Draw(t, "after")
		quoted := `'` + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(password) + `'`
		dsn := rapid.SampledFrom([]string{
			"postgres://me:" + password + "@db/things",
			(&url.URL{Scheme: "postgres", User: url.UserPassword("me", password), Host: "db"}).String(),
			"postgres://db/things?password=" + password,
			"postgres://db/things?user=me&password=" + url.QueryEscape(password),
			"host=db password=" + quoted + " user=me",
			"host=db password=" + password,
			"password =" + quoted,
			"host=db sslpassword= " + quoted + " user=me",
		}).Draw(t, "dsn")
		shown := config.DSN(dsn).Redacted()
		require.NotContains(t, shown, "HUNTER2", dsn)
		made, err := config.Config{Postgres: config.Postgres{DSN: config.DSN(dsn), Schema: "s"}}.PostgresDSN()
		if err != nil {
			require.NotContains(t, err.Error(), "HUNTER2", dsn)
		} else {
			require.NotEqual(t, shown, made)
		}
	})
}
