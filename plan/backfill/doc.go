// Package backfill decides which runs a backfill starts, and when. It is pure: what has ended is handed in, and
// everything that must survive is a [State].
//
//   - [New] takes the frozen target and how its assets hang together, and makes groups of those that run together.
//   - [Backfill.Next] gives the runs that can start now, in the order of dependence. It costs what has changed, not what
//     there is: all state is subsets, which are ranges.
//   - [Backfill.End] takes in how a run ended. A partition that failed holds back what needs it, and nothing else.
package backfill
