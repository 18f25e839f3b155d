// Package starter is the client side: it starts, awaits and cancels runs. Whatever it does, the
// stock `temporal` CLI and Temporal's HTTP API can do as well, by the same JSON; what it adds is that
// a bad request is refused before anything is started.
package starter
