#!/usr/bin/env python3
"""Measures the development cluster beside the machine's own limit, and compares with the budgets.

The cluster of cluster-config/dev.yaml runs on free ports in a temporary folder, with 100 mailboxes. Each work is run
three times, in an order that rotates, with a pause for the disk before each. The machine's own limits run in the same
rounds: the bare loop of the same system calls, on the same file system, and a bare NIO server that echoes lines. A second
cluster, with two copies of each mailbox, is measured with all nodes well and with one that hangs (SIGSTOP). Figures are
medians. The generator shares the machine's cores with the servers, but its CPU is not counted as theirs. Nothing is
removed before all is measured.

Exit status: 0 if every budget is met, 1 if not, 2 if the measurement itself failed.
"""

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(REPOSITORY, "scripts"))

from mailcheck.cluster import Cluster, ClusterError  # pylint: disable=wrong-import-position

from measure import report, runs, sessions  # pylint: disable=wrong-import-position
from measure.processes import resident_kib  # pylint: disable=wrong-import-position

MAILBOXES = 100
OCTETS = 4096
USERS = "user%d@example.test"
PASSWORD = "measured, not secret"
# Concurrency and how many messages or cycles a run has.
MAIL = {1: 1500, 8: 4000, 32: 8000}
ECHO_CONNECTIONS, ECHO_LINES = 64, 200_000
# So many that the few which wait until the hanging node is given up are far less than a hundredth.
HANGING_CONNECTIONS, HANGING_MESSAGES, HANGING_NODE = 8, 4000, "store-3"


