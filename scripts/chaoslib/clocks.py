"""Clocks that can be moved while a process runs: libfaketime, loaded before the program, reads how far from a file.

Only in a mount namespace of the run's own.
"""

import os

from .disks import run

# The cluster's certificates are older than any jump back, or a jump would cut a process off as a partition does.
CERTIFICATES_AGE_SECONDS = 86_400


class RightClocks:
    """Nothing is loaded: every process has the machine's clock."""

    def prefix(self, _name):
        """What to put before a program."""
        return []


class MovableClocks:
    """The time of day can be moved; clocks that measure time spans, and files' times, stay right."""

    def __init__(self, home, library):
        self._folder = os.path.join(home, "clocks")
        self._library = library
        os.makedirs(self._folder)
        # Killed processes leave libfaketime's shared memory behind: here it goes with the run.
        run("mount", "-t", "tmpfs", "tmpfs", "/dev/shm")

    def prefix(self, name):
        """What to put before a program.

        libfaketime sets FAKETIME_SHARED before the program starts. One that is there already is replaced in its place;
        a new one would move the environment, and beside it Swift looks for the program's arguments.
        """
        if not os.path.exists(os.path.join(self._folder, name)):
            self.set(name, 0)
        return [
            "env", f"LD_PRELOAD={self._library}", "FAKETIME_SHARED=/none /none",
            f"FAKETIME_TIMESTAMP_FILE={os.path.join(self._folder, name)}", "FAKETIME_CACHE_DURATION=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1", "FAKETIME_DONT_RESET=1"]

    def set(self, name, seconds):
        """How far a process's clock is off; it looks once a second."""
        path = os.path.join(self._folder, name)
        with open(f"{path}.new", "w", encoding="ascii") as file:
            file.write(f"{seconds:+d}\n")
        os.replace(f"{path}.new", path)
