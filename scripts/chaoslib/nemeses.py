"""What befalls the cluster: each kind of fault is a class with `inject` and `heal`, and an entry of KINDS.

A further kind is a class here, an entry in KINDS, and an entry in plan.KINDS that says what it befalls and for how long.
"""

import os
import random
import shutil
import signal
import subprocess
import threading
import time

from mailcheck.cluster import ClusterError

from . import exports, stores

ETCD = "etcd"
_MEMBERS_TRIES_MAX = 5


class Nemesis:
    """One fault, as the plan's step says. `inject` and `heal` return when it is done."""

    # What it needs beside the program itself: "disks", "network", "namespaces", or a tool's name.
    needs = ()

    def __init__(self, cluster, tools, step):
        self.cluster, self.tools, self.step = cluster, tools, step
        self.target = step.target

    def inject(self):
        raise NotImplementedError

    def heal(self):
        raise NotImplementedError


class Kill(Nemesis):
    """kill -9; healed by a new start."""

    def inject(self):
        self.cluster.fell(self.target)

    def heal(self):
        self.cluster.rise(self.target)


class Stop(Nemesis):
    """SIGSTOP: connections stay, and nothing answers."""

    def inject(self):
        self.cluster.signal(self.target, signal.SIGSTOP)

    def heal(self):
        self.cluster.signal(self.target, signal.SIGCONT)


class Members(Nemesis):
    """A node is to be emptied; healed by giving it its share again. Each time all mail of its partitions moves."""

    needs = ("one server per store",)

    def inject(self):
        self._change("drain", self.step.detail["node"])

    def heal(self):
        self._change("set-weight", self.step.detail["node"], "1")

    def _change(self, *words):
        for tries_left in reversed(range(_MEMBERS_TRIES_MAX)):
            try:
                self.cluster.command("node", *words)
                break
            except ClusterError:
                # etcd was down a moment ago, or is slow.
                if tries_left == 0:
                    raise
                time.sleep(2)
        self.cluster.announce()


class RegistryDown(Nemesis):
    """etcd is killed: the membership cannot change, and processes start with what they knew."""

    needs = (ETCD, "openssl", "one server per store")

    def inject(self):
        self.cluster.registry.kill()

    def heal(self):
        self.cluster.registry.start()


class Partition(Nemesis):
    """Packets between two sides are dropped, both ways or one."""

    needs = ("network",)

    def inject(self):
        self.cluster.network.cut(self.step.detail["cuts"])

    def heal(self):
        self.cluster.network.mend(self.step.detail["cuts"])


class FullDisk(Nemesis):
    """No free block is left."""

    needs = ("disks",)

    def inject(self):
        self.cluster.disks.fill(self.target)

    def heal(self):
        self.cluster.disks.empty(self.target)


class NoInodes(Nemesis):
    """No free inode is left."""

    needs = ("disks",)

    def inject(self):
        self.cluster.disks.fill_inodes(self.target)

    def heal(self):
        self.cluster.disks.empty_inodes(self.target)


