"""What was sent and what was answered, and whether the maildrops agree with it."""

import re
import threading
from dataclasses import dataclass, field

SENDER = re.compile(rb"m(\d+)@check\.test")


@dataclass
class Entry:
    """One message on its way, as its sender sees it."""

    number: int
    name: str
    content: bytes
    recipient: str
    accepted: bool = False
    refused: str = ""
    # Attempts whose outcome the sender cannot know: sent whole, but neither 250 nor a refusal came.
    uncertain: int = 0
    copies: list = field(default_factory=list)

    @property
    def sender(self):
        return f"m{self.number}@check.test"


class Ledger:
    """All entries. A message is recognised by its envelope sender, which Return-Path shows."""

    def __init__(self, messages, recipients):
        self.entries = [
            Entry(number, name, content, recipients[number % len(recipients)])
            for number, (name, content) in enumerate(messages)
        ]
        self.problems = []
        self._lock = threading.Lock()

    def problem(self, text):
        with self._lock:
            self.problems.append(text)

    def found(self, mailbox, uidl, octets, message):
        """Takes a message that was read: it must be one that was sent there, with exactly three fields on top."""
        where = f"{mailbox}: message {uidl.decode(errors='replace')}"
        if octets != len(message):
            self.problem(f"{where}: LIST says {octets} octets, RETR gave {len(message)}")
        fields, content = take_trace(message)
        names = [name for name, _ in fields]
        if names != [b"Return-Path", b"Delivered-To", b"Received"]:
            self.problem(f"{where}: its first fields are {names}")
            return
        sender = SENDER.fullmatch(fields[0][1].strip(b" <>"))
        if not sender or int(sender[1]) >= len(self.entries):
            self.problem(f"{where}: nobody sent this: {fields[0][1]!r}")
            return
        entry = self.entries[int(sender[1])]
        if fields[1][1].decode() != mailbox or entry.recipient != mailbox:
            self.problem(f"{where}: {entry.name} went to {entry.recipient}, was delivered to {fields[1][1]!r}")
        if content != entry.content:
            self.problem(f"{where}: {entry.name} is not the same: {first_difference(entry.content, content)}")
        with self._lock:
            entry.copies.append(uidl)

    def judge(self, repeats_allowed):
        """Compares the copies found with the answers. Returns how many messages were stored more than once."""
        repeated = 0
        for entry in self.entries:
            copies = len(entry.copies)
            if entry.refused:
                self.problem(f"{entry.name}: refused: {entry.refused}")
            elif not entry.accepted:
                self.problem(f"{entry.name}: no frontend took it")
            elif copies == 0:
                self.problem(f"{entry.name}: got 250 and is lost")
            elif copies > 1:
                repeated += 1
                if not repeats_allowed or copies > 1 + entry.uncertain:
                    self.problem(f"{entry.name}: is there {copies} times ({entry.uncertain} attempts were uncertain)")
        return repeated


def take_trace(message, names=(b"Return-Path", b"Delivered-To", b"Received")):
    """The fields of these names that stand on top, each once, and the rest."""
    fields, rest = [], message
    for wanted in names:
        match = re.match(rb"([!-9;-~]+):[ \t]*(.*?(?:\r\n[ \t].*?)*)\r\n(?![ \t])", rest)
        if not match:
            break
        fields.append((match[1], match[2]))
        if match[1] != wanted:
            break
        rest = rest[match.end() :]
    return fields, rest


def first_difference(expected, actual):
    shared = min(len(expected), len(actual))
    at = next((i for i in range(shared) if expected[i] != actual[i]), shared)
    return (
        f"{len(expected)} octets sent, {len(actual)} read, different from octet {at} on: "
        f"sent {expected[at : at + 40]!r}, read {actual[at : at + 40]!r}"
    )
