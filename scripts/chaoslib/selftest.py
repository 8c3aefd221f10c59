"""What shows that the checker finds what it must, and nothing else; and that plans and messages are what they should be.

Each test writes the history of a few operations by hand, as a run would have, and judges it.
"""

import io
import os
import pathlib
import random
import re
import socket
import sys
import tempfile
import threading
import types
import unittest

from . import checker, stores
from .content import BODY_OCTETS_MAX, content, recognise
from .nemeses import Link, Mute
from .plan import AT_SITES, KINDS, LANES, MEMBERS, NETWORK, OF_SITES, Step, plan
from .sites import Relay

BOX = "reader@example.test"
OTHER = "other@example.test"


class Story:
    """A history in the making: time goes on by one second with each operation."""

    def __init__(self):
        self.events, self.time = [], 0

    def _span(self):
        self.time += 1
        return float(self.time), self.time + 0.5

    def send(self, attempt, mailboxes=(BOX,), outcome="accepted"):
        start, end = self._span()
        self.events.append({
            "kind": "send", "attempt": attempt, "mailboxes": list(mailboxes), "start": start, "end": end,
            "outcome": outcome, "reply": ""})

    def login(self, shown, mailbox=BOX, final=False, octets=100, **changes):
        """A session that shows (UIDL, attempt), reads them all, and deletes those of `delete`."""
        start, end = self._span()
        deleted = changes.pop("delete", [])
        event = {
            "kind": "session", "frontend": "pop3-a", "mailbox": mailbox, "final": final, "start": start,
            "opened": start + 0.25, "end": end, "shown": [[uidl, octets] for uidl, _ in shown], "read": dict(shown),
            "damaged": {}, "unreadable": {}, "deleted": deleted, "quit": "ok", "quit_sent": start + 0.3}
        self.events.append({**event, **changes})

    def fault(self, phase):
        start, end = self._span()
        self.events.append({
            "kind": "nemesis", "number": 0, "what": "kill store-1", "phase": phase, "start": start, "end": end})

    def disk(self, node, uidls, phase="after", mailbox=BOX, deleted=(), text="same"):
        self.events.append({
            "kind": "copies", "phase": phase, "mailbox": mailbox, "node": node, "deleted": list(deleted),
            "messages": {uidl: [f"{uidl},S=100", text] for uidl in uidls}})

    def judge(self, quorum=2):
        return checker.judge(self.events, quorum)