class FailingFsync(Nemesis):
    """Every fsync of the running process gives EIO, and syncs nothing."""

    needs = ("strace",)
    _tracer = None

    def inject(self):
        process = str(self.cluster.processes[self.target].pid)
        self._tracer = subprocess.Popen(
            [self.tools["strace"], "-f", "-q", "-p", process, "-e", "trace=fsync,fdatasync", "-e",
             "inject=fsync,fdatasync:error=EIO", "-o", os.devnull],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(0.2)
        if self._tracer.poll() is not None:
            raise ClusterError(f"strace: {self._tracer.stderr.read().strip()}")

    def heal(self):
        self._tracer.send_signal(signal.SIGINT)
        try:
            self._tracer.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            # A crowded machine: the kernel lets go of what a tracer that is killed has traced.
            self._tracer.kill()
            self._tracer.communicate()


class PowerLoss(Nemesis):
    """The disk forgets what was not synced and fails from then on; the process dies a moment later."""

    needs = ("disks",)

    def inject(self):
        self.cluster.will_fall(self.target)
        self.cluster.disks.cut_power(self.target)
        self.cluster.fell(self.target)

    def heal(self):
        self.cluster.disks.unmount(self.target)
        self.cluster.disks.mount(self.target)
        self.cluster.rise(self.target)


class ReadOnlyDisk(Nemesis):
    """The file system meets an error and goes read-only; healed as an operator would: stop, check, mount, start."""

    needs = ("disks",)

    def inject(self):
        self.cluster.disks.fail(self.target)

    def heal(self):
        self.cluster.fell(self.target)
        self.cluster.disks.repair(self.target)
        self.cluster.rise(self.target)


class Rot(Nemesis):
    """The disk gives a wrong bit in some messages, all on one node, of which there is a good copy elsewhere.

    It heals by itself: who reads such a copy mends it, and the scrub does.
    """

    needs = ("two durable copies",)
    _FILES_MAX = 5

    def inject(self):
        noise = random.Random(f"rot {self.step.number}")
        disks, nodes = self.cluster.disks, self.cluster.shape.node_names
        files = stores.files_with_copies(
            disks.data(self.target), [disks.data(node) for node in nodes if node != self.target])
        for paths in noise.sample(files, min(len(files), self._FILES_MAX)):
            try:
                digest = stores.flip_bit(paths[0], noise)
            except OSError:
                continue  # deleted or handed over meanwhile, or the disk has another fault
            self.cluster.rotten += [(path, digest) for path in paths]

    def heal(self):
        pass


class ClockJump(Nemesis):
    """The process's time of day jumps, and jumps back."""

    needs = ("libfaketime", "namespaces")

    def inject(self):
        self.cluster.clocks.set(self.target, self.step.detail["offset"])

    def heal(self):
        self.cluster.clocks.set(self.target, 0)


class Link(Nemesis):
    """Nothing gets from one site to another, or between the two, for up to a minute or as long as it was said."""

    needs = ("sites",)
    state = "cut"

    def inject(self):
        self._set(self.state)

    def heal(self):
        self._set("whole")

    def _set(self, state):
        for link in self.step.targets:
            self.cluster.relays[tuple(link.split(">"))].set(state)


class Mute(Link):
    """What the other site answers gets lost: it has what is sent again."""

    state = "mute"


class Site(Nemesis):
    """Every process of a site is killed; healed by new starts."""

    needs = ("sites",)

    def inject(self):
        self.cluster.site_fell(self.target)

    def heal(self):
        self.cluster.site_rises(self.target)


KINDS = {
    "kill": Kill,
    "stop": Stop,
    "members": Members,
    "etcd": RegistryDown,
    "partition": Partition,
    "full": FullDisk,
    "inodes": NoInodes,
    "fsync": FailingFsync,
    "power": PowerLoss,
    "clock": ClockJump,
    "readonly": ReadOnlyDisk,
    "rot": Rot,
    "link": Link,
    "mute": Mute,
    "site": Site,
}


def find_tools(peers):
    """Paths of tools by their names: what scripts/peers fetched, or the machine's own strace."""
    tools = {}
    if openssl := shutil.which("openssl"):
        tools["openssl"] = openssl
    for name in (ETCD, exports.SERVER):
        path = os.path.join(peers, "bin", name)
        if os.access(path, os.X_OK):
            tools[name] = path
    strace = os.path.join(peers, "bin", "strace")
    strace = strace if os.access(strace, os.X_OK) else shutil.which("strace")
    # Not every container lets processes be traced.
    if strace and subprocess.run([strace, "-o", os.devnull, "true"], capture_output=True, check=False).returncode == 0:
        tools["strace"] = strace
    for folder, _, files in os.walk(os.path.join(peers, "root", "usr", "lib")):
        if "libfaketimeMT.so.1" in files:
            tools["libfaketime"] = os.path.join(folder, "libfaketimeMT.so.1")
    return tools


def lacking(kind, abilities):
    """What this machine lacks for a kind of fault; empty if nothing."""
    return [need for need in KINDS[kind].needs if need not in abilities]


class Nemeses:
    """Carries out the plan, each step on a thread of its own."""

    def __init__(self, cluster, tools, history, steps, seconds):
        self.cluster, self.tools, self.history = cluster, tools, history
        self.steps, self.seconds = steps, seconds
        self.done = {}
        # Once it is set nothing more begins.
        self.ended = threading.Event()
        self._lock = threading.Lock()
        # On a slow machine a fault may still be healed when the plan has the next one for its target.
        self._targets = {step.target: threading.Lock() for step in steps}

    def run(self):
        """Returns when the time is over and everything is healed."""
        threads = [threading.Thread(target=self._carry_out, args=(step,), daemon=True) for step in self.steps]
        for thread in threads:
            thread.start()
        while self.history.now() < self.seconds:
            for node, status in self.cluster.crashed():
                self.history.problem(f"{node} ended by itself with status {status}: {self.cluster.tail(node)}")
                self.cluster.rise(node)
            time.sleep(0.2)
        for thread in threads:
            thread.join()

    def _carry_out(self, step):
        if self.ended.wait(max(step.at - self.history.now(), 0)):
            return
        nemesis = KINDS[step.kind](self.cluster, self.tools, step)
        with self._targets[step.target]:
            try:
                self._note(step, "inject", nemesis.inject)
                self.ended.wait(max(step.until - self.history.now(), 0))
                self._note(step, "heal", nemesis.heal)
                with self._lock:
                    self.done[step.kind] = self.done.get(step.kind, 0) + 1
            except Exception as error:  # pylint: disable=broad-except
                self.history.problem(f"{step}: {error!r}")

    def _note(self, step, phase, action):
        """Each phase is in the history with its beginning and end: between the two either may be so."""
        start = self.history.now()
        action()
        self.history.add(
            "nemesis", number=step.number, fault=step.kind, target=step.target, detail=step.detail, what=str(step),
            phase=phase, start=start, end=self.history.now())
