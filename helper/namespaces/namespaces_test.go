package namespaces

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/packaging/testbed/lab"
)

// All of it works on the mount table as well.
func TestOnAnOldKernel(t *testing.T) {
	lab.OnOldKernel(t, "^Test(APinnedNamespace|MountsOf|TheFlag|WhatAPath|NoLookup)")
}

func TestEveryNamespaceIsFound(t *testing.T) {
	f := newFixture(t)
	own := f.of(os.Getpid())
	if !own.Self || own.Foreign || f.find().Namespaces[0].ID != own.ID {
		t.Errorf("the own namespace is %+v, want it first", own)
	}
	service := f.settle("", 0)
	if n := f.of(service.command.Process.Pid); n.Self || n.Foreign {
		t.Errorf("a service's namespace is %+v", n)
	}
	user := f.settle("", unix.CLONE_NEWUSER)
	set := f.find()
	if n := f.of(user.command.Process.Pid); !n.Foreign || set.Namespaces[len(set.Namespaces)-1].ID != n.ID {
		t.Errorf("a user's namespace is %+v, want it last and foreign", n)
	}
	if n := f.of(f.thread()); n.Self {
		t.Errorf("a thread's namespace is taken for that of the process: %+v", n)
	}
}

// As snapd keeps the namespace of a program that has ended.
func TestAPinnedNamespaceIsFound(t *testing.T) {
	f := newFixture(t)
	pin := filepath.Join(f.Dir, "pin")
	if err := os.WriteFile(pin, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := f.settleToBePinned(pin)
	id := f.of(r.command.Process.Pid).ID
	t.Cleanup(func() { unix.Unmount(pin, unix.MNT_DETACH) })
	r.leave()
	for _, n := range f.find().Namespaces {
		if n.ID != id {
			continue
		}
		if len(n.Tasks) > 0 || f.mounts(n, f.subvolume(f.Root))["root"].Share != Whole {
			t.Errorf("the pinned namespace is %+v", n)
		}
		return
	}
	t.Error("the pinned namespace is not found")
}

// settleToBePinned has a resident whose namespace is mounted at pin.
//
// A namespace can be mounted only in an older one. Linux 6.18 shows their age by numbers
// that each processor takes from a stock of its own (mnt_ns_loop in fs/namespace.c,
// gen_cookie_next in include/linux/cookie.h; snapd's pull request 17376 is about it): of
// those begun on the processor that the test's own was begun on, each is younger.
func (f *fixture) settleToBePinned(pin string) *resident {
	f.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		f.Fatal(err)
	}
	defer unix.SchedSetaffinity(0, &all)
	for cpu := range len(all) * 64 {
		if !all.IsSet(cpu) {
			continue
		}
		var one unix.CPUSet
		one.Set(cpu)
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			f.Fatal(err)
		}
		r := f.settle("", 0)
		err := unix.Mount(fmt.Sprintf("/proc/%d/ns/mnt", r.command.Process.Pid), pin, "", unix.MS_BIND, "")
		if err == nil {
			return r
		}
		if !errors.Is(err, unix.EINVAL) {
			f.Fatal(err)
		}
		r.leave()
	}
	f.Fatal("the kernel takes every namespace for an older one")
	return nil
}

