"""What lies in mailboxes, and since when: looked at before and after a run, so that nobody who looks slows it."""

import glob
import os
import time

FIRST_LOOK, LATER_LOOKS = 0.05, 0.25  # seconds


class MissingMail(Exception):
    """Not all messages came."""


class Maildirs:
    """The mailboxes that begin with a prefix, of one server; those of all copies."""

    def __init__(self, pattern, prefix):
        """`pattern` matches the domain's folders, as `<store>/mail/*/example.test`; so many digits follow the prefix."""
        self._pattern = os.path.join(pattern, f"{glob.escape(prefix)}[0-9]*")
        self.folders = []

    def find(self, count, seconds_max=60):
        """Waits until so many of them are there. Returns self."""
        deadline = time.monotonic() + seconds_max
        while len(self.folders) < count:
            self.folders = glob.glob(os.path.join(self._pattern, "new"))
            if len(self.folders) < count and time.monotonic() > deadline:
                raise MissingMail(f"{len(self.folders)} of {count} mailboxes are there: {self._pattern}")
        return self

    def files(self):
        """How many messages are there, read or not."""
        return sum(len(os.listdir(folder)) + len(os.listdir(folder[: -len("new")] + "cur")) for folder in self.folders)

    def paths(self):
        return [os.path.join(folder, name) for folder in self.folders for name in os.listdir(folder)]

    def wait(self, count, seconds_max):
        """Waits until so many messages are there. Returns when the last one came, as the time of day: the clock of the
        file system's folders, in steps of some milliseconds."""
        deadline, pause = time.monotonic() + seconds_max, FIRST_LOOK
        while (found := self.files()) < count:
            if time.monotonic() > deadline:
                raise MissingMail(f"{found} of {count} messages are there after {seconds_max} seconds")
            time.sleep(pause)
            pause = LATER_LOOKS
        if found > count:
            raise MissingMail(f"{found} messages are there, and {count} were sent")
        return max(os.stat(folder).st_mtime for folder in self.folders)
