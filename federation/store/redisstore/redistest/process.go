package redistest

import (
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is a redis-server as the operating system sees it: alone in its
// process group with the children that it forks for saving.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

// spawn starts the command. The kernel signals the death of the parent when
// the thread ends that started the child, so that thread is kept until then.
func spawn(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = attributes()
	p := &process{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(p.exited)
		}
	}()
	return p, <-started
}

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

func (p *process) signal(s syscall.Signal) {
	if p.running() {
		_ = p.cmd.Process.Signal(s)
	}
}

// kill ends the process and the children that it has forked, and waits.
func (p *process) kill() {
	if p.running() {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
	<-p.exited
}

// stop asks the process to end, and kills it where that takes too long.
func (p *process) stop(patience time.Duration) {
	p.signal(syscall.SIGCONT)
	p.signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.kill()
	}
}
