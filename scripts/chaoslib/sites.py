"""Several sites that replicate to each other, as one cluster to the clients, and the links between them, which can fail.

A site is a cluster of its own, on the loopback address, with its processes called SITE/NAME. What a site sends another one
goes through a relay of this run's, which can be cut, and which can swallow answers, so that everything is sent again.
"""

import os
import selectors
import socket
import threading

from .clocks import RightClocks
from .cluster import ChaosCluster
from .disks import PlainDisks
from .network import Loopback
from .registry import FileRegistry

_SECRET = "known to all sites of this run"
_PIECE = 64 << 10


class Relay:
    """Carries connections from one port to another, as long as it is whole."""

    def __init__(self):
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.target = None
        # "whole", "cut" (nothing gets through), or "mute" (what the far side answers is lost).
        self._state = "whole"
        self._lock = threading.Lock()
        self._pairs = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, state):
        """Cuts, mutes or mends it; what is open breaks, unless its answers are to get lost first."""
        with self._lock:
            self._state = state
            pairs = list(self._pairs) if state != "mute" else []
        for pair in pairs:
            _break(pair)

    def close(self):
        self.set("cut")
        self._server.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near):
        try:
            if self._state == "cut":
                raise OSError("cut")
            far = socket.create_connection(("127.0.0.1", self.target), timeout=5)
        except OSError:
            near.close()
            return
        pair = (near, far)
        with self._lock:
            self._pairs.add(pair)
        try:
            self._pump(near, far)
        except OSError:
            pass  # one of the two is gone
        finally:
            with self._lock:
                self._pairs.discard(pair)
            _break(pair)
            near.close()
            far.close()

    def _pump(self, near, far):
        with selectors.DefaultSelector() as selector:
            selector.register(near, selectors.EVENT_READ, far)
            selector.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in selector.select():
                    piece = key.fileobj.recv(_PIECE)
                    if not piece:
                        return
                    if self._state == "mute" and key.fileobj is far:
                        continue
                    key.data.sendall(piece)


def _break(pair):
    for end in pair:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is broken already


class _SiteRegistry(FileRegistry):
    """The configuration's lines that say who the other sites are."""

    def __init__(self, name, others, relays, secret):
        peers = (
            f"{{name: {other}, addresses: ['localhost:{relays[name, other].port}'], tls: none, secretFile: {secret}, "
            "timeout: 10s}" for other in others)
        self.lines = [f"sites: [{', '.join(peers)}]"]


class Sites:
    """What a run needs of its cluster, over all sites."""

    def __init__(self, hauberk, shape, home, names):
        self.names, self.shape = names, shape
        # On a slow machine one fault may still be healed while another begins.
        self._lock = threading.RLock()
        self.relays = {(one, other): Relay() for one in names for other in names if one != other}
        self.clusters = {}
        for name in names:
            folder = os.path.join(home, name)
            os.makedirs(folder)
            secret = os.path.join(folder, "secret")
            with open(secret, "w", encoding="utf-8") as file:
                file.write(_SECRET + "\n")
            others = [other for other in names if other != name]
            self.clusters[name] = ChaosCluster(
                hauberk, shape, folder, Loopback(), PlainDisks(folder, shape.node_names), RightClocks(),
                _SiteRegistry(name, others, self.relays, secret), name)
        for (_, other), relay in self.relays.items():
            relay.target = self.clusters[other].endpoint("smtp-a", "submission")[1]

    # one process

    def _split(self, process):
        site, name = process.split("/")
        return self.clusters[site], name

    def endpoint(self, process, service):
        cluster, name = self._split(process)
        return cluster.endpoint(name, service)

    def frontends(self, service):
        return [f"{site}/{name}" for site, cluster in self.clusters.items() for name in cluster.frontends(service)]

    @property
    def storage_processes(self):
        return [f"{site}/{name}" for site in self.names for name in self.shape.storage_processes]

    def fell(self, process):
        cluster, name = self._split(process)
        with self._lock:
            cluster.fell(name)

    def rise(self, process):
        """Where its whole site was killed and rose meanwhile, it runs already."""
        cluster, name = self._split(process)
        with self._lock:
            if cluster.processes[name].poll() is not None:
                cluster.rise(name)

    def signal(self, process, number):
        cluster, name = self._split(process)
        cluster.signal(name, number)

    def tail(self, process):
        cluster, name = self._split(process)
        return cluster.tail(name)

    def crashed(self):
        return [(f"{site}/{name}", status)
                for site, cluster in self.clusters.items() for name, status in cluster.crashed()]

    # whole sites

    def site_fell(self, site):
        """kill -9 of every process."""
        for name in self.shape.processes:
            self.fell(f"{site}/{name}")

    def site_rises(self, site):
        for name in self.shape.processes:
            self.rise(f"{site}/{name}")

    def start(self):
        for cluster in self.clusters.values():
            cluster.start()

    def stop(self):
        for relay in self.relays.values():
            relay.close()
        return [f"{site}: {text}" for site, cluster in self.clusters.items() for text in cluster.stop()]

    def command(self, *arguments, stdin=""):
        """The same at every site."""
        for cluster in self.clusters.values():
            cluster.command(*arguments, stdin=stdin)

    def add_account(self, address):
        """The same account, with the same password, at every site. Returns the password."""
        password = f"secret of {address}"
        self.command("account", "add", address, "--password-stdin", stdin=password + "\n")
        return password

    # what is where

    def owners(self, mailbox):
        return {f"{site}/{node}": folder for site, cluster in self.clusters.items()
                for node, folder in cluster.owners(mailbox).items()}

    def waiting(self):
        return sum(cluster.waiting() for cluster in self.clusters.values())

    def damaged(self):
        return sum(cluster.damaged() for cluster in self.clusters.values())

    def has_moved(self):
        return all(cluster.has_moved() for cluster in self.clusters.values())
