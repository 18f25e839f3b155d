// Package postgres keeps assets that are slices of structs as tables.
//
// A value is staged as a table of its own. Publishing that of an asset without partitions puts it in the place of the
// asset's table, in one transaction under the attempt's token: readers see the old rows or the new, never a mixture, and
// columns may change. The table perdure_tables of the same schema says which asset each table holds and under which token; a
// value of a smaller token is refused. A table keeps only its last value.
//
// The table is another one after each publication, so what hangs on it is handled like this: privileges on the table
// are granted again; indexes, privileges on single columns, triggers and policies are lost; a table on which views depend is
// emptied and filled instead, which needs the same columns. A transaction that reads at isolation REPEATABLE READ
// or above and began before the publication may find the table empty, as after any TRUNCATE.
//
// # Partitions
//
// A partitioned asset is one table. Its column perdure_partition holds the partition's key and perdure_row, from 0, where
// in the value the row stands; both are the primary key:
//
//	SELECT origin, mean_delay FROM route_delays WHERE perdure_partition = '2001-01-01' ORDER BY perdure_row
//
// Publishing a partition replaces its rows, in one transaction under the attempt's token. Readers see the old rows or the
// new, other partitions are not touched, and publications of different partitions do not wait for each other. Indexes,
// privileges, views and all else that hangs on the table stay. perdure_tables has a row, and a token, for each partition.
//
// When the type gets a field, the table gets its column, which is NULL in partitions that were stored before: to load
// those, the field must be a pointer, or they are materialized again. The column of a field that is gone stays, and is NULL
// from then on. A column cannot change its type. An asset that gets partitions, or loses them, needs another table: drop or
// rename the old one.
//
// # Columns
//
// A field is the column of its db tag, or of its name in snake_case; `db:"-"` leaves it out, and structs embedded by
// value give their fields. Columns are NOT NULL but for pointers, []byte and json.RawMessage.
//
//	string                                 text
//	bool                                   boolean
//	int…, uint8 to uint32, time.Duration   bigint (a duration in nanoseconds)
//	uint, uint64                           numeric(20)
//	float32, float64                       double precision
//	time.Time                              timestamptz (microseconds; loaded in UTC)
//	[]byte                                 bytea
//	json.RawMessage                        jsonb
//	MarshalText and UnmarshalText          text
package postgres
