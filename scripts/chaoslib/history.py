"""Every operation and every fault of a run with its times, in memory and as JSON lines."""

import json
import threading
import time


class History:
    """Events are dictionaries with a `kind`; times are seconds since the start, of a clock that does not jump."""

    def __init__(self, path):
        self.path = path
        self.events = []
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._file = open(path, "w", encoding="utf-8")

    def restart(self):
        """From now on time counts from here."""
        self._start = time.monotonic()

    def now(self):
        return round(time.monotonic() - self._start, 6)

    def add(self, kind, **values):
        event = {"kind": kind, **values}
        line = json.dumps(event)
        with self._lock:
            # A run that was interrupted does not wait for its clients.
            if not self._file.closed:
                self.events.append(event)
                self._file.write(line + "\n")

    def problem(self, text):
        """Something that fails the run whatever the mail looks like."""
        self.add("problem", time=self.now(), text=text)

    def close(self):
        with self._lock:
            self._file.close()


def load(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]