class Bench:
    def __init__(self, cluster, options):
        self.cluster, self.options = cluster, options
        self.rounds = 1 if options.quick else 3
        self.shrink = 4 if options.quick else 1
        self.pause = 1 if options.quick else 4
        self.bare_loops = 0

    def pids(self):
        return [process.pid for process in self.cluster.processes.values()]

    def prepare(self):
        """Accounts, and one session each, so that caches are as in a site that runs."""
        self.cluster.start()
        self.cluster.command("domain", "add", "example.test")
        for number in range(MAILBOXES):
            self.cluster.command(
                "account", "add", USERS.replace("%d", str(number)), "--password-stdin", stdin=PASSWORD + "\n")
        self.read(8, "login", MAILBOXES)
        self.send(8, MAILBOXES)

    # works

    def send(self, connections, messages, *more):
        target = f"127.0.0.1:{self.cluster.port(2525)}"
        return self.mail("smtp", target, connections, messages, *more)

    def mail(self, protocol, target, connections, messages, *more):
        return runs.load(
            self.cluster, self.pids(), protocol, "--target", target, "--connections", connections, "--messages", messages,
            "--size", OCTETS, "--recipient", USERS, "--mailboxes", MAILBOXES, "--pipeline", *more)

    def send_to_node(self, connections, messages):
        """Straight into a storage node, as a frontend with its certificate would."""
        certificates = os.path.join(self.cluster.home, "certs")
        return self.mail(
            "lmtp", f"127.0.0.1:{self.cluster.port(2401)}", connections, messages, "--cluster", "--bdat",
            "--node", "store-1", "--ca", os.path.join(certificates, "ca.pem"), "--certificate", os.path.join(certificates, "smtp-a.pem"),
            "--key", os.path.join(certificates, "smtp-a.key"))

    def read(self, at_once, task, count, *more):
        return runs.load(
            self.cluster, self.pids(), "pop3", "--target", f"127.0.0.1:{self.cluster.port(1110)}", "--connections",
            at_once, "--sessions", count, "--users", USERS, "--mailboxes", MAILBOXES, "--password", PASSWORD, "--do",
            task, *more)

    def bare_loop(self, threads, cycles):
        self.bare_loops += 1
        folder = os.path.join(self.cluster.home, f"bare-{self.bare_loops}")
        return runs.bare_loop(self.options.bare_loop, folder, threads, cycles, OCTETS, MAILBOXES)["rate"]

    def line_echo(self):
        return runs.line_echo(self.options.line_echo, ECHO_CONNECTIONS, ECHO_LINES // self.shrink)

    # the rounds

    def mail_works(self):
        works = {}
        for connections, count in MAIL.items():
            count //= self.shrink
            works[f"SMTP, {connections} connection{'s' * (connections > 1)}"] = lambda c=connections, n=count: self.send(c, n)
            works[f"bare loop, {connections}"] = lambda c=connections, n=count: self.bare_loop(c, n)
        works["SMTP, 32, a connection per message"] = lambda: self.send(
            32, MAIL[32] // self.shrink // 2, "--messages-per-connection", 1)
        for connections in (8, 32):
            count = MAIL[connections] // self.shrink
            works[f"LMTP into a node, {connections} connections"] = lambda c=connections, n=count: self.send_to_node(c, n)
        return works

    def read_works(self):
        count = MAILBOXES * (1 if self.options.quick else 2)
        return {
            "POP3 RETR, lock-step, 1 session": lambda: self.read(1, "retr", count // 2),
            "POP3 RETR, lock-step, 32 sessions": lambda: self.read(32, "retr", count),
            "POP3 RETR, pipelined, 32 sessions": lambda: self.read(32, "retr", count, "--pipeline"),
            "POP3 login, STAT, QUIT, 32 at once": lambda: self.read(32, "login", count * 5),
        }

    def rotate(self, works):
        return runs.rotate(works, self.rounds, self.pause, say)

    def measure(self):
        figures = {"machine": runs.machine(), "mail": {}, "read": {}}
        figures["ringNanoseconds"] = runs.ring_lookup(self.options.ring_lookup, 100)
        figures["ringNanosecondsOf1000Nodes"] = runs.ring_lookup(self.options.ring_lookup, 1000)
        figures["idle"] = self.idle_memory()
        results = self.rotate({**self.mail_works(), "NIO line echo": self.line_echo})
        echoes = results.pop("NIO line echo")
        figures["lineEcho"] = {key: statistics.median(echo[key] for echo in echoes) for key in echoes[0]}
        bare = {name: statistics.median(rates) for name, rates in results.items() if name.startswith("bare")}
        for name, summaries in results.items():
            if name in bare:
                continue
            row = figures["mail"][name] = runs.medians(summaries)
            row["bareLoop"] = bare[f"bare loop, {re.search('[0-9]+', name)[0]}"]
            row["ofBareLoop"] = row["rate"] / row["bareLoop"]
        for name, summaries in self.rotate(self.read_works()).items():
            figures["read"][name] = runs.medians(summaries)
        return figures

    # a node that hangs

    def measure_hanging(self):
        """Latencies of messages whose text goes to two nodes: all of them well, and from the first message on one hanging."""
        results = {"well": [], "hanging": []}
        for number in range(self.rounds):
            say(f"round {number + 1} of {self.rounds}: two copies, all nodes well, and one that hangs")
            runs.settle(self.pause)
            results["well"].append(self.send(HANGING_CONNECTIONS, HANGING_MESSAGES))
            runs.settle(self.pause)
            node = self.cluster.processes[HANGING_NODE]
            node.send_signal(signal.SIGSTOP)
            try:
                results["hanging"].append(self.send(HANGING_CONNECTIONS, HANGING_MESSAGES))
            finally:
                node.send_signal(signal.SIGCONT)
        return {name: runs.medians(summaries) for name, summaries in results.items()}

    # memory

    def idle_memory(self):
        """KiB of resident memory per idle session, over all processes of the cluster."""
        context = sessions.unverified_context()
        kinds = {
            "SMTP plain": lambda number: sessions.smtp_session(self.cluster.port(2526), None),
            "SMTP with TLS": lambda number: sessions.smtp_session(self.cluster.port(2526), context),
            "POP3 plain": lambda number: self.pop3_session(1110, None, number),
            "POP3 with TLS": lambda number: self.pop3_session(1995, context, number),
        }
        return {name: self.memory_of(name, make) for name, make in kinds.items()}

    def pop3_session(self, port, context, number):
        user = USERS.replace("%d", str(number % MAILBOXES))
        return sessions.pop3_session(self.cluster.port(port), context, user, PASSWORD)

    def memory_of(self, name, make):
        count = 250 if self.options.quick else 1000
        say(f"{count} idle sessions: {name}")
        return round(sessions.memory_of(make, count, lambda: resident_kib(self.pids()))[0], 1)


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def roomy_configuration(home, copies):
    """The development cluster's, with so many copies of each mailbox, and room for a thousand sessions from one address."""
    with open(os.path.join(REPOSITORY, "cluster-config", "dev.yaml"), encoding="utf-8") as file:
        text = re.sub(r"(replicas|durableCopies): *\d+", rf"\1: {copies}", file.read())
    path = os.path.join(home, "source.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + "\nsmtp: {connectionsPerAddressMax: 5000}\npop3: {connectionsPerAddressMax: 5000}\n")
    return path


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench cluster", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hauberk", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--bare-loop", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--line-echo", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--ring-lookup", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="one short round: shows that all works, not how fast")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--home", metavar="DIR", help="where to make the temporary folder (default: $TMPDIR)")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    return parser.parse_args()


def with_cluster(options, home, copies, measure):
    """What `measure` finds with a cluster of its own. The bare loop makes one copy, and is compared with one."""
    home = os.path.join(home, f"copies-{copies}")
    os.makedirs(home)
    cluster = Cluster(os.path.abspath(options.hauberk), roomy_configuration(home, copies), home)
    bench = Bench(cluster, options)
    try:
        say(f"starting a cluster in {home}")
        bench.prepare()
        return measure(bench)
    except (ClusterError, runs.MeasureError, OSError):
        print(f"bench: logs are in {cluster.logs}", file=sys.stderr)
        raise
    finally:
        cluster.stop()


def main():
    options = arguments()
    sessions.allow_many_files(8192)
    home = tempfile.mkdtemp(prefix="hauberk-bench-", dir=options.home)
    try:
        figures = with_cluster(options, home, 1, Bench.measure)
        figures["hanging"] = with_cluster(options, home, 2, Bench.measure_hanging)
    except (ClusterError, runs.MeasureError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        options.keep = True
        return 2
    finally:
        if not options.keep:
            shutil.rmtree(home)
    figures["budgets"] = report.budgets(figures)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=2, ensure_ascii=False)
    print(report.table(figures))
    return 0 if all(row["met"] for row in figures["budgets"]) else 1


if __name__ == "__main__":
    sys.exit(main())
