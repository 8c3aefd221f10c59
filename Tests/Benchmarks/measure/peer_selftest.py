"""Checks of what peers.py measures with: each can fail, and none asks for speed."""

import os
import subprocess
import sys
import tempfile
import threading
import time
import xml.dom.minidom

from . import comparison, peer_report, plot, processes, runs, selftest, sessions
from .maildirs import Maildirs, MissingMail
from .mail_works import SINK
from .systems import HAUBERK, POSTFIX_DOVECOT
from .xxh64 import xxh64


def run():
    """Prints what fails. Returns the exit status."""
    return selftest.run("peers", (
        _medians, _rates, _costs, _bars_are_judged, _bars_left_out_are_told, _flatness_is_judged, _arrivals,
        _order_rotates, _descendants_count, _sockets_count, _partitions, _pictures))


def _equal(found, wanted):
    assert found == wanted, f"{found} is not {wanted}"


def _near(found, wanted):
    assert abs(found - wanted) < 1e-6, f"{found} is not {wanted}"


# arithmetic


def _medians():
    found = comparison.medians([{"rate": 9.0, "p99": 1.0}, {"rate": 1.0, "p99": 7.0}, {"rate": 2.0, "p99": 3.0}])
    _equal(found, {"rate": 2.0, "p99": 3.0, "main": "rate", "runs": [9.0, 1.0, 2.0]})


def _summary(**more):
    return {"seconds": 2.0, "ended": 1002.0, "rate": 50.0, "latency": {"p50": 1.0, "p99": 2.0, "maximum": 3.0},
            "generatorSeconds": 0.5, **more}


def _rates():
    def rate(last):
        return comparison.mail_figures(_summary(), 100, last, (0, 0), (0, 0))["rate"]

    _near(rate(1010.0), 10.0)  # The last message came ten seconds after the first was sent.
    _near(rate(1001.9), 50.0)  # A folder's time lags behind: no sooner than the last answer.


def _costs():
    found = comparison.costs(_summary(), 100, (1.0, 2.0), (1.5, 4.0))
    for key, wanted in (("userMicroseconds", 5000), ("systemMicroseconds", 20000), ("cpuMicroseconds", 25000),
                        ("generatorMicroseconds", 5000), ("generatorShare", 0.25)):
        _near(found[key], wanted)


def _verdicts(own, other, hops=(1.0, 1.0)):
    """Of each bar with such figures of Hauberk's and everybody else's."""
    rows = {}
    for bar in peer_report.all_bars():
        rows.setdefault(bar.own[0], {}).setdefault(bar.own[1], {})[bar.key] = own
        if bar.other:
            rows.setdefault(bar.other[0], {}).setdefault(bar.other[1], {}).setdefault(bar.key, other)
    for work in ("half rate", "half rate, a node hangs"):
        row = rows[work].setdefault(peer_report.HAUBERK_TWO, {})
        row.setdefault("maximum", 0)
        row["firstMaximum"] = own
    for shape, value in zip(peer_report.SHAPES, hops):
        rows.setdefault("scale", {})[peer_report.title_of(*shape)] = {"hopsPerMessage": value, "cpuMicroseconds": value}
    return rows, {row["bar"]: row["met"] for row in peer_report.bars(rows)}


def _bars_are_judged():
    bar = peer_report.Bar("b", ("w", "own"), "rate", 12, ("w", "peer"))
    rows = {"w": {"own": {"rate": 120.0}, "peer": {"rate": 10.0}}}
    _equal((bar.judge(rows)["measured"], bar.judge(rows)["met"]), (12.0, True))
    rows["w"]["own"]["rate"] = 119.9
    _equal(bar.judge(rows)["met"], False)
    most = peer_report.Bar("b", ("w", "own"), "p99", 80, None, False, "µs")
    _equal([most.judge({"w": {"own": {"p99": value}}})["met"] for value in (80, 80.1)], [True, False])
    # Much is well for a rate and bad for a cost: with the same figures everywhere, each bar is one or the other.
    for name, bar in {bar.name: bar for bar in peer_report.all_bars()}.items():
        much, little = _verdicts(1e9, 1.0)[1][name], _verdicts(1e-9, 1.0)[1][name]
        _equal((name, much, little), (name, bar.at_least, not bar.at_least))


