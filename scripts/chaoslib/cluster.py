"""The cluster under test: mailcheck's, with each process at a place of its own, and with processes that die on purpose."""

import json
import os
import signal
import subprocess
import threading

from mailcheck.cluster import START_SECONDS_MAX, Cluster, ClusterError

from . import configuration, stores
from .network import wait_until_listening


class ChaosCluster(Cluster):
    def __init__(self, hauberk, shape, home, network, disks, clocks, registry, name="chaos"):
        places = configuration.addresses(shape, network.host)
        source = os.path.join(home, "chaos.yaml")
        texts = {
            side: configuration.text(shape, places, disks.data, side, registry.lines, name) for side in shape.sides}
        with open(source, "w", encoding="utf-8") as file:
            file.write(texts["a"])
        super().__init__(hauberk, source, home)
        self._configs = {"a": self.config}
        for side in shape.sides[1:]:
            self._configs[side] = os.path.join(home, f"cluster-{side}.yaml")
            with open(self._configs[side], "w", encoding="utf-8") as file:
                file.write(self.with_own_ports(texts[side]))
        self.shape, self.network, self.disks, self.clocks, self.registry = shape, network, disks, clocks, registry
        self._places = places
        self._has_store = set()
        # Files in which a bit was changed, and what they were then.
        self.rotten = []
        # Processes that are down on purpose: whoever took them down starts them again.
        self._down = set()
        self._lock = threading.Lock()

    def endpoint(self, name, service):
        """Host and port where a process serves: smtp, pop3, lmtp or store."""
        host, port = self._places[name][service]
        return host, self.port(port) if host == "127.0.0.1" else port

    def frontends(self, service):
        return [name for name, services in self._places.items() if service in services]

    def make_certificates(self, prefix):
        """The CA's and the processes', by commands with something before them."""
        for words in (["certs", "init"], ["certs", "issue", "--all"]):
            result = subprocess.run(
                [*prefix, self.hauberk, *words, "--config", self.config], env=self.environment,
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            if result.returncode != 0:
                raise ClusterError(f"hauberk {' '.join(words)}: {result.stderr.strip()}")

    # processes

    def start(self):
        """Side after side: a store's second server finds what the first one has made."""
        for side in self.shape.sides:
            processes = [name for name in self.shape.processes if self.shape.side(name) == side]
            for name in processes:
                self.start_node(name)
            for name in processes:
                self.wait_for(name)

    def start_node(self, node):
        """Makes the store at the first start only: later on an empty folder would be a lost store, and must be told."""
        name = self.shape.node(node)
        first = name not in self._has_store
        self._has_store.add(name)
        command = [
            *self.network.command(node), *self.clocks.prefix(node), self.hauberk, "serve", "--config",
            self._configs[self.shape.side(node)], "--node", name, *(["--init"] if first else [])]
        with open(os.path.join(self.logs, f"{node}.log"), "ab") as log:
            self.processes[node] = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait_for(self, node):
        for service in self._places[node]:
            host, port = self.endpoint(node, service)
            process = self.processes[node]
            if not wait_until_listening(host, port, lambda: process.poll() is None, START_SECONDS_MAX):
                status = "" if process.poll() is None else f" (ended with status {process.returncode})"
                raise ClusterError(f"{node} does not listen on {host}:{port}{status}: {self.tail(node)}")

    def will_fall(self, node):
        """From now on nobody takes it for a crash if the process ends."""
        with self._lock:
            self._down.add(node)

    def fell(self, node):
        """kill -9."""
        self.will_fall(node)
        self.processes[node].kill()
        self.processes[node].wait()

    def rise(self, node):
        """Starts a process that is down, and waits until it listens."""
        self.start_node(node)
        with self._lock:
            self._down.discard(node)
        self.wait_for(node)

    def signal(self, node, number):
        self.processes[node].send_signal(number)

    def announce(self):
        """Tells every process that is up that the configuration has changed, storage nodes first; a start reads it anyway."""
        if self.registry.announces_changes:
            return
        for node in [*self.shape.node_names, *configuration.FRONTENDS]:
            with self._lock:
                if node not in self._down and self.processes[node].poll() is None:
                    self.signal(node, signal.SIGHUP)

    def has_moved(self):
        """Whether every node answers, goes by the ring of the configuration, and has no mail of others."""
        result = subprocess.run(
            [self.hauberk, "status", "--json", "--config", self.config], env=self.environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return result.returncode == 0 and json.loads(result.stdout)["hasMoved"]

    def crashed(self):
        """Processes that ended although nobody wanted it: (name, status). They count as down from then on."""
        with self._lock:
            ended = [
                (node, process.returncode) for node, process in self.processes.items()
                if node not in self._down and process.poll() is not None]
            self._down.update(node for node, _ in ended)
        return ended

    def stop(self):
        """Ends all as an operator would; what is down is left out, what is stopped goes on first."""
        for node in list(self.processes):
            if self.processes[node].poll() is not None and node in self._down:
                del self.processes[node]
            else:
                self.signal(node, signal.SIGCONT)
        return super().stop()

    # what is where

    def owners(self, mailbox):
        """Folder of the mailbox on each of its owners: {node: folder}."""
        found = json.loads(self.command("locate", mailbox, "--json"))
        return {owner["node"]: owner["folder"] for owner in found["mailboxes"][0]["owners"]}

    def damaged(self):
        """How many files are still what a fault of the disk made of them."""
        self.rotten = [(path, digest) for path, digest in self.rotten if stores.is_still(path, digest)]
        return len(self.rotten)

    def waiting(self):
        """How many messages and tombstones wait in handoff on all nodes."""
        count = 0
        for node in self.shape.node_names:
            for folder, _, files in os.walk(os.path.join(self.disks.data(node), "spool")):
                if os.path.basename(folder) in ("new", "cur", "gone"):
                    count += len(files)
        return count
