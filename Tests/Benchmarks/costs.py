#!/usr/bin/env python3
"""Counts what one message costs, in figures that hardly depend on the machine, and compares them with thresholds.

One frontend and one storage node; one client, one message at a time, so that nothing depends on what happens to come
together. Counted are instructions and allocations of both processes (valgrind's callgrind), system calls of each kind
(strace), and the memory of idle sessions. The thresholds are in costs.json beside this file: --write puts what was counted there, with some room.

Exit status: 0 if nothing costs more than it may, 1 if something does, 2 if it cannot be counted.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(REPOSITORY, "scripts"))

import mailcheck.cluster  # pylint: disable=wrong-import-position

from measure import runs, sessions  # pylint: disable=wrong-import-position
from measure.callgrind import Callgrind  # pylint: disable=wrong-import-position
from measure.hauberk_cluster import DOMAIN, PASSWORD, HauberkCluster  # pylint: disable=wrong-import-position
from measure.processes import anonymous_kib  # pylint: disable=wrong-import-position

THRESHOLDS = os.path.join(HERE, "costs.json")
OCTETS = 4 << 10
MESSAGES, MAILBOXES, IDLE = 100, 4, 200
# An emulated processor takes its time.
mailcheck.cluster.START_SECONDS_MAX = 300


class Costs:
    def __init__(self, options, home):
        self.options, self.home = options, home
        self.hauberk = os.path.join(home, "hauberk")
        shutil.copyfile(options.hauberk, self.hauberk)
        os.chmod(self.hauberk, 0o755)
        # What debuggers want to know of a program is more than valgrind reads.
        subprocess.run(["strip", "--strip-debug", self.hauberk], check=True)

    def count(self):
        callgrind = Callgrind(self.options.valgrind, self.options.vgdb, self.hauberk, self.home)
        return {**self.counted(callgrind.program, "counted", callgrind.measure),
                **self.counted(self.hauberk, "traced", self.system_calls)}

    def counted(self, program, name, measure):
        """What `measure` finds of each of the two works, with a cluster of its own."""
        say(f"{name}: starting a cluster")
        cluster = HauberkCluster(program, os.path.join(self.home, name), partitions=16)
        try:
            cluster.add_accounts("user", MAILBOXES)
            pids = cluster.roots
            self.deliver(cluster, 2 * MAILBOXES)
            self.retrieve(cluster)
            delivered = measure(pids, lambda: self.deliver(cluster, MESSAGES), "delivery")
            count = self.retrieve(cluster)
            # What a session costs beside its messages is no message's.
            sessions_alone = measure(pids, lambda: self.log_in(cluster), "login")
            retrieved = measure(pids, lambda: self.retrieve(cluster), "retrieval")
            figures = {f"delivery: {key}": total / MESSAGES for key, total in delivered.items()}
            figures.update({f"retrieval: {key}": (total - sessions_alone[key]) / count for key, total in retrieved.items()})
            if name == "traced":
                figures.update(self.idle(cluster))
            return figures
        finally:
            cluster.close()

    def load(self, cluster, *arguments):
        return runs.generate(
            self.hauberk, (*arguments, "--connections", 1, "--mailboxes", MAILBOXES), environment=cluster.cluster.environment)[0]

    def deliver(self, cluster, messages):
        self.load(cluster, "smtp", "--target", f"127.0.0.1:{cluster.port(2525)}", "--messages", messages, "--size", OCTETS,
                  "--recipient", f"user%d@{DOMAIN}", "--pipeline")

    def retrieve(self, cluster):
        """How many messages were retrieved."""
        return self.read(cluster, "retr")["messages"]

    def log_in(self, cluster):
        self.read(cluster, "login")

    def read(self, cluster, task):
        return self.load(
            cluster, "pop3", "--target", f"127.0.0.1:{cluster.port(1110)}", "--sessions", MAILBOXES, "--users",
            f"user%d@{DOMAIN}", "--password", PASSWORD, "--do", task)

    def system_calls(self, pids, work, name):
        """Calls of each kind, of both processes."""
        output = os.path.join(self.home, f"strace-{name}")
        targets = [word for pid in pids for word in ("-p", str(pid))]
        # pylint: disable=consider-using-with
        trace = subprocess.Popen([self.options.strace, "-f", "-c", "-o", output, *targets], stderr=subprocess.DEVNULL)
        try:
            time.sleep(2)
            work()
            time.sleep(1)
        finally:
            trace.send_signal(signal.SIGINT)
            trace.wait(timeout=60)
        with open(output, encoding="utf-8") as file:
            rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", file.read(), re.M)
        calls = {call: int(number) for number, call in rows}
        if not calls:
            raise runs.MeasureError(f"strace counted nothing: {output}")
        return {call: calls.get(call, 0) for call in COUNTED_CALLS}

    def idle(self, cluster):
        """KiB of both processes for one session that does nothing."""
        context = sessions.unverified_context()
        kinds = {
            "SMTP": lambda number: sessions.smtp_session(cluster.port(2525), None),
            "SMTP with TLS": lambda number: sessions.smtp_session(cluster.port(2525), context),
            "POP3": lambda number: sessions.pop3_session(
                cluster.port(1110), None, f"user{number % MAILBOXES}@{DOMAIN}", PASSWORD),
        }
        figures = {}
        for name, make in kinds.items():
            kib, _ = sessions.memory_of(make, IDLE, lambda: anonymous_kib(cluster.roots))
            figures[f"idle {name} session: KiB"] = kib
        return figures


# Those whose number depends on the work, and not on what happens to come together.
COUNTED_CALLS = ("fsync", "openat", "openat2", "linkat", "renameat2", "unlinkat", "sendfile", "pread64", "preadv2")


def room(name):
    """How far a figure may be above what was counted: so much, and that share of it."""
    if name.endswith("instructions"):
        return 0, 0.06
    # One copy more is one allocation more.
    if name.endswith("allocations"):
        return 0.7, 0
    if name.startswith("idle"):
        return 2, 0.25
    return 0.25, 0


def compare(figures, thresholds, has_disk):
    """Prints all; how many are above their thresholds, or have none."""
    worse = 0
    for name, figure in figures.items():
        most = thresholds.get(name)
        verdict = "no threshold" if most is None else "ok" if figure <= most else "TOO MUCH"
        # Where there is no block device nothing is read from memory on the event loop.
        if name.startswith("retrieval") and not has_disk:
            verdict = "other path"
        worse += verdict not in ("ok", "other path")
        print(f"{verdict:<13}{name:<42}{figure:>14,.2f}{'' if most is None else f'   at most {most:,.2f}'}")
    return worse


def say(text):
    print(f"costs: {text}", file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench costs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for program in ("hauberk", "valgrind", "vgdb", "strace"):
        parser.add_argument(f"--{program}", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="write what was counted, and some room, to the thresholds")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    return parser.parse_args()


def main():
    options = arguments()
    sessions.allow_many_files(4096)
    home = tempfile.mkdtemp(prefix="hauberk-costs-")
    try:
        has_disk = os.major(os.stat(home).st_dev) != 0
        if not has_disk:
            say(f"{home} is on no block device: messages are read in the usual way there, and not compared")
        figures = Costs(options, home).count()
    except Exception as error:  # pylint: disable=broad-exception-caught
        traceback.print_exc()
        say(f"{error}")
        options.keep = True
        return 2
    finally:
        if not options.keep:
            shutil.rmtree(home)
    if options.write:
        rooms = {name: room(name) for name in figures}
        thresholds = {name: round(figure * (1 + rooms[name][1]) + rooms[name][0], 2) for name, figure in figures.items()}
        with open(THRESHOLDS, "w", encoding="utf-8") as file:
            json.dump(thresholds, file, indent=2)
            file.write("\n")
    with open(THRESHOLDS, encoding="utf-8") as file:
        return 1 if compare(figures, json.load(file), has_disk) else 0


if __name__ == "__main__":
    sys.exit(main())