class CheckerTests(unittest.TestCase):
    def found(self, story, **expected):
        """The findings are exactly these."""
        findings = story.judge()
        actual = {word: len(lines) for word, lines in findings.lines.items() if lines}
        self.assertEqual(actual, expected, findings.lines)
        self.assertEqual(findings.problems, [])
        self.assertEqual(findings.failed(), any(word in checker.FAILING for word in expected))
        self.assertEqual(
            findings.failed(strict=True), any(word in checker.FAILING + checker.STRICT for word in expected))

    def test_all_is_well(self):
        story = Story()
        story.send("1.1", [BOX, OTHER])
        story.send("2.1")
        story.login([("a", "1.1"), ("b", "2.1")], delete=["a"])
        story.login([("b", "2.1")])
        for node in ("store-1", "store-2"):
            story.disk(node, ["a"], "before", OTHER)
            story.disk(node, ["b"], "before")
        story.login([("b", "2.1")], final=True)
        story.login([("a", "1.1")], OTHER, final=True)
        for node in ("store-1", "store-2"):
            story.disk(node, ["a"], mailbox=OTHER)
            story.disk(node, ["a", "b"], deleted=["a"])
        self.found(story)

    def test_lost(self):
        story = Story()
        story.send("1.1")
        story.login([], final=True)
        self.found(story, lost=1)

    def test_lost_for_one_final_reader_only(self):
        story = Story()
        story.send("1.1")
        story.login([("a", "1.1")], final=True)
        story.login([], final=True)
        self.found(story, lost=1, diverged=1, flickered=1)

    def test_lost_after_a_session_without_quit(self):
        story = Story()
        story.send("1.1")
        story.login([("a", "1.1")], delete=["a"], quit="none", quit_sent=None)
        story.login([], final=True)
        self.found(story, lost=1, flickered=1)

    def test_lost_because_it_cannot_be_read(self):
        story = Story()
        story.send("1.1")
        story.login([("a", "1.1")])
        story.login([("a", "1.1")], final=True, unreadable={"a": "-ERR"})
        self.found(story, lost=1)

    def test_nobody_was_promised_anything(self):
        story = Story()
        for number, outcome in enumerate(("unknown", "deferred", "rejected", "refused")):
            story.send(f"{number}.1", outcome=outcome)
        story.login([], final=True)
        self.found(story)

    def test_resurrected(self):
        story = Story()
        story.send("1.1")
        story.login([("a", "1.1")], delete=["a"])
        story.login([])
        story.login([("a", "1.1")], final=True)
        self.found(story, resurrected=1)

    def test_open_deletion_may_end_either_way(self):
        for end in ([], [("a", "1.1")]):
            story = Story()
            story.send("1.1")
            story.login([("a", "1.1")], delete=["a"], quit="unknown")
            story.login(end, final=True)
            self.found(story)

    def test_open_deletion_but_not_one_way_and_then_the_other(self):
        story = Story()
        story.send("1.1")
        story.login([("a", "1.1")], delete=["a"], quit="unknown")
        story.login([])
        story.login([("a", "1.1")], final=True)
        self.found(story, flickered=1)

    def test_open_deletion_but_final_readers_disagree(self):
        story = Story()
        story.send("1.1")
        story.login([("a", "1.1")], delete=["a"], quit="unknown")
        story.login([("a", "1.1")], final=True)
        story.login([], final=True)
        self.found(story, diverged=1)

    def test_duplicated_under_two_names(self):
        story = Story()
        story.send("1.1")
        story.login([("a", "1.1"), ("b", "1.1")], final=True)
        self.found(story, duplicated=1)

    def test_duplicated_though_never_shown_together(self):
        story = Story()
        story.send("1.1")
        story.login([("a", "1.1")], delete=["a"])
        story.login([("b", "1.1")], final=True)
        self.found(story, duplicated=1)

    def test_duplicated_within_a_listing(self):
        story = Story()
        story.send("1.1")
        story.login([("a", "1.1"), ("a", "1.1")], final=True)
        self.found(story, duplicated=1)

    def test_duplicated_in_a_mailbox_of_somebody_else(self):
        story = Story()
        story.send("1.1")
        story.login([("a", "1.1")], final=True)
        story.login([("a", "1.1")], OTHER, final=True)
        self.found(story, duplicated=1)

    def test_resent_by_its_sender(self):
        story = Story()
        story.send("1.1", outcome="unknown")
        story.send("1.2")
        story.login([("a", "1.1"), ("b", "1.2")], final=True)
        self.found(story, resent=1)
        self.assertTrue(story.judge().failed(strict_resend=True))

    def test_unexpected_because_nobody_sent_it(self):
        story = Story()
        story.login([("a", "1.1")], final=True)
        self.found(story, unexpected=1)

    def test_unexpected_because_it_bears_no_attempt(self):
        story = Story()
        story.send("1.1")
        story.login([("a", "1.1"), ("b", None)], final=True)
        self.found(story, unexpected=1)

    def test_unexpected_because_it_was_never_whole(self):
        story = Story()
        story.send("1.1", outcome="refused")
        story.login([("a", "1.1")], final=True)
        self.found(story, unexpected=1)

    def test_damaged_bytes(self):
        story = Story()
        story.send("1.1")
        story.login([("a", "1.1")], damaged={"a": "different from octet 7 on"})
        story.login([("a", "1.1")], final=True)
        self.found(story, damaged=1)

    def test_damaged_size(self):
        story = Story()
        story.send("1.1")
        story.login([("a", "1.1")])
        story.login([("a", "1.1")], final=True, octets=101)
        self.found(story, damaged=1)

    def test_damaged_because_one_name_stands_for_two_messages(self):
        story = Story()
        story.send("1.1")
        story.send("2.1", outcome="unknown")
        story.login([("a", "1.1")])
        story.login([("a", "2.1")], final=True)
        self.found(story, damaged=1)

    def test_damaged_copy_on_one_disk(self):
        story = Story()
        story.send("1.1")
        story.login([("a", "1.1")], final=True)
        story.disk("store-1", ["a"])
        story.disk("store-2", ["a"], text="other")
        self.found(story, damaged=1)

    def test_diverged_disks(self):
        story = Story()
        story.send("1.1")
        story.login([("a", "1.1")], final=True)
        story.disk("store-1", ["a"])
        story.disk("store-2", ["a"], deleted=["a"])
        self.found(story, diverged=1)

    def test_thin(self):
        story = Story()
        story.send("1.1")
        story.disk("store-1", ["a"], "before")
        story.disk("store-2", [], "before")
        story.login([("a", "1.1")], final=True)
        self.found(story, thin=1)

    def test_late(self):
        story = Story()
        story.send("1.1")
        story.login([])
        story.login([("a", "1.1")], final=True)
        self.found(story, late=1)

    def test_not_late_while_it_may_still_come(self):
        story = Story()
        story.login([])
        story.send("1.1")
        story.login([], start=2.25)
        story.login([("a", "1.1")], final=True)
        self.found(story)

    def test_not_late_if_what_was_shown_is_not_known(self):
        story = Story()
        story.send("1.1")
        story.login([("a", "1.1")], read={})
        story.login([], final=True)
        self.found(story, lost=1)

    def test_flickered(self):
        story = Story()
        story.send("1.1")
        story.login([("a", "1.1")])
        story.login([])
        story.login([("a", "1.1")], final=True)
        self.found(story, flickered=1)

    def test_flickered_though_never_acknowledged(self):
        story = Story()
        story.send("1.1", outcome="unknown")
        story.login([("a", "1.1")])
        story.login([], final=True)
        self.found(story, flickered=1)

    def test_reappeared(self):
        story = Story()
        story.send("1.1")
        story.login([("a", "1.1")], delete=["a"])
        story.login([("a", "1.1")])
        story.login([], final=True)
        self.found(story, reappeared=1)

    def test_a_mailbox_that_is_not_read_at_the_end_fails(self):
        story = Story()
        story.send("1.1")
        story.login([("a", "1.1")])
        self.assertTrue(story.judge().failed())

    def test_a_problem_fails(self):
        story = Story()
        story.events.append({"kind": "problem", "time": 0.0, "text": "a process ended by itself"})
        self.assertTrue(story.judge().failed())

    def test_findings_name_the_faults_that_held(self):
        story = Story()
        story.fault("inject")
        story.send("1.1")
        story.fault("heal")
        story.login([], final=True)
        self.assertIn("kill store-1 (1.0 to 3.5)", story.judge().lines["lost"]["reader@example.test", "1.1"])


