"""Maildirs as they lie on a node's disk."""

import hashlib
import os
import re

# The identity is what stands before the first comma or colon; flags, which POP3 does not show, begin at the colon.
_IDENTITY = re.compile(r"^[^,:]*")


def identity(file_name):
    return _IDENTITY.match(file_name)[0]


def copies(folder):
    """What a mailbox's folder holds: {identity: [name without flags, SHA-256]} and the identities that are deleted."""
    messages = {}
    for part in ("new", "cur"):
        for name in _names(os.path.join(folder, part)):
            with open(os.path.join(folder, part, name), "rb") as file:
                messages[identity(name)] = [name.split(":")[0], hashlib.sha256(file.read()).hexdigest()]
    deleted = set()
    for name in _names(os.path.join(folder, "gone")):
        with open(os.path.join(folder, "gone", name), encoding="utf-8", errors="replace") as file:
            deleted.update(line for line in file.read().split("\n") if line)
    return messages, sorted(deleted)


def _names(folder):
    try:
        return [name for name in os.listdir(folder) if not name.startswith(".")]
    except FileNotFoundError:
        return []
