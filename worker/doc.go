// Package worker runs a code location: the user's program, as many copies as one likes. It polls
// Temporal for the location's workflows and steps, and needs no inbound port.
//
//	func main() { worker.Main(flights.Location) }
package worker