class ContentTests(unittest.TestCase):
    def read(self, attempt, octets, has_address=True, says_address=None):
        """The message as a reader gets it."""
        address = b"Delivered-To: %s\r\n" % BOX.encode() if has_address else b""
        trace = b"Return-Path: <m@chaos.test>\r\n%sReceived: from a\r\n\tby b\r\n" % address
        return trace + content(attempt, octets, has_address if says_address is None else says_address)

    def test_a_message_is_recognised_whatever_its_size(self):
        for octets in (0, 1, 1024, 300 << 10):
            self.assertEqual(recognise(self.read("17.2", octets), BOX), ("17.2", None))

    def test_an_address_is_there_where_it_shall_be_and_nowhere_else(self):
        self.assertEqual(recognise(self.read("17.2", 2000, has_address=False), BOX), ("17.2", None))
        for there in (True, False):
            self.assertIsNotNone(recognise(self.read("17.2", 2000, there, not there), BOX)[1])
        self.assertEqual(len(content("17.2", 2000, True)), len(content("17.2", 2000, False)))

    def test_its_size_is_what_was_asked_for(self):
        for octets in (1024, 70_000, 300 << 10, BODY_OCTETS_MAX):
            self.assertTrue(octets <= len(content("17.2", octets)) < octets + 400)

    def test_lines_end_with_crlf_and_nothing_else(self):
        self.assertIsNone(re.search(rb"(?<!\r)\n|\r(?!\n)", content("17.2", 100_000)))

    def test_attempts_differ(self):
        self.assertNotEqual(content("17.2", 2000)[-1000:], content("17.1", 2000)[-1000:])

    def test_each_change_is_found(self):
        whole = self.read("17.2", 2000)
        for changed in (whole[:-1], whole[:1500] + b"x" + whole[1501:], whole + b"\r\n", whole.replace(b"by b", b"\r\nX: y")):
            self.assertIsNotNone(recognise(changed, BOX)[1])
        self.assertIsNotNone(recognise(whole, OTHER)[1])
        self.assertIsNone(recognise(b"Subject: hello\r\n\r\n", BOX)[0])


