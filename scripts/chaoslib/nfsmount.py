"""An NFS client in user space: mounts an export by FUSE, and fails now and then as NFS does.

usage: python3 -m chaoslib.nfsmount PEERS HOST:PORT EXPORT FOLDER SEED SWITCH

PEERS is where scripts/peers unpacked libnfs, libfuse2 and fusepy. Runs until FOLDER is unmounted. While the first byte
of the file SWITCH is "1":

- what was done is sometimes told as a failure: the answer of a first request got lost, and its repetition finds the work
  done (link and mkdir: EEXIST, unlink, rmdir and rename: ENOENT);
- a handle is sometimes stale (ESTALE) when a file or a folder is opened, as after a server's replacement.

Nothing is remembered from one call to the next (`lookupcache=none`, `actimeo=0`): attributes are the server's.
"""

import ctypes
import errno
import itertools
import mmap
import os
import random
import stat
import sys
import threading

CONNECTIONS = 4
# libnfs 4.0 does not get more through in one piece.
WRITE_OCTETS_MAX = 3000
READ_OCTETS_MAX = 65536
STALE_ONE_IN, REPEATED_ONE_IN = 400, 15


class Attributes(ctypes.Structure):
    """libnfs' struct nfs_stat_64."""

    _fields_ = [(name, ctypes.c_uint64) for name in (
        "dev", "ino", "mode", "nlink", "uid", "gid", "rdev", "size", "blksize", "blocks", "atime", "mtime", "ctime",
        "atime_nsec", "mtime_nsec", "ctime_nsec", "used")]

    def as_dict(self):
        words = {f"st_{name}": getattr(self, name) for name in ("ino", "mode", "nlink", "uid", "gid", "size", "blocks")}
        for name in ("atime", "mtime", "ctime"):
            words[f"st_{name}"] = getattr(self, name) * 1_000_000_000 + getattr(self, f"{name}_nsec")
        return words


class FileSystemSize(ctypes.Structure):
    """libnfs' struct nfs_statvfs_64."""

    _fields_ = [(name, ctypes.c_uint64) for name in (
        "f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree", "f_favail", "f_fsid", "f_flag",
        "f_namemax")]

    def as_dict(self):
        return {name: getattr(self, name) for name, _ in self._fields_ if name != "f_fsid"}


class Entry(ctypes.Structure):
    """The beginning of libnfs' struct nfsdirent."""


Entry._fields_ = [("next", ctypes.POINTER(Entry)), ("name", ctypes.c_char_p), ("inode", ctypes.c_uint64)]


class Connection:
    """One of libnfs' contexts: it does one thing at a time."""

    def __init__(self, library, host, port, export, name):
        self._library = library
        self._lock = threading.Lock()
        self._context = ctypes.c_void_p(library.nfs_init_context())
        url = library.nfs_parse_url_dir(self._context, f"nfs://{host}{export}?version=4&nfsport={port}".encode())
        if not url:
            raise OSError(errno.EINVAL, self._said())
        # The server tells its clients apart by this name.
        library.nfs4_set_client_name(self._context, name.encode())
        library.nfs_set_dircache(self._context, 0)
        if library.nfs_mount(self._context, host.encode(), export.encode()) < 0:
            raise OSError(errno.EIO, self._said())

    def _said(self):
        return (self._library.nfs_get_error(self._context) or b"").decode(errors="replace")

    def call(self, function, *arguments):
        """Calls nfs_FUNCTION. Raises OSError with its error number."""
        with self._lock:
            result = getattr(self._library, f"nfs_{function}")(self._context, *arguments)
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result

    def names(self, path):
        """All that is in a folder, as the server tells it now."""
        directory = ctypes.c_void_p()
        self.call("opendir", path.encode(), ctypes.byref(directory))
        with self._lock:
            names = []
            while entry := self._library.nfs_readdir(self._context, directory):
                names.append(entry.contents.name.decode())
            self._library.nfs_closedir(self._context, directory)
        return names


