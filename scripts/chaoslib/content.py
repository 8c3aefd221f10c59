"""The messages of a run. What one holds is a function of its attempt, its size and whether its readers shall find
`Delivered-To:` on top, and says all three, so nothing needs to be kept of it.

A message is sent in attempts, as mail servers do it: `17.2` is the second attempt at message 17. Each attempt is a
message of its own for the cluster, so a copy that the cluster made twice differs from one that its sender sent twice.
"""

import random
import re
from bisect import bisect_left
from zlib import crc32

from mailcheck.ledger import first_difference, take_trace

MESSAGE_ID = re.compile(rb"^Message-ID: <(\d+\.\d+)@chaos\.test>\r\n", re.M)
BODY_OCTETS_MAX = 320 << 10


def _lines():
    """Lines that go through every encoding on the way: dots in front, 8-bit text, empty and long ones."""
    noise = random.Random(5321)
    alphabet = b"abcdefghijklmnopqrstuvwxyz .,"
    lines, octets = [], 0
    while octets < 2 * BODY_OCTETS_MAX:
        line = bytes(noise.choices(alphabet, k=noise.choice((0, 40, 72, 72, 72, 300))))
        line = noise.choice((b"", b"", b"", b"", b".", b"..", "é".encode())) + line + b"\r\n"
        lines.append(line)
        octets += len(line)
    return lines


_POOL = b"".join(_lines())
_STARTS = [0] + [match.end() for match in re.finditer(rb"\r\n", _POOL)]


def content(attempt, octets, has_address=True):
    """The attempt's message, of at least `octets` octets and less than a line more, with CRLF; as long with an address as
    without one."""
    head = (
        b"From: sender@chaos.test\r\nTo: readers@example.test\r\nSubject: attempt %s\r\nMessage-ID: <%s@chaos.test>\r\n"
        b"X-Octets: %d\r\nX-Addressed: %d\r\n\r\n" % (attempt.encode(), attempt.encode(), octets, has_address))
    wanted = max(octets - len(head), 0)
    first = crc32(attempt.encode()) % bisect_left(_STARTS, len(_POOL) - BODY_OCTETS_MAX)
    start = _STARTS[first]
    end = _STARTS[bisect_left(_STARTS, start + wanted)]
    return head + _POOL[start:end]


def some_size(noise):
    """1 KiB to 300 KiB: most are small, a few are large, as mail is."""
    low, high = noise.choices(((1, 8), (8, 64), (64, 300)), weights=(82, 14, 4))[0]
    return noise.randrange(low << 10, high << 10)


def recognise(message, mailbox):
    """The attempt of a message that was read, or None; and what is wrong with its bytes, or None."""
    has_address = b"\r\nX-Addressed: 0\r\n" not in message[:2000]
    wanted = [b"Return-Path", b"Delivered-To", b"Received"] if has_address else [b"Return-Path", b"Received"]
    fields, rest = take_trace(message, wanted)
    found = MESSAGE_ID.search(rest[:1000])
    if not found:
        return None, f"it bears no attempt: {rest[:80]!r}"
    attempt = found[1].decode()
    octets = re.search(rb"^X-Octets: (\d{1,7})\r\n", rest[:1000], re.M)
    if not octets or int(octets[1]) > BODY_OCTETS_MAX:
        return attempt, "its size cannot be read"
    if [name for name, _ in fields] != wanted:
        return attempt, f"its first fields are {[name for name, _ in fields]}"
    if has_address and fields[1][1].decode(errors="replace") != mailbox:
        return attempt, f"it was delivered to {fields[1][1]!r}"
    expected = content(attempt, int(octets[1]), has_address)
    return attempt, None if rest == expected else first_difference(expected, rest)