class PlanTests(unittest.TestCase):
    nodes = ["store-1", "store-2", "store-3", "store-4"]
    frontends = ["smtp-a", "pop3-a"]
    kinds = [kind for kind in KINDS if kind not in OF_SITES]
    sites = ["east", "west"]
    links = ["east>west", "west>east"]

    def plans(self):
        for seed in range(200):
            yield plan(seed, 60, self.kinds, self.nodes, self.frontends)

    def plans_of_sites(self):
        nodes, frontends = ([f"{site}/{name}" for site in self.sites for name in names]
                            for names in (self.nodes, self.frontends))
        for seed in range(200):
            yield plan(seed, 60, list(AT_SITES), nodes, frontends, self.links, self.sites)

    def test_a_seed_makes_one_plan(self):
        first, second = (plan(7, 60, self.kinds, self.nodes, self.frontends) for _ in range(2))
        self.assertEqual(first, second)
        self.assertNotEqual(first, plan(8, 60, self.kinds, self.nodes, self.frontends))

    def test_two_faults_at_once_at_most_and_never_on_one_target(self):
        for steps in self.plans():
            for step in steps:
                beside = [other for other in steps if other.at <= step.at < other.until]
                self.assertLessEqual(len(beside), len(LANES))
                self.assertEqual(len({other.target for other in beside}), len(beside))

    def test_a_site_and_its_processes_never_fail_together(self):
        for steps in self.plans_of_sites():
            for step in steps:
                beside = [other for other in steps if other.at <= step.at < other.until and other is not step]
                self.assertFalse([other for other in beside if f"{other.target}/".startswith(f"{step.target}/")])

    def test_everything_is_healed_in_time(self):
        for steps in (*self.plans(), *self.plans_of_sites()):
            self.assertTrue(all(step.at < step.until <= 59 for step in steps))

    def test_every_kind_comes_and_only_what_was_chosen(self):
        for steps in self.plans():
            self.assertEqual({step.kind for step in steps}, set(self.kinds))
        for steps in self.plans_of_sites():
            self.assertLessEqual({step.kind for step in steps}, set(AT_SITES))
        self.assertEqual({step.kind for steps in self.plans_of_sites() for step in steps}, set(AT_SITES))
        self.assertEqual({step.kind for step in plan(1, 60, ["kill", "stop"], self.nodes, [])}, {"kill", "stop"})

    def test_disks_fail_on_nodes_only(self):
        for steps in self.plans():
            for step in steps:
                whole = {"partition": [NETWORK], "members": [MEMBERS], "etcd": [MEMBERS]}
                self.assertIn(step.target, whole.get(step.kind, self.nodes + self.frontends))
                if KINDS[step.kind].befalls == "node":
                    self.assertIn(step.target, self.nodes)
                if step.kind == "rot":
                    self.assertEqual(step.target, self.nodes[0])

    def test_a_line_is_cut_for_as_long_as_it_was_said_and_sites_fail_meanwhile(self):
        nodes, frontends = ([f"{site}/{name}" for site in self.sites for name in names]
                            for names in (self.nodes, self.frontends))
        for seed in range(200):
            steps = plan(seed, 120, list(AT_SITES), nodes, frontends, self.links, self.sites, 60)
            cut = steps[0]
            self.assertEqual((cut.kind, cut.detail, round(cut.until - cut.at, 3)), ("link", {"ways": 2}, 60))
            self.assertEqual(set(cut.targets), set(self.links))
            beside = [step for step in steps[1:] if step.at < cut.until + 2]
            self.assertGreaterEqual(len([step for step in beside if step.until < cut.until]), 3)
            self.assertIn("site", {step.kind for step in beside})
            self.assertFalse([step for step in beside if step.kind in ("link", "mute")])
            self.assertIn("mute", {step.kind for step in steps if step.at >= cut.until})
            self.assertTrue(all(step.until <= 119 for step in steps))
            for step in steps:
                beside = [other for other in steps if other.at <= step.at < other.until]
                everything = [target for other in beside for target in other.targets]
                self.assertEqual(len(set(everything)), len(everything))

    def test_partitions_cut_between_two_sides(self):
        forms = set()
        for steps in self.plans():
            for detail in (step.detail for step in steps if step.kind == "partition"):
                forms.add(detail["form"])
                side = set(detail["side"].split("+"))
                for source, target in detail["cuts"]:
                    self.assertNotEqual(source in side, target in side)
                if detail["form"] in ("one", "halves"):
                    self.assertEqual({(b, a) for a, b in detail["cuts"]}, set(detail["cuts"]))
        self.assertEqual(forms, {"one", "halves", "deaf", "mute"})


