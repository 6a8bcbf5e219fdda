package boltstore

import (
	"errors"
	"os"
	"syscall"
)

// syncData puts what was written on the disk, and of the file's own data only
// what it takes to read that again.
func syncData(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
