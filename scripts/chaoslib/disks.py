"""The storage nodes' disks: a small ext4 file system in a file for each, or plain folders where that cannot be had.

The mounts are in a mount namespace of this run's own (scripts/chaos makes it), so that they, and their loop devices,
are gone with its last process, however it ends.
"""

import ctypes
import fcntl
import os
import subprocess
import time

DISK_MIB = 512
# Few, so that they are soon used up: for the mail that is there, and for the tombstones of each second of a run.
_INODES, _INODES_PER_SECOND = 6_000, 40
_EXT4_IOC_SHUTDOWN = 0x8004587D
_WITHOUT_LOG_FLUSH = ctypes.c_uint32(2)
_UMOUNT_SECONDS_MAX = 20


def run(*command):
    """Runs a system tool. Raises OSError with what it said if it fails."""
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if result.returncode != 0:
        raise OSError(f"{' '.join(command)}: {(result.stderr or result.stdout).strip()}")
    return result.stdout


def unmount_lazily(folders):
    """Whoever still uses one may go on. A start that failed half way has not mounted all."""
    for folder in folders:
        try:
            run("umount", "-l", folder)
        except OSError:
            pass  # never mounted


class PlainDisks:
    """Folders: nothing can be done to them."""

    description = "plain folders"
    can_fail = False

    def __init__(self, home, names):
        self.home = home
        for name in names:
            os.makedirs(self.data(name), exist_ok=True)

    def data(self, name):
        """The root of a node's store."""
        return os.path.join(self.home, "nodes", name, "store")

    def begin_trouble(self):
        """What happens by itself may happen from now on."""

    def end_trouble(self):
        """And not any more."""

    def close(self):
        pass


class LoopDisks(PlainDisks):
    """A loop-mounted ext4 for each node. The store is a folder in it, so that what fills the disk lies beside it."""

    description = f"an ext4 file system of {DISK_MIB} MiB for each node"
    can_fail = True

    def __init__(self, home, names, seconds):
        self.names = names
        self.home = home
        self._inodes = int(_INODES + _INODES_PER_SECOND * seconds)
        for name in names:
            with open(self._image(name), "wb") as image:
                image.truncate(DISK_MIB << 20)
            run("mkfs.ext4", "-q", "-F", "-N", str(self._inodes), self._image(name))
            os.makedirs(self._folder(name))
            self.mount(name)
        super().__init__(home, names)

    def _image(self, name):
        return os.path.join(self.home, f"{name}.img")

    def _folder(self, name):
        return os.path.join(self.home, "nodes", name)

    def _filler(self, name):
        return os.path.join(self._folder(name), "filler")

    def mount(self, name):
        run("mount", "-o", "loop,errors=remount-ro", self._image(name), self._folder(name))

    def unmount(self, name):
        """Its process must have ended; what it had open may take a moment to go."""
        deadline = time.monotonic() + _UMOUNT_SECONDS_MAX
        while True:
            try:
                run("umount", self._folder(name))
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    # what may happen to a disk

    def cut_power(self, name):
        """Every write that was not synced is lost, and from now on nothing works until it is mounted again."""
        descriptor = os.open(self._folder(name), os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, bytes(_WITHOUT_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def fill(self, name):
        """Takes all blocks that are free."""
        descriptor = os.open(self._filler(name), os.O_CREAT | os.O_WRONLY)
        try:
            size, step = 0, 64 << 20
            while step >= 4096:
                try:
                    os.posix_fallocate(descriptor, size, step)
                    size += step
                except OSError:
                    step //= 4
        finally:
            os.close(descriptor)

    def empty(self, name):
        os.unlink(self._filler(name))
        self._sync(name)

    def fill_inodes(self, name):
        """Takes all inodes that are free."""
        os.mkdir(self._filler(name))
        for number in range(2 * self._inodes):
            try:
                os.mknod(f"{self._filler(name)}/{number}")
            except OSError:
                return

    def empty_inodes(self, name):
        for entry in os.scandir(self._filler(name)):
            os.unlink(entry.path)
        os.rmdir(self._filler(name))
        self._sync(name)

    def _sync(self, name):
        """So that the next power cut does not bring the filler back."""
        descriptor = os.open(self._folder(name), os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def fail(self, name):
        """An error of the file system: it goes read-only, as ext4 does when its disk fails."""
        device = run("findmnt", "-n", "-o", "SOURCE", self._folder(name)).strip()
        with open(f"/sys/fs/ext4/{os.path.basename(device)}/trigger_fs_error", "w", encoding="ascii") as trigger:
            trigger.write("1")

    def repair(self, name):
        """Mends the file system after `fail`: nobody may use it meanwhile."""
        self.unmount(name)
        # 1: errors were found and are mended.
        status = subprocess.run(
            ["e2fsck", "-fy", self._image(name)], capture_output=True, stdin=subprocess.DEVNULL, check=False)
        if status.returncode > 1:
            raise OSError(f"e2fsck of {name}'s disk: {status.stdout.decode(errors='replace').strip()}")
        self.mount(name)

    def close(self):
        unmount_lazily(self._folder(name) for name in self.names)


def choose(home, names, seconds, isolated):
    """Loop-mounted disks where this run has a mount namespace of its own and the machine has loop devices."""
    if not isolated:
        return PlainDisks(home, names), "no namespaces of its own"
    try:
        return LoopDisks(home, names, seconds), None
    except OSError as error:
        for name in names:
            subprocess.run(["umount", os.path.join(home, "nodes", name)], capture_output=True, check=False)
        return PlainDisks(home, names), str(error)