func TestMountsOfASubvolume(t *testing.T) {
	f := newFixture(t)
	for _, dir := range []string{"root/usr", "root/gone", "a", "b", "c", "d", "e"} {
		if err := os.MkdirAll(filepath.Join(f.Dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// A chroot(2) keeps what is outside from its own mount table.
	r := f.settle(`set -e
		mount --bind root a; mount --bind root/usr b; mount --bind root/home/rrs c; mount --bind root/gone d
		mount --bind root/etc e; mount -o remount,bind,ro b; rmdir root/gone`, 0)
	n := f.of(r.command.Process.Pid)
	got := f.mounts(n, f.subvolume(f.Root))
	for name, want := range map[string]Share{"root": Whole, "a": Whole, "b": Part, "d": Part, "top": Around} {
		m, ok := got[name]
		if !ok || m.Share != want || m.ReadOnly() != (name == "b") {
			t.Errorf("%s is %+v, want share %d", name, m, want)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("there are more: %+v", got)
	}
	got = f.mounts(n, f.subvolume(f.Etc))
	for name, want := range map[string]Share{"root/etc": Whole, "e": Whole, "root": Around, "a": Around, "top": Around} {
		if got[name].Share != want {
			t.Errorf("of /etc, %s is %+v, want share %d", name, got[name], want)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("of /etc there are more: %+v", got)
	}
}

func TestTheFlagIsSetInTheNamespaceAlone(t *testing.T) {
	f := newFixture(t)
	for name, flags := range map[string]uintptr{"a service": 0, "a user": unix.CLONE_NEWUSER} {
		r := f.settle("", flags)
		n, s := f.of(r.command.Process.Pid), f.subvolume(f.Etc)
		m := f.mounts(n, s)["root/etc"]
		if !r.can("exec 3>root/etc/busy") {
			t.Fatalf("%s can't write", name)
		}
		if err := f.set(n, m, true); !errors.Is(err, unix.EBUSY) {
			t.Errorf("%s: with a writer: %v, want EBUSY", name, err)
		}
		r.can("exec 3>&-")
		if err := f.set(n, m, true); err != nil || r.can("touch root/etc/x") {
			t.Errorf("%s: %v, want nil and nothing to be written", name, err)
		}
		if m := f.mounts(n, s)["root/etc"]; !m.ReadOnly() {
			t.Errorf("%s: it is %+v", name, m)
		}
		if err := f.Writable(f.Etc); err != nil {
			t.Errorf("%s: outside: %v", name, err)
		}
		if err := f.set(n, m, false); err != nil || !r.can("touch root/etc/x") {
			t.Errorf("%s: %v, want nil and x to be written", name, err)
		}
	}
}

// What a user made while it was read-only can't be made writable by anyone.
func TestALockedFlagIsReported(t *testing.T) {
	f := newFixture(t)
	if err := unix.Mount("", f.Etc, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	r := f.settle("", unix.CLONE_NEWUSER)
	n, s := f.of(r.command.Process.Pid), f.subvolume(f.Etc)
	if err := f.set(n, f.mounts(n, s)["root/etc"], false); !errors.Is(err, unix.EPERM) {
		t.Errorf("the flag of a user's mount: %v, want EPERM", err)
	}
}

func TestWhatAPathLeadsToIsNotTrusted(t *testing.T) {
	f := newFixture(t)
	for _, dir := range []string{"root/usr", "a", "b"} {
		if err := os.MkdirAll(filepath.Join(f.Dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r := f.settle(`set -e; mount --bind root a; mount --bind root/usr b`, 0)
	n, s := f.of(r.command.Process.Pid), f.subvolume(f.Root)
	at := f.mounts(n, s)
	for _, change := range []string{
		"mount --bind root/usr a",                              // another one lies over it
		"umount a && umount a && mount --bind root/home/rrs a", // in its place, perhaps by the same id
		"umount a && umount b && rmdir a",                      // nothing is there
		"ln -s b a && mount --bind root/usr b",                 // a link
		"rm a && umount b && mkdir -p a && true",               // and a directory
	} {
		if !r.can(change) {
			t.Fatal(change)
		}
		if err := f.set(n, at["a"], true); !errors.Is(err, ErrHidden) {
			t.Errorf("%s: %v, want ErrHidden", change, err)
		}
	}
	if !r.can("touch root/x") {
		t.Error("another mount was changed")
	}
}

// A FUSE server that answers nothing holds up who looks something up there, and not even
// SIGKILL helps. Without an end it would hold up the lock.
func TestNoLookupWaitsForAServer(t *testing.T) {
	f := newFixture(t)
	if _, err := os.Stat("/dev/fuse"); err != nil {
		lab.Unavailable(t, "no /dev/fuse here: modprobe fuse")
	}
	if err := os.MkdirAll(filepath.Join(f.Dir, "a/b"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := f.settle("mount --bind root a/b", 0)
	if !r.can("exec 4<>/dev/fuse && mount -i -t fuse -o fd=4,rootmode=40000,user_id=0,group_id=0,allow_other hung a") {
		t.Fatal("cannot mount a FUSE file system")
	}
	n, s := f.of(r.command.Process.Pid), f.subvolume(f.Root)
	at := f.mounts(n, s)
	began := time.Now()
	if err := f.set(n, at["a/b"], true); !errors.Is(err, ErrAway) {
		t.Errorf("below a server that does not answer: %v, want ErrAway", err)
	}
	if took := time.Since(began); took > visitTimeout/2 {
		t.Errorf("it took %v", took)
	}
	if err := f.set(n, at["root"], true); err != nil {
		t.Error(err)
	}
}

func TestNumbersAreBounded(t *testing.T) {
	f := newFixture(t)
	a := filepath.Join(f.Dir, "a")
	if err := os.Mkdir(a, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for unix.Unmount(a, unix.MNT_DETACH) == nil {
		}
	})
	for range maxMounts {
		if err := unix.Mount(f.Root, a, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
	}
	got := f.visitor(f.subvolume(f.Root)).Mounts(context.Background(), []*Namespace{f.of(os.Getpid())})[0]
	if !errors.Is(got.Err, ErrMany) || len(got.Mounts) < maxMounts/2 {
		t.Errorf("%d mounts and %v, want about %d and ErrMany", len(got.Mounts), got.Err, maxMounts)
	}
}
