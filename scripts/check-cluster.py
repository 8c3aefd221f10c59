#!/usr/bin/env python3
"""Sends mail to one frontend, reads it from the other, and compares: byte for byte, once each, nothing else.

The cluster of cluster-config/dev.yaml is started on free ports in a temporary folder. Messages go by SMTP, by turns
DATA and BDAT, plain and STARTTLS; half way one process of each role is killed (-9) and started again, and the sender
tries again what was not answered by 250, as a mail server would. Where mailboxes have more than one owner, another
storage node is then killed for good. Every mailbox is read from the other POP3
frontend at last, by turns plain, STLS and POP3S, and every message that got 250 must be there once and unchanged.

Exit status: 0 if all is well, 1 if not, 2 if the check itself could not be run.
"""

import argparse
import os
import poplib
import queue
import shutil
import smtplib
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from mailcheck import messages
from mailcheck.clients import MaildropReader, SMTPSender
from mailcheck.cluster import Cluster, ClusterError
from mailcheck.ledger import Ledger

MAILBOXES = [f"reader{number}@example.test" for number in range(8)]
RETRY_SECONDS_MAX = 90


class Sending:
    """Sends the ledger's entries over several connections and keeps account of the answers."""

    def __init__(self, cluster, ledger, port, connections):
        self.cluster, self.ledger, self.port = cluster, ledger, port
        self.context = cluster.tls_context()
        self.answered = 0
        self.half_way = threading.Event()
        self._given_up = threading.Event()
        self._queue = queue.SimpleQueue()
        for entry in ledger.entries:
            self._queue.put(entry)
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(connections)]

    def run(self, half_way_action):
        for thread in self._threads:
            thread.start()
        self.half_way.wait()
        try:
            half_way_action()
        except BaseException:
            # A process that does not come back would cost every message its whole time of tries.
            self._given_up.set()
            raise
        finally:
            for thread in self._threads:
                thread.join()

    def _work(self):
        open_connections = {}
        while not self._given_up.is_set():
            try:
                entry = self._queue.get_nowait()
            except queue.Empty:
                break
            try:
                self._send(entry, open_connections)
            except Exception as error:  # pylint: disable=broad-except
                self.ledger.problem(f"{entry.name}: {error!r}")
            self.answered += 1
            if self.answered * 2 >= len(self.ledger.entries):
                self.half_way.set()
        self.half_way.set()
        for connection in open_connections.values():
            connection.close()

    def _send(self, entry, open_connections):
        """Tries until an answer is final. By turns DATA and BDAT, plain and TLS."""
        by_bdat, by_tls = entry.number % 2 == 1, entry.number // 2 % 2 == 1
        deadline = time.monotonic() + RETRY_SECONDS_MAX
        while not self._attempt(entry, by_bdat, by_tls, open_connections):
            if time.monotonic() > deadline or self._given_up.wait(0.1):
                return

    def _attempt(self, entry, by_bdat, by_tls, open_connections):
        """One attempt. Returns whether its outcome is final."""
        connection = open_connections.get(by_tls)
        try:
            if not connection:
                connection = open_connections[by_tls] = self._connect(by_tls)
            code, text = connection.deliver(entry.sender, entry.recipient, entry.content, by_bdat)
        except (OSError, smtplib.SMTPException):
            code, text = 421, b"connection lost"
        if code == 250:
            entry.accepted = True
            return True
        if code >= 500:
            entry.refused = f"{code} {text.decode(errors='replace')}"
            return True
        entry.uncertain += connection is not None and connection.is_open_question
        if code == 421 and connection:
            del open_connections[by_tls]
            connection.close()
        return False

    def _connect(self, by_tls):
        connection = SMTPSender("127.0.0.1", self.port, local_hostname="check.test", timeout=60)
        if by_tls:
            connection.starttls(context=self.context)
        connection.ehlo_or_helo_if_needed()
        return connection


def read_all(cluster, ledger, passwords, first_port, other_port, secure_port):
    """Reads every mailbox from the other frontend, and asks the first one whether it shows the same maildrop."""
    context = cluster.tls_context()

    def read(numbered):
        number, (mailbox, password) = numbered
        security = ("plain", "stls", "pop3s")[number % 3]
        port = secure_port if security == "pop3s" else other_port
        reader = MaildropReader("127.0.0.1", port, mailbox, password, security, context)
        compare_maildrops(ledger, mailbox, reader, MaildropReader(
            "127.0.0.1", first_port, mailbox, password, "stls", context))
        sizes = reader.sizes()
        for message, name in reader.names().items():
            ledger.found(mailbox, name, sizes[message], reader.message(message))
        check_deletion(ledger, mailbox, password, reader, first_port, context)

    with ThreadPoolExecutor(len(passwords)) as pool:
        for outcome in [pool.submit(read, item) for item in enumerate(passwords.items())]:
            try:
                outcome.result()
            except (OSError, poplib.error_proto) as error:
                ledger.problem(f"reading: {error!r}")


