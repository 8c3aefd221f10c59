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
                messages[identity(name)] = [name.split(":")[0], _digest(file.read())]
    deleted = set()
    for name in _names(os.path.join(folder, "gone")):
        with open(os.path.join(folder, "gone", name), encoding="utf-8", errors="replace") as file:
            deleted.update(line for line in file.read().split("\n") if line)
    return messages, sorted(deleted)


def files(root):
    """The messages of a store, what waits for others too: a list of all paths of each file."""
    found = {}
    for top in ("mail", "spool"):
        for folder, _, names in os.walk(os.path.join(root, top)):
            if os.path.basename(folder) in ("new", "cur"):
                for name in sorted(names):
                    path = os.path.join(folder, name)
                    try:
                        found.setdefault(os.stat(path).st_ino, []).append(path)
                    except OSError:
                        pass  # gone meanwhile
    return list(found.values())


def files_with_copies(root, others):
    """Those of a store whose message is in another store too."""
    elsewhere = {identity(os.path.basename(path)) for other in others for paths in files(other) for path in paths}
    return [paths for paths in files(root) if identity(os.path.basename(paths[0])) in elsewhere]


def flip_bit(path, noise):
    """Changes one bit of a file. The digest of what it is then."""
    with open(path, "r+b") as file:
        content = bytearray(file.read())
        place = noise.randrange(len(content))
        content[place] ^= 1 << noise.randrange(8)
        file.seek(place)
        file.write(content[place:place + 1])
    return _digest(content)


def is_still(path, digest):
    """Whether a file is what it was when it had this digest."""
    try:
        with open(path, "rb") as file:
            return _digest(file.read()) == digest
    except OSError:
        return False


def _digest(content):
    return hashlib.sha256(content).hexdigest()


def _names(folder):
    try:
        return [name for name in os.listdir(folder) if not name.startswith(".")]
    except FileNotFoundError:
        return []