def _bars_left_out_are_told():
    rows, _ = _verdicts(1.0, 1.0)
    _equal(peer_report.left_out(rows), [])
    del rows["smtp"][POSTFIX_DOVECOT]
    assert peer_report.left_out(rows), "nobody misses a peer that was not measured"


def _flatness_is_judged():
    def flat(values):
        return [met for name, met in _verdicts(1.0, 1.0, values)[1].items() if "most against least" in name]

    _equal(flat((1.0, 1.0, 1.0)), [True, True])
    _equal(flat((1.0, 1.0, 1.3)), [False, False])


# counting


def _deliver(folder, name):
    path = os.path.join(folder, "tmp", name)
    with open(path, "wb"):
        pass
    os.rename(path, os.path.join(folder, "new", name))


def _arrivals():
    with tempfile.TemporaryDirectory() as home:
        folders = [os.path.join(home, store, "example.test", user) for store in "ab" for user in ("r1x0", "r1x1", "r1xy0")]
        for folder in folders:
            for name in ("tmp", "new", "cur"):
                os.makedirs(os.path.join(folder, name))
        maildirs = Maildirs(os.path.join(home, "*", "example.test"), "r1x").find(4)
        _equal(len(maildirs.folders), 4)
        _deliver(folders[2], "another's")
        _equal(maildirs.files(), 0)
        for number in range(3):
            _deliver(folders[0], f"{number}")
        os.rename(os.path.join(folders[0], "new", "0"), os.path.join(folders[0], "cur", "0:2,S"))
        _equal(maildirs.files(), 3)
        _refuses(maildirs, 4, "a message that never came counts")
        late = threading.Timer(0.3, _deliver, (folders[4], "late"))
        late.start()
        before = time.time()
        came = maildirs.wait(4, 60)
        late.join()
        assert before < came < before + 60, "the last one's time is not when it came"
        _deliver(folders[1], "twice")
        _refuses(maildirs, 4, "nobody sees a message too many")


def _refuses(maildirs, count, otherwise):
    try:
        maildirs.wait(count, 0.1)
    except MissingMail:
        return
    raise AssertionError(otherwise)


def _order_rotates():
    seen = []
    works = {name: lambda name=name: seen.append(name) or {"rate": 1.0} for name in "abc"}
    found = runs.rotate(works, 3, 0, lambda text: None)
    _equal("".join(seen), "abcbcacab")
    _equal([len(results) for results in found.values()], [3, 3, 3])


# A process that starts one that takes half a second and ends, and one that stays; then it tells the latter's number.
_PARENT = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.5: pass"])
child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
sys.stdin.read()
child.stdin.close()
child.wait()
"""


def _descendants_count():
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        child = int(process.stdout.readline())
        found = processes.tree([process.pid])
        alone, whole = sum(processes.cpu_seconds([process.pid])), sum(processes.tree_cpu_seconds([process.pid]))
        process.stdin.close()
    assert whole - alone >= 0.45, f"a process that ended took 0.5 s, of which {whole - alone:.2f} are counted"
    _equal(sorted(found), sorted([process.pid, child]))


def _sockets_count():
    if os.geteuid() != 0:
        print("what the kernel has for sockets is told to root only: not checked")
        return
    # A socket's own structures are some 3 KiB on every kernel that has these names.
    kib = sessions.kernel_kib_of_an_end(200)
    assert 1 < kib < 32, f"an end of a connection takes {kib:.1f} KiB"


def _partitions():
    for text, wanted in ((b"", 0xEF46DB3751D8E999), (b"a", 0xD24EC4F1A98C6E5B), (b"abc", 0x44BC2CF5AD770999)):
        _equal(xxh64(text), wanted)


def _pictures():
    rows = {"smtp": {title: comparison.medians([{"rate": rate * times, "cpuMicroseconds": 1.0, "userMicroseconds": 1.0}
                                                for times in (1.0, 1.2)])
                     for title, rate in ((HAUBERK, 900.0), (POSTFIX_DOVECOT, 80.0), (SINK, 7000.0))}}
    figures = {"rows": rows, "rounds": 2, "machine": {"cores": 2, "cpu": "some", "date": "<&>", "load": 0.0},
               "bars": peer_report.bars(rows), "failed": {"tls": "no <such> thing"}}
    document = xml.dom.minidom.parseString(plot.svg(figures))
    _equal(len(document.getElementsByTagName("rect")), 1 + 3)
    table = peer_report.table(figures)
    assert "11.25 ×" in table and "missed" in table and "no <such> thing" in table, table
