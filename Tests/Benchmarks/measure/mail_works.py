"""Works that send mail."""

import os
import signal
import subprocess
import threading
import time

from mailcheck.cluster import is_listening
from mailcheck.ports import PortBlock

from . import runs
from .comparison import MAILBOXES
from .processes import written_octets
from .systems import (
    DOVECOT, HAUBERK, HAUBERK_SHARED, HAUBERK_TLS, HAUBERK_TWO, HAUBERK_TWO_SHARED, POSTFIX_DOVECOT, POSTFIX_DOVECOT_TLS,
    POSTFIX_VIRTUAL)

BARE = "bare loop"
COPY = "cp and fsync"
SINK = "sink"
KIB, MIB = 1 << 10, 1 << 20
LARGE = {"1 MiB": (MIB, 128), "25 MiB": (25 * MIB, 16)}
LARGE_CONNECTIONS = 4
WHOLE_AND_STREAMED = {f"{HAUBERK_TWO_SHARED}, 64 KiB": 64 * KIB, f"{HAUBERK_TWO_SHARED}, 256 KiB": 256 * KIB}
HANGING_NODE = "store-3"
STEADY_SECONDS = 15
PAUSES_RATE = 20
PAUSES = f"low load, {PAUSES_RATE} per s"


def smtp(bench):
    """4 KiB, 32 connections, end to end."""
    titles = (HAUBERK, POSTFIX_DOVECOT, POSTFIX_VIRTUAL, HAUBERK_TWO)
    works = {title: lambda title=title: bench.send(bench.get(title), bench.count(8000)) for title in titles}
    bench.compare("smtp", {**works, BARE: lambda: bench.bare_loop(32, bench.count(8000))})


def connections(bench):
    """A connection per message."""
    bench.compare("connections", {
        title: lambda title=title: bench.send(bench.get(title), bench.count(4000), 4096, 32, "--messages-per-connection", 1)
        for title in (HAUBERK, POSTFIX_DOVECOT)})


def medium(bench):
    """64 KiB messages."""
    bench.compare("64 KiB", {
        title: lambda title=title: bench.send(bench.get(title), bench.count(2000), 64 * KIB)
        for title in (HAUBERK, POSTFIX_DOVECOT)})


def tls(bench):
    """TLS on both hops."""
    bench.compare("tls", {
        title: lambda title=title: bench.send(bench.get(title), bench.count(4000), 4096, 32, "--starttls")
        for title in (HAUBERK_TLS, POSTFIX_DOVECOT_TLS)})


def lmtp(bench):
    """LMTP into a storage node."""
    for at_once in (8, 32):
        count = bench.count(8000)

        def run(title, more, at_once=at_once, count=count):
            return bench.send(bench.get(title), count, 4096, at_once, *more, service="lmtp")

        bench.compare(f"lmtp {at_once}", {
            HAUBERK: lambda run=run: run(HAUBERK, ("--cluster", "--bdat")), DOVECOT: lambda run=run: run(DOVECOT, ()),
            BARE: lambda at_once=at_once, count=count: bench.bare_loop(at_once, count)})


# large messages


class Peak:
    """The most memory of its own that a system had, looked at again and again."""

    def __init__(self, system):
        self._system, self._is_over = system, threading.Event()
        self.before = self.kib = system.anonymous_kib()
        self._thread = threading.Thread(target=self._look)

    def _look(self):
        while not self._is_over.wait(0.1):
            self.kib = max(self.kib, self._system.anonymous_kib())

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()


def large(bench):
    """1 MiB and 25 MiB messages: how fast, and how much memory."""
    for name, (octets, count) in LARGE.items():
        count = bench.count(count)

        def run(title, octets=octets, count=count):
            system = bench.get(title)
            with Peak(system) as peak:
                figures = bench.send(system, count, octets, LARGE_CONNECTIONS)
            growth = (peak.kib - peak.before) / LARGE_CONNECTIONS
            return {**figures, "mibPerSecond": figures["rate"] * octets / MIB, "growthKiB": growth}

        bench.compare(name, {
            HAUBERK: lambda run=run: run(HAUBERK), POSTFIX_DOVECOT: lambda run=run: run(POSTFIX_DOVECOT),
            COPY: lambda octets=octets, count=count: copies(bench, octets, count)})