class Export:
    """The operations of a mount, as fusepy calls them."""

    use_ns = True

    def __init__(self, library, host, port, export, seed, switch):
        self._turns, self._numbers, self._files = itertools.count(), itertools.count(1), {}
        self._connect = lambda: Connection(library, host, port, export, f"{os.getpid()}.{next(self._numbers)}")
        self._connections = [self._connect() for _ in range(CONNECTIONS)]
        self._noise = random.Random(seed)
        with open(switch, "rb") as file:
            self._switch = mmap.mmap(file.fileno(), 1, prot=mmap.PROT_READ)

    def __call__(self, operation, *arguments):
        method = getattr(self, operation, None)
        if method is None:
            raise OSError(errno.ENOSYS, operation)
        return method(*arguments)

    # faults

    def _fails(self, one_in):
        return self._switch[0:1] == b"1" and self._noise.randrange(one_in) == 0

    def _may_be_stale(self):
        if self._fails(STALE_ONE_IN):
            raise OSError(errno.ESTALE, "stale")

    def _may_be_repeated(self, number):
        """The work is done, and its first answer was lost."""
        if self._fails(REPEATED_ONE_IN):
            raise OSError(number, os.strerror(number))

    # calls

    def _some_connection(self):
        """Each in turn, so that none is silent for so long that the server forgets it."""
        return self._connections[next(self._turns) % CONNECTIONS]

    def _call(self, function, *arguments):
        return self._some_connection().call(function, *arguments)

    def _call_with(self, handle, function, *arguments):
        """What is done to an open file goes by the connection that opened it."""
        connection, file = self._files[handle]
        return connection.call(function, file, *arguments)

    # names

    def getattr(self, path, opened=None):
        attributes = Attributes()
        if opened is None:
            self._call("lstat64", path.encode(), ctypes.byref(attributes))
        else:
            self._call_with(opened.fh, "fstat64", ctypes.byref(attributes))
        return attributes.as_dict()

    def link(self, target, source):
        self._may_be_stale()
        self._call("link", source.encode(), target.encode())
        self._may_be_repeated(errno.EEXIST)

    def rename(self, old, new):
        self._call("rename", old.encode(), new.encode())
        self._may_be_repeated(errno.ENOENT)

    def unlink(self, path):
        self._call("unlink", path.encode())
        self._may_be_repeated(errno.ENOENT)

    def mkdir(self, path, mode):
        self._call("mkdir2", path.encode(), mode)
        self._may_be_repeated(errno.EEXIST)

    def rmdir(self, path):
        self._call("rmdir", path.encode())
        self._may_be_repeated(errno.ENOENT)

    def chmod(self, path, mode):
        self._call("chmod", path.encode(), stat.S_IMODE(mode))

    def chown(self, path, uid, gid):
        self._call("chown", path.encode(), uid, gid)

    def truncate(self, path, length, opened=None):
        if opened is None:
            self._call("truncate", path.encode(), ctypes.c_uint64(length))
        else:
            self._call_with(opened.fh, "ftruncate", ctypes.c_uint64(length))

    def statfs(self, path):
        size = FileSystemSize()
        self._call("statvfs64", path.encode(), ctypes.byref(size))
        return size.as_dict()

    def opendir(self, path):
        self._may_be_stale()
        self.getattr(path)
        return 0

    def readdir(self, path, _opened):
        return self._some_connection().names(path)

    def fsyncdir(self, _path, _datasync, _opened):
        """A server answers a change of a directory once it is durable."""
        return 0

    # files

    def open(self, path, opened):
        self._may_be_stale()
        return self._open(path, opened, opened.flags, 0)

    def create(self, path, mode, opened):
        self._may_be_stale()
        return self._open(path, opened, opened.flags | os.O_CREAT, mode)

    def _open(self, path, opened, flags, mode):
        for tries_left in reversed(range(CONNECTIONS)):
            connection, file = self._some_connection(), ctypes.c_void_p()
            try:
                connection.call("open2", path.encode(), flags, mode, ctypes.byref(file))
                break
            except OSError as error:
                # Not a POSIX error: libnfs lost count of its opens (NFS4ERR_BAD_SEQID), as it does where a folder on the way
                # is gone. That connection opens nothing any more.
                if error.errno != errno.ERANGE or tries_left == 0:
                    raise
                self._replace(connection)
        opened.fh = next(self._numbers)
        self._files[opened.fh] = connection, file
        return 0

    def _replace(self, connection):
        if connection in self._connections:
            self._connections[self._connections.index(connection)] = self._connect()

    def read(self, _path, size, offset, opened):
        parts = []
        while size > 0:
            wanted = min(size, READ_OCTETS_MAX)
            buffer = ctypes.create_string_buffer(wanted)
            count = self._call_with(opened.fh, "pread", ctypes.c_uint64(offset), ctypes.c_uint64(wanted), buffer)
            parts.append(buffer.raw[:count])
            offset, size = offset + count, size - count
            if count < wanted:
                break
        return b"".join(parts)

    def write(self, _path, data, offset, opened):
        written = 0
        while written < len(data):
            piece = data[written:written + WRITE_OCTETS_MAX]
            written += self._call_with(
                opened.fh, "pwrite", ctypes.c_uint64(offset + written), ctypes.c_uint64(len(piece)), piece)
        return written

    def flush(self, _path, _opened):
        return 0

    def fsync(self, _path, _datasync, opened):
        self._call_with(opened.fh, "fsync")

    def release(self, _path, opened):
        try:
            self._call_with(opened.fh, "close")
        finally:
            del self._files[opened.fh]


def main():
    peers, place, export, folder, seed, switch = sys.argv[1:]
    libraries = {
        name: os.path.join(found, name) for found, _, files in os.walk(os.path.join(peers, "root"))
        for name in files if name in ("libnfs.so.13", "libfuse.so.2", "fusepy.py")}
    os.environ["FUSE_LIBRARY_PATH"] = libraries["libfuse.so.2"]
    sys.path.append(os.path.dirname(libraries["fusepy.py"]))
    import fusepy  # pylint: disable=import-error,import-outside-toplevel

    library = ctypes.CDLL(libraries["libnfs.so.13"])
    library.nfs_init_context.restype = ctypes.c_void_p
    library.nfs_parse_url_dir.restype = ctypes.c_void_p
    library.nfs_get_error.restype = ctypes.c_char_p
    library.nfs_readdir.restype = ctypes.POINTER(Entry)
    host, port = place.rsplit(":", 1)
    fusepy.FUSE(
        Export(library, host, port, export, seed, switch), folder, raw_fi=True, foreground=True, fsname="nfs",
        use_ino=True, readdir_ino=True, direct_io=True, big_writes=True, attr_timeout=0, entry_timeout=0,
        negative_timeout=0)


if __name__ == "__main__":
    main()
