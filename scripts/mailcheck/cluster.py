"""The development cluster, on free ports and with data in a folder of its own, one process per node."""

import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field

from .ports import PortBlock

START_SECONDS_MAX = 60


class ClusterError(Exception):
    """The cluster does not do what the check needs; the text says what."""


class Cluster:
    def __init__(self, hauberk, source_config, home):
        self.hauberk = hauberk
        self.home = home
        self.config = os.path.join(home, "cluster.yaml")
        self.logs = os.path.join(home, "logs")
        os.makedirs(self.logs)
        self._ports = PortBlock()
        self._moved = {}
        with open(source_config, encoding="utf-8") as file:
            text = file.read()
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(self.with_own_ports(text))
        self.environment = dict(os.environ, HAUBERK_HOME=home, HAUBERK_CONFIG=self.config)
        self.nodes = processes_of(text)
        self.replicas = int(re.search(r"replicas: *(\d+)", text)[1])
        self.processes = {}

    def with_own_ports(self, configuration):
        """The same configuration with this cluster's ports."""
        return re.sub(r"(?<=127\.0\.0\.1:)\d+", self._move, configuration)

    def _move(self, match):
        return str(self.port(int(match[0])))

    def port(self, development_port):
        """Where the port of the development cluster's is in this one."""
        if development_port not in self._moved:
            self._moved[development_port] = self._ports.take()
        return self._moved[development_port]

    # processes

    def start(self):
        for node in self.nodes:
            self.start_node(node)
        for node in self.nodes:
            self.wait_for(node)

    def one_of_each_role(self):
        """The first process of each role."""
        roles = {}
        for name, process in self.nodes.items():
            roles.setdefault(process.role, name)
        return list(roles.values())

    def storage_nodes(self):
        return [name for name, process in self.nodes.items() if process.role == "storage"]

    def start_node(self, node):
        with open(os.path.join(self.logs, f"{node}.log"), "ab") as log:
            self.processes[node] = subprocess.Popen(
                [self.hauberk, "serve", "--config", self.config, "--node", node, "--init"],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait_for(self, node):
        """Waits until the node listens on all its ports."""
        deadline = time.monotonic() + START_SECONDS_MAX
        for port in self.nodes[node].ports:
            while not is_listening(self.port(port)):
                if self.processes[node].poll() is not None:
                    raise ClusterError(f"{node} ended with status {self.processes[node].returncode}: {self.tail(node)}")
                if time.monotonic() > deadline:
                    raise ClusterError(f"{node} does not listen on {self.port(port)}: {self.tail(node)}")
                time.sleep(0.02)

    def kill_and_restart(self, node, seconds_down=0.3):
        """kill -9, a pause, and the node again."""
        self.processes[node].kill()
        self.processes[node].wait()
        time.sleep(seconds_down)
        self.start_node(node)
        self.wait_for(node)

    def lose(self, node):
        """kill -9, and the node never comes back."""
        process = self.processes.pop(node)
        process.kill()
        process.wait()

    def stop(self):
        """Ends all processes as an operator would (SIGTERM). Returns those that did not end well."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        bad = []
        for node, process in self.processes.items():
            try:
                if process.wait(30) != 0:
                    bad.append(f"{node} ended with status {process.returncode} on SIGTERM")
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                bad.append(f"{node} did not end on SIGTERM")
        return bad

    def tail(self, node):
        with open(os.path.join(self.logs, f"{node}.log"), encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-5:]).strip()

    # administration

    def command(self, *arguments, stdin=""):
        result = subprocess.run(
            [self.hauberk, *arguments, "--config", self.config], env=self.environment, input=stdin,
            capture_output=True, text=True, timeout=60)
        if result.returncode != 0:
            raise ClusterError(f"hauberk {' '.join(arguments)}: {result.stderr.strip() or result.stdout.strip()}")
        return result.stdout

    def add_account(self, address):
        """Makes an account. Returns its password."""
        password = secrets.token_urlsafe(12)
        self.command("account", "add", address, "--password-stdin", stdin=password + "\n")
        return password

    def tls_context(self):
        """A client's context that trusts the cluster's own CA and nobody else."""
        context = ssl.create_default_context(cafile=os.path.join(self.home, "certs", "ca.pem"))
        context.check_hostname = False
        return context


def is_listening(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class ProcessOfCluster:
    role: str = "storage"
    ports: list = field(default_factory=list)


def processes_of(configuration):
    """Name, role and ports of each process, taken from a configuration as cluster-config/dev.yaml writes it."""
    processes, current = {}, ProcessOfCluster()
    for line in configuration.splitlines():
        line = line.split("#")[0]
        if named := re.match(r"\s*-\s*name:\s*(\S+)", line):
            current = processes.setdefault(named[1], ProcessOfCluster())
        if service := re.search(r"service:\s*(smtp|submission|lmtp|pop3)", line):
            current.role = "pop3" if service[1] == "pop3" else "smtp"
        current.ports += [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", line)]
    return processes
