// Package subprocess runs a step's code in a process of its own: the user's function, and the IO managers of what it
// loads and stores. Claim, heartbeat, retries, fence and commit stay in the worker, whose step runner calls the code as it
// calls any other; so a process that crashes, or holds too much memory, is a failure of the user's function.
//
// The two processes speak JSON, a value a line, over two pipes: file 3 brings requests to the child, file 4 its answers,
// and what the function logs and reports meanwhile.
package subprocess
