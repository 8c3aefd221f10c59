"""The network between the processes: a namespace for each, joined by a bridge, or the loopback address for all.

The bridge is in a network namespace of this run's own (scripts/chaos makes it), where the clients are too; nothing is
changed outside of it, and all is gone with its last process.

A packet is dropped where it arrives: a rule before all others, the local table's too, makes its sender's address one
that leads nowhere, and the kernel drops it without a word, as a firewall would.
"""

import socket
import subprocess
import time

from .disks import run

_PREFIX = "10.87.0."
_FIRST_HOST = 11
_LOCAL_RULE = 1000


class Loopback:
    """One address for all: nothing can be cut."""

    description = "all on the loopback address"
    can_be_cut = False
    # Where clients are, and what is no part of the cluster.
    clients_host = "127.0.0.1"

    def host(self, _name):
        return "127.0.0.1"

    def command(self, _name):
        """What to put before a command that is to run at a process's place."""
        return []

    def close(self):
        pass


class Namespaces:
    """A network namespace for each process."""

    description = "a network namespace for each process"
    can_be_cut = True
    clients_host = f"{_PREFIX}1"

    def __init__(self, names):
        self._hosts = {name: f"{_PREFIX}{_FIRST_HOST + number}" for number, name in enumerate(names)}
        self._holders = {}
        try:
            self._build()
        except OSError:
            self.close()
            raise

    def _build(self):
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "bridge", "type", "bridge")
        run("ip", "address", "add", f"{_PREFIX}1/24", "dev", "bridge")
        run("ip", "link", "set", "bridge", "up")
        for number, name in enumerate(self._hosts):
            # It only holds the namespace, from restart to restart of the process that lives there.
            self._holders[name] = subprocess.Popen(
                ["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            self._holders[name].stdout.readline()
            holder = str(self._holders[name].pid)
            run("ip", "link", "add", f"port{number}", "type", "veth", "peer", "name", "eth0", "netns", holder)
            run("ip", "link", "set", f"port{number}", "master", "bridge", "up")
            self._at(name, "link", "set", "lo", "up")
            self._at(name, "address", "add", f"{self._hosts[name]}/24", "dev", "eth0")
            self._at(name, "link", "set", "eth0", "up")
            self._at(name, "rule", "add", "pref", str(_LOCAL_RULE), "lookup", "local")
            self._at(name, "rule", "delete", "pref", "0")

    def _at(self, name, *words):
        run(*self.command(name), "ip", *words)

    def host(self, name):
        return self._hosts[name]

    def command(self, name):
        return ["nsenter", "-t", str(self._holders[name].pid), "-n"]

    def cut(self, cuts):
        """Drops the packets of each pair (from, to)."""
        for source, target in cuts:
            self._at(target, "rule", "add", "pref", "1", "from", self._hosts[source], "blackhole")

    def mend(self, cuts):
        for source, target in cuts:
            self._at(target, "rule", "delete", "pref", "1", "from", self._hosts[source], "blackhole")

    def close(self):
        for holder in self._holders.values():
            holder.kill()
            holder.wait()
            holder.stdout.close()
        try:
            run("ip", "link", "delete", "bridge")
        except OSError:
            pass  # never made


def choose(names, isolated, why_together=None):
    """Namespaces where this run has a network namespace of its own and `ip` works in it.

    Unless there is a reason to have all on the loopback address, which has to be brought up in such a namespace.
    """
    if not isolated:
        return Loopback(), "no namespaces of its own"
    if not why_together:
        try:
            return Namespaces(names), None
        except OSError as error:
            why_together = str(error)
    subprocess.run(["ip", "link", "set", "lo", "up"], capture_output=True, check=False)
    return Loopback(), why_together


def wait_until_listening(host, port, is_alive, seconds_max):
    """Whether something listens there before the time is over or its process has ended."""
    deadline = time.monotonic() + seconds_max
    while is_alive() and time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex((host, port)) == 0:
                return True
        time.sleep(0.02)
    return False
