//go:build unix

package devstack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

const (
	// temporalDeathSignal ends Temporal when we are killed; its SQLite file bears a SIGKILL.
	temporalDeathSignal = syscall.SIGKILL
	// postgresDeathSignal is PostgreSQL's fast shutdown.
	postgresDeathSignal = syscall.SIGINT
)

// askToStop asks a process of ours to end in order.
func askToStop(p *process) error { return p.cmd.Process.Signal(syscall.SIGTERM) }

// askPostgresToStop is PostgreSQL's fast shutdown: it does not wait for clients.
func askPostgresToStop(p *process, _ postgresBinaries, _ string) error {
	return p.cmd.Process.Signal(syscall.SIGINT)
}

// signalLeftover sends a signal to a process that is not a child of this one.
func signalLeftover(pid int, kill bool) error {
	signal := syscall.SIGINT
	if kill {
		signal = syscall.SIGKILL
	}
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop process %d: %w", pid, err)
	}
	return nil
}

// account is the operating-system user that PostgreSQL runs under; nil means our own.
type account struct {
	name     string
	uid, gid int
}

// unprivilegedAccount is the account for PostgreSQL, which refuses to run as root: nil when we are not root.
func unprivilegedAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(found.Uid)
		gid, gidErr := strconv.Atoi(found.Gid)
		if uidErr == nil && gidErr == nil {
			return &account{name: name, uid: uid, gid: gid}, nil
		}
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and this machine has neither a user postgres nor a user nobody: " +
		"run as another user, add one (useradd --system postgres), or set PERDURE_POSTGRES_DSN")
}

// runAs makes cmd run under the account.
func (a *account) runAs(cmd *exec.Cmd) {
	if a == nil {
		return
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
}

// own gives the file or folder to the account.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Chown(path, a.uid, a.gid)
}

// reaches says whether the account may pass through every folder above path.
func (a *account) reaches(path string) bool {
	if a == nil {
		return true
	}
	for folder := filepath.Dir(path); ; folder = filepath.Dir(folder) {
		info, err := os.Stat(folder)
		if err == nil && info.Mode().Perm()&0o001 == 0 {
			stat, ok := info.Sys().(*syscall.Stat_t)
			if !ok || int(stat.Uid) != a.uid || info.Mode().Perm()&0o100 == 0 {
				return false
			}
		}
		if folder == filepath.Dir(folder) {
			return true
		}
	}
}

// trusted says whether a file belongs to us or to root: the temporary folder is everybody's.
func trusted(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (int(stat.Uid) == os.Geteuid() || stat.Uid == 0)
}