class RotTests(unittest.TestCase):
    def test_one_bit_of_a_message_is_wrong_until_it_is_mended(self):
        with tempfile.TemporaryDirectory() as root:
            folder = os.path.join(root, "mail", "7", "example.test", "reader", "new")
            os.makedirs(folder)
            path, good = os.path.join(folder, "1.M1"), bytes(100)
            pathlib.Path(path).write_bytes(good)
            other = path + ".linked"
            os.link(path, other)
            self.assertEqual(stores.files(root), [[path, other]])
            os.unlink(other)
            self.assertEqual(stores.files_with_copies(root, []), [])
            self.assertEqual(stores.files_with_copies(root, [root]), [[path]])
            bad = stores.flip_bit(path, random.Random(1))
            found = pathlib.Path(path).read_bytes()
            self.assertEqual(sum(one.bit_count() for one in found), 1)
            self.assertEqual(len(found), len(good))
            self.assertTrue(stores.is_still(path, bad))
            pathlib.Path(path).write_bytes(good)
            self.assertFalse(stores.is_still(path, bad))
            os.unlink(path)
            self.assertFalse(stores.is_still(path, bad))


class LinkTests(unittest.TestCase):
    """A link between two sites, with something behind it that answers each byte with two."""

    def setUp(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.heard = []
        threading.Thread(target=self._serve, daemon=True).start()
        self.relays = {("a", "b"): Relay(), ("b", "a"): Relay()}
        for relay in self.relays.values():
            relay.target = self.server.getsockname()[1]

    def tearDown(self):
        for relay in self.relays.values():
            relay.close()
        self.server.close()

    def _serve(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with connection:
            while piece := connection.recv(1):
                self.heard.append(piece)
                connection.sendall(piece * 2)

    def ask(self, connection, byte):
        """What comes back for it; nothing if the connection ends or stays silent."""
        try:
            connection.sendall(byte)
            return connection.recv(2, socket.MSG_WAITALL)
        except OSError:
            return b""

    def connect(self, link, timeout=30):
        return socket.create_connection(("127.0.0.1", self.relays[link].port), timeout=timeout)

    def nemesis(self, kind, detail):
        step = Step(0, "link", "a>b", 0, 1, detail)
        return kind(types.SimpleNamespace(relays=self.relays), {}, step)

    def test_a_cut_breaks_what_is_open_and_lets_nothing_through_until_it_is_healed(self):
        for detail, other_way in (({}, b"xx"), ({"ways": 2}, b"")):
            there, back = self.connect(("a", "b")), self.connect(("b", "a"))
            self.assertEqual([self.ask(end, b"x") for end in (there, back)], [b"xx", b"xx"])
            cut = self.nemesis(Link, detail)
            cut.inject()
            self.assertEqual(self.ask(there, b"x"), b"")
            self.assertEqual(self.ask(back, b"x"), other_way)
            self.assertEqual(self.ask(self.connect(("a", "b")), b"x"), b"")
            self.assertEqual(self.ask(self.connect(("b", "a")), b"x"), other_way)
            cut.heal()
            for link in self.relays:
                self.assertEqual(self.ask(self.connect(link), b"x"), b"xx")

    def test_a_mute_link_brings_what_is_said_and_loses_the_answer(self):
        connection = self.connect(("a", "b"), timeout=0.2)
        mute = self.nemesis(Mute, {})
        mute.inject()
        heard = len(self.heard)
        self.assertEqual(self.ask(connection, b"y"), b"")
        self.assertEqual(self.heard[heard:], [b"y"])
        mute.heal()
        self.assertEqual(self.ask(self.connect(("a", "b")), b"z"), b"zz")


def run():
    """Runs them all. Returns the exit status, and prints one line."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    text = io.StringIO()
    result = unittest.TextTestRunner(stream=text).run(suite)
    if not result.wasSuccessful():
        print(text.getvalue())
    print(f"chaos self-test {'passed' if result.wasSuccessful() else 'FAILED'}: {result.testsRun} tests")
    return 0 if result.wasSuccessful() else 1
