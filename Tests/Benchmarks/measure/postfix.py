"""Postfix, from Debian's package as scripts/peers unpacked it: it gathers a queue, and relays it when it is told to."""

import glob
import os
import subprocess
import time

from mailcheck.cluster import is_listening
from mailcheck.ports import PortBlock

START_SECONDS_MAX = 60

# Compiled-in defaults, other than where things are and who may relay: twenty connections to a destination at most, reused
# while there is a queue. What is to be relayed waits until the queue is flushed.
_MAIN = """\
compatibility_level = 3.6
queue_directory = /peer/queue
data_directory = /peer/postfix
maillog_file = /peer/log
maillog_file_prefixes = /peer
myhostname = relay.example.test
mydestination =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relay_domains = {domain}
relay_transport = smtp
transport_maps = inline:{{{{{domain}=smtp:[127.0.0.1]:{target}}}}}
defer_transports = smtp
"""

_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class PostfixError(Exception):
    """Postfix cannot be had or run here; the text says why."""


class Postfix:
    def __init__(self, starter, home, domain, target):
        """`starter` is scripts/peers' of it; `target` is the port to which mail for `domain` is relayed."""
        if not os.access(starter, os.X_OK):
            raise PostfixError(f"{starter} is not there: scripts/peers fetches it")
        self._starter, self._home = starter, home
        self._ports = PortBlock()
        self.port = self._ports.take()
        folder = os.path.join(home, "etc", "postfix")
        os.makedirs(folder)
        os.makedirs(os.path.join(home, "queue"))
        for name, text in (("main.cf", _MAIN.format(domain=domain, target=target)),
                           ("master.cf", _MASTER.format(port=self.port))):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        with open(os.path.join(home, "output"), "wb") as output:
            self._process = subprocess.Popen(
                [starter, home, "postfix", "start-fg"], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        deadline = time.monotonic() + START_SECONDS_MAX
        while not is_listening(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise PostfixError(f"it does not start: {self._last_words()}")
            time.sleep(0.1)

    def _last_words(self):
        words = ""
        for name in ("output", "log"):
            path = os.path.join(self._home, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    words = (file.read().strip().splitlines() or [words])[-1]
        return words

    def deferred(self):
        return len(glob.glob(os.path.join(glob.escape(self._home), "queue", "deferred", "*", "*")))

    def wait_until_deferred(self, count, seconds_max):
        deadline = time.monotonic() + seconds_max
        while self.deferred() < count:
            if time.monotonic() > deadline:
                raise PostfixError(f"{self.deferred()} of {count} messages are in its queue: {self._last_words()}")
            time.sleep(0.1)

    def flush(self):
        subprocess.run([self._starter, self._home, "postqueue", "-f"], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL)

    def close(self):
        """Its first process is not told of SIGTERM; without it none of the others lives."""
        self._process.kill()
        self._process.wait()
