#!/usr/bin/env python3
"""Measures replication between two sites, over a link that delays by nothing and by 50 ms each way.

Two clusters run on free ports in a temporary folder, each with two SMTP frontends and three storage nodes, and with the
same 100 mailboxes. They replicate to each other, with TLS, through a process that delays what it carries; how much that
process could carry alone is measured in the same run. A message has arrived when its file appears in the other site's
Maildirs. Each work is run three times, in an order that rotates, with a pause for the disk before each; figures are
medians.

  one way, both ways   as fast as the frontends take it: messages a second, from the first one sent to the last one there
  lag                  100 messages a second: from each one's 250 until it is at the other site
  drain                the link was cut while messages came in, and the storage nodes start again when it is back: how fast
                       all cross it, from the first that arrives to the last one
  one mailbox          the same, where all messages are for one recipient
  Postfix              relays a queue of the same messages over the same link to the same site's SMTP listener, without TLS

Exit status: 0 if every bar is met, 1 if not, 2 if the measurement itself failed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(REPOSITORY, "scripts"))

from mailcheck.cluster import ClusterError  # pylint: disable=wrong-import-position

from measure import runs, site_report, site_selftest, steady  # pylint: disable=wrong-import-position
from measure.arrivals import Arrivals, ArrivalsError  # pylint: disable=wrong-import-position
from measure.link import Link, LinkError, limit  # pylint: disable=wrong-import-position
from measure.pair import SITES, SitePair  # pylint: disable=wrong-import-position
from measure.peer_server import PeerError  # pylint: disable=wrong-import-position
from measure.postfix import RelayPostfix  # pylint: disable=wrong-import-position
from measure.processes import cpu_seconds  # pylint: disable=wrong-import-position

MAILBOXES = 100
OCTETS = 4096
DOMAIN = "example.test"
USERS = f"user%d@{DOMAIN}"
DELAYS = (0, 50)  # ms each way
CONNECTIONS = 32
MESSAGES = {"one way": 8000, "both ways": 4000, "drain": 8000, "one mailbox": 2000, "Postfix": 2000}
# One for each run that needs an empty one.
LONELY_USERS = f"lonely%d@{DOMAIN}"
STEADY_RATE, STEADY_SECONDS = 100, 15
ARRIVE_SECONDS_MAX = 300
ERRORS = (ClusterError, runs.MeasureError, ArrivalsError, LinkError, PeerError, steady.SteadyError, OSError,
          subprocess.SubprocessError)
EAST, WEST = SITES


class SiteBench:
    def __init__(self, pair, options):
        self.pair, self.link, self.options = pair, pair.link, options
        self.rounds = 1 if options.quick else 3
        self.shrink = 8 if options.quick else 1
        self.pause = 1 if options.quick else 4
        self.postfix, self.postfix_missing, self.lonely = None, None, 0

    def count(self, work):
        return MESSAGES[work] // self.shrink

    def prepare(self):
        """Accounts, and a message in each mailbox, so that all folders are there."""
        users = {USERS: MAILBOXES, LONELY_USERS: self.rounds * len(DELAYS)}
        self.pair.prepare(users, "measured, not secret", self.options.site_options)
        for pattern, mailboxes in users.items():
            self.load(EAST, mailboxes, pattern=pattern, mailboxes=mailboxes)
        self.pair.wait_for_mailboxes(WEST, sum(users.values()))

    def load(self, site, count, port=None, pattern=USERS, mailboxes=MAILBOXES):
        cluster = self.pair.clusters[site]
        pids = [process.pid for process in cluster.processes.values()]
        summary = runs.load(
            cluster, pids, "smtp", "--target", f"127.0.0.1:{port or self.pair.port(site)}", "--connections", CONNECTIONS,
            "--messages", count, "--size", OCTETS, "--recipient", pattern, "--mailboxes", mailboxes, "--pipeline")
        if summary["messages"] != count:
            raise runs.MeasureError(f"{summary['messages']} of {count} messages were taken")
        return summary

    def arrivals(self, site):
        return Arrivals(self.pair.stores(site), self.pair.copies)

    def at(self, delay, work):
        """Runs a work with the link so slow. Adds what share of a core the link's process took."""
        self.link.set_delay(delay / 1000)
        before, start = sum(cpu_seconds([self.link.pid])), time.monotonic()
        result = work()
        result["linkCPU"] = (sum(cpu_seconds([self.link.pid])) - before) / (time.monotonic() - start)
        return result

    # works

    def one_way(self):
        count = self.count("one way")
        with self.arrivals(WEST) as arrivals:
            start = time.monotonic()
            summary = self.load(EAST, count)
            last = arrivals.wait(count, ARRIVE_SECONDS_MAX)[-1]
        return {"rate": count / (last - start), "acceptedRate": summary["messagesPerSecond"]}

    def both_ways(self):
        count = self.count("both ways")
        with self.arrivals(EAST) as eastern, self.arrivals(WEST) as western:
            failures = []

            def load(site):
                try:
                    self.load(site, count)
                except ERRORS as error:
                    failures.append(error)

            threads = [threading.Thread(target=load, args=(site,)) for site in SITES]
            start = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if failures:
                raise failures[0]
            # At each site its own messages appear, and the other one's.
            last = max(arrivals.wait(2 * count, ARRIVE_SECONDS_MAX)[-1] for arrivals in (eastern, western))
        return {"rate": 2 * count / (last - start)}

    def lag(self):
        seconds = STEADY_SECONDS / (self.shrink / 2 if self.options.quick else 1)
        recipients = [USERS.replace("%d", str(number)) for number in range(MAILBOXES)]
        with self.arrivals(WEST) as arrivals:
            acknowledged = steady.send(self.pair.port(EAST), STEADY_RATE, seconds, OCTETS, recipients)
            arrivals.wait(len(acknowledged), ARRIVE_SECONDS_MAX)
            times = sorted(steady.lags(acknowledged, arrivals.files()))
        return {"p50": 1000 * times[len(times) // 2], "p99": 1000 * times[len(times) * 99 // 100],
                "maximum": 1000 * times[-1]}

    def drain(self):
        return self.drained(self.count("drain"), USERS, MAILBOXES)

    def drain_one_mailbox(self):
        self.lonely += 1
        return self.drained(self.count("one mailbox"), LONELY_USERS.replace("%d", str(self.lonely - 1)), 1)

    def drained(self, count, pattern, mailboxes):
        with self.arrivals(WEST) as arrivals:
            self.link.cut()
            self.load(EAST, count, pattern=pattern, mailboxes=mailboxes)
            runs.settle(self.pause)
            self.link.mend()
            # Left alone, each node would wait before it tries again, and another time than the others.
            mended = self.pair.restart_nodes(EAST)
            times = arrivals.wait(count, ARRIVE_SECONDS_MAX)
        return {"rate": (count - 1) / (times[-1] - times[0]), "firstAfter": times[0] - mended}

    def relay(self):
        count = self.count("Postfix")
        with self.arrivals(WEST) as arrivals:
            self.load(EAST, count, self.postfix.port)
            self.postfix.wait_until_deferred(count, ARRIVE_SECONDS_MAX)
            runs.settle(self.pause)
            opened, flushed = self.link.opened(), time.monotonic()
            self.postfix.flush()
            times = arrivals.wait(count, ARRIVE_SECONDS_MAX)
        return {"rate": (count - 1) / (times[-1] - times[0]), "firstAfter": times[0] - flushed,
                "connections": self.link.opened() - opened}

    # all of them

    def works(self):
        works = {"one way": self.one_way, "both ways": self.both_ways, "lag": self.lag, "drain": self.drain,
                 "one mailbox": self.drain_one_mailbox}
        if self.pair.copies > 1:
            works = {"one way": self.one_way, "drain": self.drain}
        if self.postfix:
            works["Postfix"] = self.relay
        chosen = self.options.only.split(",") if self.options.only else works
        return {(name, delay): lambda work=works[name], delay=delay: self.at(delay, work)
                for name in works if name in chosen for delay in DELAYS}

    def start_postfix(self):
        """Where it cannot be had, or cannot run, the rest is measured all the same."""
        home = os.path.join(self.pair.home, "postfix")
        os.makedirs(home)
        try:
            self.postfix = RelayPostfix(self.options.postfix, home, DOMAIN, self.link.to(self.pair.port(WEST)))
        except PeerError as error:
            self.postfix_missing = str(error)

    def measure(self):
        figures = {"linkLimit": limit(self.link, OCTETS)}
        if self.pair.copies == 1:
            self.start_postfix()
            figures["postfixMissing"] = self.postfix_missing
        results = runs.rotate(self.works(), self.rounds, self.pause, lambda text: say(f"R={self.pair.copies}, {text}"))
        figures["works"] = [
            {"work": name, "delay": delay, **site_report.medians(found)} for (name, delay), found in results.items()]
        return figures

    def close(self):
        if self.postfix:
            self.postfix.close()
        self.pair.stop()


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def with_pair(options, home, copies):
    """What is measured with two sites of their own, with so many copies of each mailbox."""
    home = os.path.join(home, f"copies-{copies}")
    os.makedirs(home)
    link = Link()
    bench = SiteBench(SitePair(os.path.abspath(options.hauberk), home, copies, link), options)
    try:
        say(f"starting two sites in {home}")
        bench.prepare()
        return bench.measure()
    finally:
        bench.close()
        link.close()


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench sites", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hauberk", help=argparse.SUPPRESS)
    parser.add_argument("--postfix", help=argparse.SUPPRESS)
    parser.add_argument("--self-test", action="store_true", help="check what measures, and nothing else")
    parser.add_argument("--quick", action="store_true", help="one short round: shows that all works, not how fast")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--home", metavar="DIR", help="where to make the temporary folder (default: $TMPDIR)")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    parser.add_argument("--copies", default="1,2", help="how many copies of each mailbox the sites keep (default: 1,2)")
    parser.add_argument("--only", metavar="WORKS", help="measure these works only, as 'drain,Postfix'")
    parser.add_argument("--site-options", metavar="KEYS", default="",
                        help="more keys of both sites' links, as ', connectionsMax: 8'")
    return parser.parse_args()


def main():
    options = arguments()
    if options.self_test:
        return site_selftest.run()
    home = tempfile.mkdtemp(prefix="hauberk-bench-sites-", dir=options.home)
    try:
        figures = {"machine": runs.machine(), "copies": {
            copies: with_pair(options, home, int(copies)) for copies in options.copies.split(",")}}
    except ERRORS as error:
        print(f"bench: {error}\nbench: logs are in {home}", file=sys.stderr)
        options.keep = True
        return 2
    finally:
        if not options.keep:
            shutil.rmtree(home)
    figures["bars"] = site_report.bars(figures)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=2, ensure_ascii=False)
    print(site_report.table(figures, DELAYS))
    return 0 if all(row["met"] for row in figures["bars"]) else 1


if __name__ == "__main__":
    sys.exit(main())
