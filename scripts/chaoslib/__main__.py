"""Tortures a cluster of real processes, and checks that no mail was lost, came back, came twice, or changed.

Senders and readers work on several mailboxes through all frontends while a plan that the seed makes (kill -9, SIGSTOP,
cut networks, full, failing and read-only disks, lost power, jumping clocks) befalls one or two processes at a time.
Then all is healed, and every copy is compared with what every client was told.

Exit status: 0 if all is well, 1 if not, 2 if the run itself could not be made.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile

from mailcheck.cluster import ClusterError

from . import checker, disks, exports, final, nemeses, network, registry, selftest
from .clocks import CERTIFICATES_AGE_SECONDS, MovableClocks, RightClocks
from .cluster import ChaosCluster
from .configuration import FRONTENDS, Shape
from .sites import Sites
from .history import History, load
from .plan import AT_SITES, KINDS, OF_SITES, plan
from .workload import Workload

MAILBOXES = [f"reader{number}@example.test" for number in range(24)]
LINES_MAX = 10
# What a run has beside a cut of the line at least.
CALM_SECONDS = 20


def say(text):
    print(f"chaos: {text}", file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, metavar="N", help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, metavar="S", help="makes the plan (default: a new one, which is printed)")
    parser.add_argument("--replicas", type=int, metavar="R", help="copies of each mailbox (default: 2)")
    parser.add_argument("--quorum", type=int, metavar="W", help="copies before the 250 (default: R, but at most 2)")
    parser.add_argument("--nodes", type=int, metavar="N", help="storage nodes (default: R + 2)")
    parser.add_argument(
        "--one-file", action="store_true", help="delivery.deliveredTo: single, so that recipients of a message share files")
    parser.add_argument(
        "--nemeses", metavar="A,B,…", help=f"of {', '.join(KINDS)} (default: all that this machine allows)")
    parser.add_argument(
        "--plain", action="store_true", help="folders and the loopback address: kill, stop, members, etcd and fsync are left")
    parser.add_argument(
        "--export", action="store_true",
        help="stores on NFS, each served by two processes at once, and NFS that fails as NFS does (default: 1 node, R=1)")
    parser.add_argument(
        "--sites", type=int, default=1, metavar="N",
        help="so many clusters that replicate to each other, on the loopback address (default: 1)")
    parser.add_argument(
        "--cut-seconds", type=float, metavar="N",
        help="how long the line between two sites is cut, both ways; a run begins with that (default: 2 to 60 s, one way)")
    parser.add_argument("--strict", action="store_true", help="late, flickered and reappeared messages fail the run too")
    parser.add_argument("--strict-resend", action="store_true", help="so do messages that their senders sent twice")
    parser.add_argument("--keep", action="store_true", help="keep the whole folder, the nodes' disks too")
    parser.add_argument("--check", metavar="FILE", help="judge a history that is there (with --quorum), and run nothing")
    parser.add_argument("--self-test", action="store_true", help="show that the checker finds what it must, and run nothing")
    parser.add_argument("--hauberk", help=argparse.SUPPRESS)
    parser.add_argument("--peers", default="", help=argparse.SUPPRESS)
    parser.add_argument("--isolated", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.nemeses = options.nemeses.split(",") if options.nemeses else []
    for kind in options.nemeses:
        if kind not in KINDS:
            parser.error(f"{kind} is none of {', '.join(KINDS)}")
    options.replicas = options.replicas or (1 if options.export else 2)
    options.quorum = options.quorum or min(options.replicas, 2)
    options.nodes = options.nodes or options.replicas + (0 if options.export else 2)
    if not 1 <= options.quorum <= options.replicas <= options.nodes:
        parser.error(f"R={options.replicas} W={options.quorum} with {options.nodes} nodes: 1 <= W <= R <= nodes")
    if options.sites > 1 and (options.export or options.strict):
        parser.error("--sites does not go together with --export or --strict")
    if options.cut_seconds is not None:
        check_cut(parser, options)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000)
    return options


def check_cut(parser, options):
    """A cut needs a line, and time for what comes after it."""
    if options.sites < 2:
        parser.error("--cut-seconds needs --sites")
    if options.nemeses and "link" not in options.nemeses:
        parser.error("--cut-seconds needs link among the --nemeses")
    if not 0 < options.cut_seconds <= options.seconds - CALM_SECONDS:
        parser.error(f"--cut-seconds {options.cut_seconds:g} needs --seconds {options.cut_seconds + CALM_SECONDS:g} at least")


class CannotRun(Exception):
    """This machine does not allow what was asked for."""


class Run:
    """One cluster from its start to its end."""

    def __init__(self, options, home):
        self.options, self.home = options, home
        self.shape = Shape(options.nodes, options.replicas, options.quorum, servers=2 if options.export else 1,
                           one_file=options.one_file)
        self.sites = [f"site-{number}" for number in range(1, options.sites + 1)] if options.sites > 1 else []
        self.history = History(os.path.join(home, "history.jsonl"))
        self.tools = nemeses.find_tools(options.peers)
        self.network, why_loopback = network.choose(
            self.shape.processes, options.isolated, "several sites" if self.sites else None)
        self.disks, why_folders = self._choose_disks()
        say(f"network: {self.network.description}{f' ({why_loopback})' if why_loopback else ''}")
        say(f"disks: {self.disks.description}{f' ({why_folders})' if why_folders else ''}")
        self.registry = registry.FileRegistry()
        self.cluster = self.workload = self.nemeses = None

    def _choose_disks(self):
        options = self.options
        if self.sites:
            return disks.choose(self.home, [], options.seconds, False)
        if not options.export:
            return disks.choose(self.home, self.shape.node_names, options.seconds, options.isolated)
        if not options.isolated or exports.SERVER not in self.tools or not os.path.exists("/dev/fuse"):
            raise CannotRun("--export needs root, namespaces, FUSE, and what scripts/peers fetches")
        return exports.Exports(self.home, self.shape, options.peers, options.seed), None

    def _choose_registry(self, kinds):
        if nemeses.ETCD not in kinds:
            return registry.FileRegistry()
        return registry.Etcd(self.tools[nemeses.ETCD], self.home, self.network.clients_host)

    def _abilities(self):
        able = {
            "network": self.network.can_be_cut, "disks": self.disks.can_fail, "namespaces": self.options.isolated,
            "one server per store": self.shape.servers == 1, "two durable copies": self.shape.quorum >= 2,
            "sites": bool(self.sites)}
        return {need for need, can in able.items() if can} | set(self.tools)

    def _choose_kinds(self):
        known = AT_SITES if self.sites else [kind for kind in KINDS if kind not in OF_SITES]
        lacks = {kind: nemeses.lacking(kind, self._abilities()) for kind in known}
        if self.options.nemeses:
            for kind in self.options.nemeses:
                needs = lacks.get(kind, ["one cluster" if self.sites else "--sites"])
                if needs:
                    raise CannotRun(f"{kind} cannot be had here: it needs {', '.join(needs)}")
            return self.options.nemeses
        for kind, needs in lacks.items():
            if needs:
                say(f"left out: {kind} (it needs {', '.join(needs)})")
        return [kind for kind in known if not lacks[kind]]

    def run(self):
        """The whole story, up to the findings."""
        options = self.options
        kinds = self._choose_kinds()
        if self.sites:
            self.cluster = Sites(os.path.abspath(options.hauberk), self.shape, self.home, self.sites)
            self._torture(plan(
                options.seed, options.seconds, kinds, self.cluster.storage_processes,
                [f"{site}/{name}" for site in self.sites for name in FRONTENDS],
                [f"{one}>{other}" for one, other in self.cluster.relays], self.sites, options.cut_seconds))
            return
        clocks = MovableClocks(self.home, self.tools["libfaketime"]) if "clock" in kinds else RightClocks()
        self.registry = self._choose_registry(kinds)
        self.cluster = ChaosCluster(
            os.path.abspath(options.hauberk), self.shape, self.home, self.network, self.disks, clocks, self.registry)
        if "clock" in kinds:
            clocks.set("certificates", -CERTIFICATES_AGE_SECONDS)
            self.cluster.make_certificates(clocks.prefix("certificates"))
        self.registry.begin(self.cluster, clocks.prefix("certificates"))
        self._torture(plan(options.seed, options.seconds, kinds, self.shape.storage_processes, list(FRONTENDS)))

    def _torture(self, steps):
        options = self.options
        self.cluster.start()
        self.cluster.command("domain", "add", "example.test")
        passwords = {mailbox: self.cluster.add_account(mailbox) for mailbox in MAILBOXES}
        self.disks.begin_trouble()
        self.history.restart()
        self.workload = Workload(self.cluster, self.history, passwords, options.seed)
        self.nemeses = nemeses.Nemeses(self.cluster, self.tools, self.history, steps, options.seconds)
        self.workload.start()
        self.nemeses.run()
        self.workload.end()
        self.disks.end_trouble()
        say(f"healed after {self.history.now():.0f} s; waiting for what waits in spools")
        final.wait_until_drained(self.cluster, self.history)
        say(f"reading everything after {self.history.now():.0f} s")
        final.read_everything(self.cluster, self.history, passwords)

    def close(self):
        """Ends every process, and everything that was made for them."""
        if self.nemeses:
            self.nemeses.ended.set()
        if self.workload:
            self.workload.ended.set()
        if self.cluster:
            for text in self.cluster.stop():
                self.history.problem(text)
        self.history.close()
        self.registry.close()
        self.disks.close()
        self.network.close()

    def summary(self, findings):
        counts = " ".join(f"{word}={findings.count(word)}" for word in (
            "acknowledged", "unknown", "deleted", *checker.FAILING, "resent", *checker.STRICT, "refused"))
        done = self.nemeses.done if self.nemeses else {}
        faults = ",".join(f"{kind}:{done[kind]}" for kind in KINDS if kind in done) or "none"
        return (
            f"chaos seed={self.options.seed} seconds={self.options.seconds:g} R={self.shape.replicas} "
            f"W={self.shape.quorum} {counts} operations={operations(self.history.events)} nemeses={faults}")


def operations(events):
    """Messages sent, maildrops opened, messages read, and messages deleted while the faults went on."""
    count = 0
    for event in events:
        if event["kind"] == "send":
            count += 1
        elif event["kind"] == "session" and not event["final"]:
            count += 1 + len(event["read"]) + len(event["deleted"])
    return count


def tell(findings, sites=()):
    """Not what is late between sites: they converge, and are not expected to agree before."""
    for problem in findings.problems[:LINES_MAX]:
        say(f"problem: {problem}")
    for word, lines in findings.lines.items():
        if word != "resent" and not (sites and word in checker.STRICT):
            for line in list(lines.values())[:LINES_MAX]:
                say(f"{word}: {line}")
            if len(lines) > LINES_MAX:
                say(f"{word}: and {len(lines) - LINES_MAX} more")


def check_file(options):
    """Judges a history that an earlier run has kept."""
    findings = checker.judge(load(options.check), options.quorum)
    tell(findings)
    print(" ".join(f"{word}={findings.count(word)}" for word in ("acknowledged", *checker.FAILING, *checker.STRICT)))
    return 1 if findings.failed(options.strict, options.strict_resend) else 0


def interrupted(_number, _frame):
    raise KeyboardInterrupt


def make_run(options):
    home = tempfile.mkdtemp(prefix="hauberk-chaos-")
    say(f"seed {options.seed}, in {home}")
    run, status = None, 2
    try:
        run = Run(options, home)
        try:
            run.run()
        except (ClusterError, OSError) as error:
            run.history.problem(str(error))
        finally:
            run.close()
        findings = checker.judge(run.history.events, options.quorum)
        tell(findings, run.sites)
        status = 1 if findings.failed(options.strict, options.strict_resend) else 0
        print(run.summary(findings), flush=True)
    except CannotRun as error:
        say(str(error))
    except OSError as error:
        say(str(error))
        status = 1
    except KeyboardInterrupt:
        say("interrupted")
        status = 130
    finally:
        clean(home, run, keep=options.keep, failed=run is not None and status == 1)
    return status


def clean(home, run, keep, failed):
    """Leaves nothing after a good run; the history and the logs after one that failed."""
    if keep or failed:
        say(f"the history is {os.path.join(home, 'history.jsonl')}, the logs are in {os.path.join(home, 'logs')}")
    if keep:
        return
    if not failed:
        shutil.rmtree(home, ignore_errors=True)
        return
    for folder in ("nodes", "exports", "etcd", *(f"{site}/nodes" for site in run.sites)):
        shutil.rmtree(os.path.join(home, folder), ignore_errors=True)
    for name in run.shape.node_names:
        image = os.path.join(home, f"{name}.img")
        if os.path.exists(image):
            os.unlink(image)


def main():
    options = arguments()
    if options.self_test:
        return selftest.run()
    if options.check:
        return check_file(options)
    signal.signal(signal.SIGTERM, interrupted)
    return make_run(options)


if __name__ == "__main__":
    sys.exit(main())
