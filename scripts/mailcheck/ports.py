"""Free ports on the loopback address that no other run of this program takes meanwhile."""

import fcntl
import os
import random
import socket
import tempfile

# Below Linux' range for outgoing connections (32768 and up), so that none of those can sit on a port of ours.
FIRST, LAST, BLOCK = 20000, 32700, 50


class PortBlock:
    """BLOCK ports in a row, ours as long as this object (and the lock on its file) lives."""

    def __init__(self):
        folder = os.path.join(tempfile.gettempdir(), "hauberk-ports")
        os.makedirs(folder, mode=0o1777, exist_ok=True)
        starts = list(range(FIRST, LAST - BLOCK, BLOCK))
        random.shuffle(starts)
        for start in starts:
            self._lock = os.open(os.path.join(folder, str(start)), os.O_CREAT | os.O_RDWR, 0o666)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._lock)
                continue
            self._free = [port for port in range(start, start + BLOCK) if _is_free(port)]
            if len(self._free) > BLOCK // 2:
                return
            os.close(self._lock)
        raise RuntimeError("no free ports")

    def take(self):
        return self._free.pop(0)


def _is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