def copies(bench, octets, count):
    """cp and fsync of so many files, as many at once as there are connections."""
    folder = os.path.join(bench.home, f"cp-{time.monotonic_ns()}")
    os.makedirs(folder)
    source = os.path.join(folder, "source")
    with open(source, "wb") as file:
        file.write(os.urandom(octets))
    runs.settle(bench.pause)
    begun = time.monotonic()
    threads = [threading.Thread(target=copy, args=(source, folder, range(first, count, LARGE_CONNECTIONS)))
               for first in range(LARGE_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = count / (time.monotonic() - begun)
    return {"rate": rate, "mibPerSecond": rate * octets / MIB}


def copy(source, folder, numbers):
    for number in numbers:
        with open(source, "rb") as read, open(os.path.join(folder, str(number)), "wb") as written:
            while os.sendfile(written.fileno(), read.fileno(), None, 1 << 20):
                pass
            os.fsync(written.fileno())


# one message to many


def recipients(bench):
    """One message to 100 recipients, with a file for each, and with one for all (deliveredTo: single); the rate is of
    messages."""
    bench.compare("100 recipients", {
        title: lambda title=title: bench.send(bench.get(title), bench.count(160), 4096, 8, recipients=MAILBOXES)
        for title in (HAUBERK, HAUBERK_SHARED, POSTFIX_DOVECOT)})
    # A large one streams to its nodes while it comes in; the others are held whole first.
    for name, octets in WHOLE_AND_STREAMED.items():
        bench.rows["100 recipients"][name] = transfers(bench, octets)


def transfers(bench, octets):
    """How often a message's text goes to a storage node, and how often it is written there, where it is for mailboxes of
    all three nodes."""
    system = bench.get(HAUBERK_TWO_SHARED)
    nodes, frontends, count = system.servers[0].nodes, system.servers[0].pids_of("front"), 4

    def send(to):
        """How often the frontend sends a text for so many to any node (it writes hardly anything else); and the mailboxes."""
        prefix = bench.fresh(system)
        before = written_octets(frontends)
        bench.generate(("smtp", *bench.mail_options(system, "smtp", prefix, MAILBOXES, count, octets, 1),
                        "--recipients-per-message", to))
        maildirs = system.maildirs(prefix).find(MAILBOXES * system.copies)
        maildirs.wait((MAILBOXES + count * to) * system.copies, 60)
        return (written_octets(frontends) - before) / octets / count, maildirs

    alone, _ = send(1)
    together, maildirs = send(MAILBOXES)
    # To one recipient the text goes to each of its copies once: what is counted must show that.
    if not 0.95 * system.copies < alone < 1.25 * system.copies:
        raise runs.MeasureError(f"a text for one recipient was sent {alone:.2f} times to the {system.copies} nodes that keep it")
    found = (os.stat(path) for path in maildirs.paths())
    # Files of one text may be one; each node has its own.
    written = {(file.st_dev, file.st_ino) for file in found if file.st_size > octets // 2}
    return {"transfersPerNode": together / nodes, "writesPerNode": len(written) / count / nodes}


# latency


def low_load(bench):
    """One message after the other, from connecting to the 250; and the same with pauses, in which the processors sleep."""
    for work, rate, count in (("low load", None, bench.count(2000)), (PAUSES, PAUSES_RATE, bench.count(400))):
        works = {title: lambda title=title, rate=rate, count=count: latency(
            bench, title, rate, count, 1, "--messages-per-connection", 1) for title in (HAUBERK, POSTFIX_DOVECOT)}
        bench.compare(work, {**works, BARE: lambda rate=rate, count=count: bare_latency(bench, 1, count, rate)})


def latency(bench, title, rate, count, connections_max, *more):
    """From the time when each message was due."""
    return by_p99(bench.send(bench.get(title), count, 4096, connections_max, *(("--rate", rate) if rate else ()), *more))


def bare_latency(bench, threads, count, rate):
    return by_p99(bench.bare_loop(threads, count, rate=rate))


def by_p99(figures):
    """The same with the 99th percentile as the main figure."""
    return {"p99": figures["p99"], **figures}


def fixed_rate(bench):
    """At half of the peer's maximum; then with one of three nodes that hangs."""
    known = bench.rows.get("smtp", {}).get(POSTFIX_DOVECOT)
    peak = known["rate"] if known else bench.send(bench.get(POSTFIX_DOVECOT), bench.count(4000))["rate"]
    rate = round(peak / 2, 1)
    count = max(100, int(rate * STEADY_SECONDS / (4 if bench.options.quick else 1)))
    works = {title: lambda title=title: {**latency(bench, title, rate, count, 32), "offered": rate}
             for title in (HAUBERK, POSTFIX_DOVECOT, HAUBERK_TWO)}
    bench.compare("half rate", {**works, BARE: lambda: bare_latency(bench, 32, count, rate)})
    bench.compare("half rate, a node hangs", {HAUBERK_TWO: lambda: hanging(bench, rate, count)})


def hanging(bench, rate, count):
    """The first run shows what its hanging costs once, the second one that it is not paid again."""
    system = bench.get(HAUBERK_TWO)
    prefix = bench.fresh(system)
    node = system.servers[0].cluster.processes[HANGING_NODE]
    options = (*bench.mail_options(system, "smtp", prefix, 100, count, 4096, 32), "--rate", rate)
    runs.settle(bench.pause)
    node.send_signal(signal.SIGSTOP)
    try:
        first, second = (bench.generate(("smtp", *options))[0]["latency"] for _ in range(2))
    finally:
        node.send_signal(signal.SIGCONT)
    # What it was to keep comes to it, so that the next run begins as this one did.
    system.maildirs(prefix).find(100 * system.copies).wait((100 + 2 * count) * system.copies, 120)
    return {**by_p99(second), "firstP99": first["p99"], "firstMaximum": first["maximum"]}


# the generator


def generator(bench):
    """What the generator can do, against a server that keeps nothing."""
    ports = PortBlock()
    port = ports.take()
    starter = os.path.join(bench.options.peers, "smtp-sink")
    if not os.access(starter, os.X_OK):
        raise runs.MeasureError(f"{starter} is not there: scripts/peers fetches it")
    process = subprocess.Popen([starter, "-u", "nobody", "-c", f"127.0.0.1:{port}", "1024"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not is_listening(port):
        if process.poll() is not None:
            raise runs.MeasureError("smtp-sink does not start")
        time.sleep(0.1)
    options = ("--target", f"127.0.0.1:{port}", "--connections", 32, "--messages", bench.count(40_000), "--size", 4096,
               "--recipient", "u%d@example.test", "--mailboxes", 100, "--pipeline")

    def run():
        summary = bench.generate(("smtp", *options))[0]
        return {"rate": summary["rate"], "generatorMicroseconds": summary["generatorSeconds"] * 1e6 / summary["done"],
                "generatorShare": summary["generatorSeconds"] / summary["seconds"]}

    try:
        bench.compare("generator", {SINK: run})
    finally:
        process.kill()
        process.wait()
