"""A mail server of other people's, in a folder of its own, as scripts/peers unpacked it."""

import os
import subprocess
import time

from mailcheck.cluster import is_listening
from mailcheck.ports import PortBlock

from .processes import tree

START_SECONDS_MAX = 60
# Whom scripts/peer-root makes for mailboxes.
READER = 60105


class PeerError(Exception):
    """A server that cannot be had or run here; the text says why."""


class PeerServer:
    """What the folder is outside, is /peer inside."""

    def __init__(self, starter, home):
        if not os.access(starter, os.X_OK):
            raise PeerError(f"{starter} is not there: scripts/peers fetches it")
        self.starter, self.home = starter, home
        self._ports = PortBlock()
        self._process = None
        os.makedirs(home, exist_ok=True)

    def take_port(self):
        return self._ports.take()

    def write(self, path, text):
        """Writes a file of its configuration; `path` is below the folder."""
        path = os.path.join(self.home, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def make_mail_folder(self, domain):
        """`mail/<domain>` below the folder, in which the server may make mailboxes."""
        path = self.home
        for name in ("mail", domain):
            path = os.path.join(path, name)
            os.mkdir(path)
            os.chown(path, READER, READER)

    def start(self, command, ports):
        """Runs a command in there, and waits until all ports listen."""
        with open(os.path.join(self.home, "output"), "wb") as output:
            self._process = subprocess.Popen(
                [self.starter, self.home, *command], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        deadline = time.monotonic() + START_SECONDS_MAX
        while not all(is_listening(port) for port in ports):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise PeerError(f"{os.path.basename(self.starter)} does not start: {self.last_words()}")
            time.sleep(0.1)

    def run(self, *command):
        """Runs another command in there."""
        result = subprocess.run([self.starter, self.home, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                check=False)
        if result.returncode != 0:
            raise PeerError(f"{' '.join(command)}: {result.stderr.strip()}")

    @property
    def roots(self):
        """Its first process; all others descend from it."""
        return [self._process.pid]

    def pids(self):
        return tree(self.roots)

    def last_words(self):
        words = ""
        for name in ("output", "log"):
            path = os.path.join(self.home, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    words = (file.read().strip().splitlines() or [words])[-1]
        return words

    def close(self):
        """Its first process is not told of SIGTERM; without it none of the others lives."""
        if self._process:
            self._process.kill()
            self._process.wait()
