"""A steady load, slow enough for every message to be followed: when it was acknowledged, and when it was elsewhere."""

import re
import socket
import threading
import time

_TOKEN = re.compile(rb"(?im)^message-id: <steady-(\d+-\d+)@")


class SteadyError(Exception):
    """A message was not taken."""


class _Sender:
    """One connection that sends a message when it is due."""

    def __init__(self, port, number, schedule, text, recipients, acknowledged):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._replies = self._socket.makefile("rb")
        self._number, self._schedule, self._text = number, schedule, text
        self._recipients, self._acknowledged = recipients, acknowledged
        self.failure = None
        self._reply(b"2")
        self._say(b"EHLO steady.test")
        self._reply(b"2")

    def _say(self, *lines):
        self._socket.sendall(b"".join(line + b"\r\n" for line in lines))

    def _reply(self, wanted):
        while True:
            line = self._replies.readline()
            if line[3:4] != b"-":
                break
        if not line.startswith(wanted):
            raise SteadyError(f"the server said {line!r}")

    def run(self):
        try:
            for turn, due in enumerate(self._schedule):
                time.sleep(max(0.0, due - time.monotonic()))
                self._send(f"{self._number}-{turn}", self._recipients[turn % len(self._recipients)])
            self._say(b"QUIT")
        except (OSError, SteadyError) as error:
            self.failure = error
        finally:
            self._socket.close()

    def _send(self, token, recipient):
        self._say(b"MAIL FROM:<steady@load.test>", b"RCPT TO:<%s>" % recipient.encode(), b"DATA")
        for wanted in (b"250", b"250", b"354"):
            self._reply(wanted)
        self._say(b"Message-ID: <steady-%s@load.test>" % token.encode(), b"", self._text, b".")
        self._reply(b"250")
        self._acknowledged[token] = time.monotonic()


def send(port, rate, seconds, octets, recipients, connections=4):
    """Sends so many messages a second. Returns when each got its 250, by token, in seconds of the monotonic clock."""
    text = b"\r\n".join([b"y" * 70] * (octets // 72))
    acknowledged, start = {}, time.monotonic() + 0.2
    senders = []
    for number in range(connections):
        schedule = [start + turn / rate for turn in range(number, int(rate * seconds), connections)]
        own = recipients[number::connections]
        senders.append(_Sender(port, number, schedule, text, own, acknowledged))
    threads = [threading.Thread(target=sender.run) for sender in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for sender in senders:
        if sender.failure:
            raise SteadyError(str(sender.failure))
    return acknowledged


def token_of(path):
    """Which message of `send` a file holds; None for another one."""
    with open(path, "rb") as file:
        found = _TOKEN.search(file.read(4096))
    return found[1].decode() if found else None


def lags(acknowledged, files):
    """Seconds from each message's 250 until its file's appearance elsewhere; `files` are (when, path)."""
    came = {token_of(path): when for when, path in files}
    missing = acknowledged.keys() - came.keys()
    if missing:
        raise SteadyError(f"{len(missing)} messages never came")
    return [came[token] - when for token, when in acknowledged.items()]
