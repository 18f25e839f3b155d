// Package partition is the arithmetic of partitions: which partitions a definition has, which of
// them some others need, and sets of them. It is pure: what changes with time or by people, the
// clock and the keys of dynamic sets, is handed in.
//
//   - A [Definition] is data, JSON in a snapshot. [New] compiles it to [Partitions], or lists
//     everything that is wrong with it.
//   - [Partitions.At] gives the [Set] that exists at a moment. It checks keys, and gives their windows.
//   - A [Subset] is some of a Set's partitions: ranges, never a list of keys, so that a million
//     partitions cost what one does. It is stored as JSON, and [Set.Decode] says which of the stored
//     partitions no longer exist.
//   - A [Mapping] is data, too: which upstream partitions a downstream partition needs. [Mapping.Between]
//     ties it to two definitions, and the [Link] answers in both directions.
//   - A [Cron] says when windows begin, and when schedules tick: [Cron.Next] and [Cron.Previous] hold the
//     rules for changes of the clocks.
package partition
