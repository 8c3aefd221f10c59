"""Checks of what sites.py measures with: each can fail, and none asks for more speed than that something ends at all."""

import os
import random
import socket
import tempfile
import threading
import time

from . import selftest, site_report, steady
from .arrivals import Arrivals, ArrivalsError
from .link import Link

_DELAY = 0.05
_PATIENCE = 60


def run():
    """Prints what fails. Returns the exit status."""
    return selftest.run("sites", (
        _bytes_are_kept, _nothing_comes_early, _a_cut_breaks, _no_arrival_is_missed, _tokens_are_found,
        _bars_are_judged))


class _Carried:
    """A link, and one connection over it."""

    def __enter__(self):
        self.link = Link()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(_PATIENCE)
        self.port = self.link.to(self._server.getsockname()[1])
        self.near, self.far = self.connect()
        return self

    def connect(self):
        near = socket.create_connection(("127.0.0.1", self.port), timeout=_PATIENCE)
        far, _ = self._server.accept()
        far.settimeout(_PATIENCE)
        return near, far

    def __exit__(self, *_):
        for opened in (self.near, self.far, self._server):
            opened.close()
        self.link.close()


def _read(end, into):
    while piece := end.recv(1 << 16):
        into.extend(piece)


def _bytes_are_kept():
    noise = random.Random(4321)
    texts = [noise.randbytes(3 << 20), noise.randbytes(1 << 20)]
    with _Carried() as carried:
        ends, heard = (carried.near, carried.far), (bytearray(), bytearray())
        readers = [threading.Thread(target=_read, args=pair) for pair in zip(ends, heard)]
        for reader in readers:
            reader.start()

        def write(end, text):
            at = 0
            while at < len(text):
                size = noise.randrange(1, 100_000)
                end.sendall(text[at : at + size])
                at += size
            end.shutdown(socket.SHUT_WR)

        writers = [threading.Thread(target=write, args=pair) for pair in zip(ends, texts)]
        for writer in writers:
            writer.start()
        # What is under way when the delay becomes shorter must not be overtaken.
        for delay in (0.02, 0, 0.01, 0):
            carried.link.set_delay(delay)
            time.sleep(0.02)
        for thread in writers + readers:
            thread.join(_PATIENCE)
            assert not thread.is_alive(), "a direction never ended"
    assert (heard[1], heard[0]) == (texts[0], texts[1]), "what came is not what was sent"


def _nothing_comes_early():
    with _Carried() as carried:
        carried.link.set_delay(_DELAY)
        for one, other in ((carried.near, carried.far), (carried.far, carried.near)):
            sent = time.monotonic()
            one.sendall(b"x")
            other.recv(1)
            assert time.monotonic() - sent >= _DELAY, "a byte came before its time"
        begun = time.monotonic()
        for end in carried.connect():
            end.close()
        assert time.monotonic() - begun >= 3 * _DELAY, "a connection came up before its handshake could be over"


def _a_cut_breaks():
    with _Carried() as carried:
        carried.link.cut()
        assert _ended(carried.near) and _ended(carried.far), "what was open goes on over a link that is cut"
        try:
            near = socket.create_connection(("127.0.0.1", carried.port))
            assert _ended(near), "a link that is cut takes connections"
            near.close()
        except OSError:
            pass
        carried.link.mend()
        for end in carried.connect():
            end.close()


def _ended(end):
    try:
        return end.recv(1) == b""
    except ConnectionError:
        return True


def _no_arrival_is_missed():
    with tempfile.TemporaryDirectory() as home:
        folders = [os.path.join(home, store, "mail", "7", "example.test", f"user{number}", "new")
                   for store in ("a", "b") for number in range(3)]
        for folder in folders:
            os.makedirs(folder)
        with Arrivals([os.path.join(home, "a"), os.path.join(home, "b")], copies=2) as arrivals:
            for number in range(300):
                for folder in folders[number % 3 :: 3]:
                    _make(folder, f"{number}.x.y,S=1,W=1")
            times = arrivals.wait(300, _PATIENCE)
            assert len(times) == 300 and times == sorted(times), f"{len(times)} of 300 messages were seen"
            _make(folders[0], "one-copy.only")
            try:
                arrivals.wait(301, 0.3)
                raise AssertionError("a message of which one copy is there counts")
            except ArrivalsError:
                pass


def _make(folder, name):
    """As a storage node does: a link from elsewhere on the same file system."""
    path = os.path.join(os.path.dirname(folder), name)
    with open(path, "wb"):
        pass
    os.link(path, os.path.join(folder, name))
    os.unlink(path)


def _tokens_are_found():
    with tempfile.TemporaryDirectory() as home:
        path = os.path.join(home, "message")
        with open(path, "wb") as file:
            file.write(b"Return-Path: <steady@load.test>\nMessage-ID: <steady-3-14@load.test>\n\nyyy\n")
        assert steady.lags({"3-14": 5.0}, [(5.5, path)]) == [0.5], "a lag is not what it was"
        try:
            steady.lags({"3-15": 5.0}, [(5.5, path)])
        except steady.SteadyError:
            return
        raise AssertionError("nobody misses a message that never came")


def _bars_are_judged():
    def figures(slow):
        works = [{"work": "drain", "delay": delay, **site_report.medians([{"rate": rate}, {"rate": rate + 2}])}
                 for delay, rate in ((0, 999), (50, slow))]
        return {"copies": {"1": {"works": works}}}

    assert [row["met"] for row in site_report.bars(figures(850))] == [True], "a bar that is met counts as missed"
    assert [row["met"] for row in site_report.bars(figures(700))] == [False], "a bar that is missed counts as met"