def compare_maildrops(ledger, mailbox, reader, witness):
    """Both frontends show the same messages with the same sizes."""
    names, sizes = reader.names(), reader.sizes()
    if witness.names() != names:
        ledger.problem(f"{mailbox}: the two POP3 frontends show different UIDLs")
    if witness.sizes() != sizes:
        ledger.problem(f"{mailbox}: the two POP3 frontends show different sizes")
    if len(set(names.values())) != len(names):
        ledger.problem(f"{mailbox}: a UIDL comes twice")
    witness.quit()


def check_deletion(ledger, mailbox, password, reader, first_port, context):
    """RFC 1939 §6: what is deleted by one frontend is gone from the other after QUIT, and nothing else is."""
    names = reader.names()
    if not names:
        reader.quit()
        return
    gone = min(names)
    reader.delete(gone)
    reader.quit()
    witness = MaildropReader("127.0.0.1", first_port, mailbox, password, "stls", context)
    if sorted(witness.names().values()) != sorted(name for n, name in names.items() if n != gone):
        ledger.problem(f"{mailbox}: after one deletion the other frontend does not show the rest")
    witness.quit()


def check(cluster, ledger, options):
    """The whole story. Returns its summary line."""
    start = time.monotonic()
    cluster.start()
    cluster.command("domain", "add", "example.test")
    passwords = {mailbox: cluster.add_account(mailbox) for mailbox in MAILBOXES}
    victims = cluster.one_of_each_role() if options.kill == "all" else cluster.storage_nodes()[:1]
    lost = cluster.storage_nodes()[-1] if options.kill == "all" and cluster.replicas > 1 else None

    def kill_victims():
        for node in victims:
            cluster.kill_and_restart(node)
        if lost:
            cluster.lose(lost)

    sending = Sending(cluster, ledger, cluster.port(2525), options.connections)
    sending.run(kill_victims)
    sent = time.monotonic()
    read_all(cluster, ledger, passwords, cluster.port(1110), cluster.port(1111), cluster.port(1995))
    repeated = ledger.judge(options.repeats_allowed)
    entries = ledger.entries
    return (
        f"{len(entries)} messages, {sum(len(entry.content) for entry in entries)} octets; "
        f"{sum(entry.accepted for entry in entries)} got 250, {sum(len(entry.copies) for entry in entries)} read back; "
        f"{sum(entry.uncertain for entry in entries)} attempts without a final answer, {repeated} messages repeated; "
        f"killed and restarted {', '.join(victims)}{f', lost {lost} for good' if lost else ''}; {sent - start:.1f} s to send, "
        f"{time.monotonic() - sent:.1f} s to read")


def arguments():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="a folder of messages (default: a few that are made here)")
    parser.add_argument("--hauberk", required=True, help="the program")
    parser.add_argument("--config", default=os.path.join(here, "..", "cluster-config", "dev.yaml"))
    parser.add_argument("--generate", type=int, metavar="N", help="send N made messages instead of a folder's")
    parser.add_argument("--connections", type=int, default=2, help="SMTP connections at the same time")
    parser.add_argument("--kill", choices=["all", "storage"], default="all", help="what is killed half way")
    parser.add_argument(
        "--repeats-allowed", action="store_true",
        help="take no offence at a second copy after an attempt that got no final answer")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    return parser.parse_args()


def main():
    options = arguments()
    if options.generate:
        chosen = messages.generated(options.generate)
    elif options.folder and not os.path.isdir(options.folder):
        print(f"check: {options.folder} is no folder", file=sys.stderr)
        return 2
    else:
        chosen = messages.from_folder(options.folder) if options.folder else messages.made_here()
    if not chosen:
        print(f"check: no messages in {options.folder}", file=sys.stderr)
        return 2
    home = tempfile.mkdtemp(prefix="hauberk-check-")
    ledger = Ledger(chosen, MAILBOXES)
    cluster = Cluster(os.path.abspath(options.hauberk), options.config, home)
    summary = "the cluster could not be checked"
    try:
        summary = check(cluster, ledger, options)
    except (ClusterError, OSError) as error:
        ledger.problem(str(error))
    finally:
        for problem in cluster.stop():
            ledger.problem(problem)
    for problem in ledger.problems[:40]:
        print(f"check: {problem}", file=sys.stderr)
    good = not ledger.problems
    if good and not options.keep:
        shutil.rmtree(home)
    else:
        print(f"check: logs and data are in {home}", file=sys.stderr)
    print(f"check {'passed' if good else 'FAILED'}: {summary}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
