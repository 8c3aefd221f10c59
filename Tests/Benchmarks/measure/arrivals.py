"""When messages appear in a site's Maildirs, as the kernel tells it (inotify)."""

import ctypes
import errno
import glob
import os
import select
import struct
import threading
import time

_IN_CREATE, _IN_MOVED_TO, _IN_Q_OVERFLOW, _IN_CLOEXEC, _IN_NONBLOCK = 0x100, 0x80, 0x4000, 0o2000000, 0o4000
_HEAD = struct.Struct("iIII")


class ArrivalsError(Exception):
    """Not every arrival could be seen, or the last one never came."""


def _inotify(name, *arguments):
    value = getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments)
    if value < 0:
        raise OSError(ctypes.get_errno(), f"{name}: {errno.errorcode.get(ctypes.get_errno())}")
    return value


class Arrivals:
    """Watches all mailboxes that there are under some stores, until it is closed."""

    def __init__(self, stores, copies=1):
        """A message has arrived when so many of its copies are there."""
        self._copies = copies
        self._inotify = _inotify("inotify_init1", _IN_CLOEXEC | _IN_NONBLOCK)
        self._folders = {}
        for store in stores:
            for folder in glob.iglob(os.path.join(glob.escape(store), "mail", "*", "*", "*", "new")):
                watch = _inotify(
                    "inotify_add_watch", self._inotify, os.fsencode(folder), _IN_CREATE | _IN_MOVED_TO)
                self._folders[watch] = folder
        self._seen = {}  # identity: copies that are still to come
        self._times, self._paths = {}, {}
        self._failure, self._is_over = None, False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        poll = select.poll()
        poll.register(self._inotify, select.POLLIN)
        while not self._is_over:
            if poll.poll(100):
                events, now = os.read(self._inotify, 1 << 20), time.monotonic()
                with self._changed:
                    self._note(events, now)
                    self._changed.notify_all()

    def _note(self, events, now):
        at = 0
        while at < len(events):
            watch, mask, _, length = _HEAD.unpack_from(events, at)
            name = os.fsdecode(events[at + _HEAD.size : at + _HEAD.size + length].rstrip(b"\0"))
            at += _HEAD.size + length
            if mask & _IN_Q_OVERFLOW:
                self._failure = "the kernel's queue of arrivals overflowed"
            elif watch in self._folders:
                self._take(name.split(",")[0].split(":")[0], os.path.join(self._folders[watch], name), now)

    def _take(self, identity, path, now):
        left = self._seen.get(identity, self._copies) - 1
        self._seen[identity] = left
        if left == 0:
            self._times[identity] = now
            self._paths[identity] = path

    def wait(self, count, seconds_max):
        """Waits for so many messages. Returns when each of them came, in order, in seconds of the monotonic clock."""
        deadline = time.monotonic() + seconds_max
        with self._changed:
            while len(self._times) < count and not self._failure:
                if not self._changed.wait(min(1.0, max(0.0, deadline - time.monotonic()))):
                    if time.monotonic() >= deadline:
                        raise ArrivalsError(f"{len(self._times)} of {count} messages arrived in {seconds_max} seconds")
            if self._failure:
                raise ArrivalsError(self._failure)
            return sorted(self._times.values())

    def files(self):
        """(when it came, its path) of each message so far."""
        with self._changed:
            return [(when, self._paths[identity]) for identity, when in self._times.items()]

    def close(self):
        self._is_over = True
        self._thread.join()
        os.close(self._inotify)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
