"""Stores on NFS, each served by two processes at once: nfs-ganesha exports them, and each process has a mount of its own.

Two servers on one export are how mail is lost where servers rely on locks or caches; here nothing may be lost or doubled.
Needs a mount namespace of the run's own.
"""

import os
import subprocess
import sys
import time

from .disks import PlainDisks, unmount_lazily
from .network import wait_until_listening

SERVER = "ganesha.nfsd"
_HOST, _PORT = "127.0.0.1", 20490
_START_SECONDS_MAX = 30
_HEAD = """
NFS_CORE_PARAM {{ Protocols = 4; Enable_UDP = false; Enable_NLM = false; Enable_RQUOTA = false; NFS_Port = {port};
    Bind_addr = {host}; Plugins_Dir = "{plugins}"; }}
NFSv4 {{ Graceless = true; RecoveryRoot = "{recovery}"; Lease_Lifetime = 120; UseGetpwnam = true;
    DomainName = "example.test"; Allow_Numeric_Owners = true; Only_Numeric_Owners = true; }}
"""
_EXPORT = """
EXPORT {{ Export_Id = {number}; Path = "{path}"; Pseudo = "/{name}"; Access_Type = RW; Squash = No_Root_Squash;
    SecType = sys; Protocols = 4; Transports = TCP; FSAL {{ Name = VFS; }} }}
"""


class Exports(PlainDisks):
    """A folder and an NFS export for each node, and a mount of it for each process that serves the node's store."""

    description = "NFS exports (nfs-ganesha), each mounted twice (libnfs)"

    def __init__(self, home, shape, peers, seed):
        self._peers, self._home, self._processes = peers, home, []
        self._mounted = shape.storage_processes
        self._switch = os.path.join(home, "nfs-trouble")
        self.end_trouble()
        try:
            self._serve(shape)
            for number, process in enumerate(shape.storage_processes):
                self._mount(process, shape.node(process), seed + number)
        except OSError:
            self.close()
            raise
        super().__init__(home, shape.storage_processes)

    def data(self, name):
        return os.path.join(self._folder(name), "store")

    def _folder(self, process):
        return os.path.join(self._home, "mounts", process)

    def _serve(self, shape):
        plugins = next(
            folder for folder, _, files in os.walk(os.path.join(self._peers, "root")) if "libfsalvfs.so" in files)
        recovery = os.path.join(self._home, "recovery")
        os.makedirs(recovery)
        text = _HEAD.format(host=_HOST, port=_PORT, plugins=plugins, recovery=recovery)
        for number, node in enumerate(shape.node_names, 1):
            path = os.path.join(self._home, "exports", node)
            os.makedirs(path)
            text += _EXPORT.format(number=number, path=path, name=node)
        configuration = os.path.join(self._home, "ganesha.conf")
        with open(configuration, "w", encoding="utf-8") as file:
            file.write(text)
        self._start("ganesha", [
            os.path.join(self._peers, "bin", SERVER), "-F", "-L", os.path.join(self._home, "ganesha.log"),
            "-f", configuration, "-p", os.path.join(self._home, "ganesha.pid")])
        server = self._processes[-1]
        if not wait_until_listening(_HOST, _PORT, lambda: server.poll() is None, _START_SECONDS_MAX):
            raise OSError("nfs-ganesha does not start")

    def _mount(self, process, node, seed):
        folder = self._folder(process)
        os.makedirs(folder)
        log = self._start(f"mount-{process}", [
            sys.executable, "-B", "-m", "chaoslib.nfsmount", self._peers, f"{_HOST}:{_PORT}", f"/{node}", folder,
            str(seed), self._switch])
        deadline = time.monotonic() + _START_SECONDS_MAX
        while not os.path.ismount(folder):
            if self._processes[-1].poll() is not None or time.monotonic() > deadline:
                with open(log, encoding="utf-8", errors="replace") as file:
                    raise OSError(f"{node}'s export cannot be mounted: {file.read().strip()[-300:]}")
            time.sleep(0.05)

    def _start(self, name, command):
        log = os.path.join(self._home, f"{name}.out")
        with open(log, "ab") as output:
            self._processes.append(
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output))
        return log

    # what may happen to it

    def begin_trouble(self):
        self._set_trouble(b"1")

    def end_trouble(self):
        self._set_trouble(b"0")

    def _set_trouble(self, value):
        # In its place: the mounts have mapped it.
        with open(self._switch, "r+b" if os.path.exists(self._switch) else "wb") as file:
            file.write(value)

    def close(self):
        unmount_lazily(self._folder(process) for process in self._mounted)
        for process in self._processes:
            process.kill()
            process.wait()
