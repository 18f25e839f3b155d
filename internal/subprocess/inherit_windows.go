package subprocess

import "os"

// inherited are the pipes that the worker gave this process. Windows hands none on: the worker cannot start it there.
func inherited() (requests, answers *os.File) {
	return os.NewFile(3, "requests"), os.NewFile(4, "answers")
}
