"""Where the membership is kept: the configuration file, or etcd, which may be down while the cluster goes on."""

import os
import ssl
import subprocess
import time
import urllib.error
import urllib.request

from mailcheck.cluster import ClusterError

from .disks import run

_PORT, _PEER_PORT = 2379, 2380
_START_SECONDS_MAX = 60


class FileRegistry:
    """The configuration file: processes read it again when they are told to."""

    # Lines for the configuration.
    lines = ()
    announces_changes = False

    def begin(self, cluster, prefix):
        """What the cluster needs before its first start. `prefix` comes before programs that make certificates."""

    def close(self):
        pass


class Etcd:
    """One member of etcd: processes hear of changes by themselves."""

    announces_changes = True

    def __init__(self, program, home, host):
        self._program, self._home, self._host = program, home, host
        self._log = os.path.join(home, "logs", "etcd.log")
        self._certificate, self._key = os.path.join(home, "etcd.pem"), os.path.join(home, "etcd.key")
        self._url = self._command = self._process = None

    @property
    def lines(self):
        return [
            "membership:", "  kind: etcd", "  etcd:", f'    endpoints: ["https://{self._host}:{_PORT}"]',
            f"    ca: {self._certificate}", "    leaseTime: 5s", "    timeout: 3s"]

    def begin(self, cluster, prefix):
        run(
            *prefix, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "30", "-subj", "/CN=etcd", "-addext", f"subjectAltName=IP:{self._host}", "-keyout", self._key,
            "-out", self._certificate)
        own_port = cluster.port if self._host == "127.0.0.1" else lambda port: port
        self._url, peer = f"https://{self._host}:{own_port(_PORT)}", f"http://{self._host}:{own_port(_PEER_PORT)}"
        self._command = [
            self._program, "--name", "chaos", "--data-dir", os.path.join(self._home, "etcd"),
            "--listen-client-urls", self._url, "--advertise-client-urls", self._url,
            "--cert-file", self._certificate, "--key-file", self._key,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"chaos={peer}"]
        self.start()
        cluster.command("membership", "init")

    def start(self):
        """Returns once it takes changes."""
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS_MAX
        while not self._is_healthy():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise ClusterError(f"etcd does not start; see {self._log}")
            time.sleep(0.1)

    def _is_healthy(self):
        try:
            trust = ssl.create_default_context(cafile=self._certificate)
            with urllib.request.urlopen(f"{self._url}/health", timeout=2, context=trust) as answer:
                return b'"true"' in answer.read()
        except (OSError, urllib.error.URLError):
            return False

    def kill(self):
        """kill -9."""
        self._process.kill()
        self._process.wait()

    def close(self):
        if self._process:
            self.kill()
