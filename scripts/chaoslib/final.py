"""The end of a run: everything is whole again, and every copy is read in every way there is."""

import time
from concurrent.futures import ThreadPoolExecutor

from .stores import copies
from .workload import Session

DRAIN_SECONDS_MAX = 180
TRIES_MAX = 8
READERS = 3


def wait_until_drained(cluster, history):
    """Waits until nothing waits in handoff, everything is with its owners, and what is damaged is mended. Whether that came
    about in time."""
    deadline = time.monotonic() + DRAIN_SECONDS_MAX
    while obstacle := _obstacle(cluster):
        if time.monotonic() > deadline:
            history.problem(f"{obstacle} {DRAIN_SECONDS_MAX} s after the end")
            return False
        for node, status in cluster.crashed():
            history.problem(f"{node} ended by itself with status {status}: {cluster.tail(node)}")
            cluster.rise(node)
        time.sleep(0.5)
    return True


def _obstacle(cluster):
    if waiting := cluster.waiting():
        return f"{waiting} messages and tombstones still wait in handoff"
    if not cluster.has_moved():
        return "not everything is with its owners"
    if damaged := cluster.damaged():
        return f"{damaged} damaged copies are not mended"
    return None


def read_everything(cluster, history, passwords):
    """Owners' disks as they are, each mailbox through each POP3 frontend, and the disks again."""
    owners = {mailbox: cluster.owners(mailbox) for mailbox in passwords}
    _read_disks(owners, history, "before")
    with ThreadPoolExecutor(READERS) as pool:
        list(pool.map(lambda item: _read_mailbox(cluster, history, *item), passwords.items()))
    _read_disks(owners, history, "after")


def _read_disks(owners, history, phase):
    for mailbox, folders in owners.items():
        for node, folder in folders.items():
            messages, deleted = copies(folder)
            history.add("copies", phase=phase, mailbox=mailbox, node=node, messages=messages, deleted=deleted)


def _read_mailbox(cluster, history, mailbox, password):
    """One whole session through each frontend; what fails for now is tried again, as a client would."""
    for frontend in cluster.frontends("pop3"):
        for _ in range(TRIES_MAX):
            session = Session(history, "final", frontend, mailbox, final=True)
            session.run(*cluster.endpoint(frontend, "pop3"), password, _read_all)
            if session.event["outcome"] == "ok":
                break
            time.sleep(1)
        else:
            history.problem(f"{mailbox} cannot be read by {frontend} at the end: {session.event['outcome']}")


def _read_all(session):
    for uidl in session.numbers:
        session.read(uidl)
    return "quit"
