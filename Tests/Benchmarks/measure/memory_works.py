"""Works that hold connections open."""

import threading
import time

from . import runs, sessions
from .hauberk_cluster import DOMAIN, PASSWORD
from .pop3_works import SMALL, SMALL_MAILBOXES, filled
from .systems import DOVECOT, DOVECOT_PROXY, HAUBERK, HAUBERK_TLS, POSTFIX_DOVECOT

# Dovecot and Postfix have a process for each of these; Postfix has 100 at most.
IDLE, IDLE_MIN, IDLE_OF_PEERS = 1000, 250, 80
CROWD = 10_000
OPENERS = 8


def kinds(prefix):
    """How to open each kind of session with a system, by number."""
    context = sessions.unverified_context()

    def pop3(service, tls):
        return lambda system, number: sessions.pop3_session(
            system.ports[service], tls, f"{prefix}{number % SMALL_MAILBOXES}@{DOMAIN}", PASSWORD)

    def smtp(tls):
        return lambda system, number: sessions.smtp_session(system.ports["smtp"], tls)

    return {"POP3": (pop3("pop3", None), (HAUBERK, DOVECOT, DOVECOT_PROXY)),
            "POP3, TLS": (pop3("pop3s", context), (HAUBERK_TLS, DOVECOT, DOVECOT_PROXY)),
            "SMTP": (smtp(None), (HAUBERK, POSTFIX_DOVECOT)), "SMTP, TLS": (smtp(context), (HAUBERK_TLS, POSTFIX_DOVECOT))}


def idle(bench):
    """Memory of an idle session: frontend, node and kernel."""
    prefix = filled(bench, "small", SMALL_MAILBOXES, SMALL)
    end = sessions.kernel_kib_of_an_end(IDLE_MIN)
    for name, (make, titles) in kinds(prefix).items():
        for title in titles:
            own = title.startswith("Hauberk")
            count = max(IDLE_MIN, bench.count(IDLE)) if own else IDLE_OF_PEERS
            bench.say(f"{count} idle sessions: {name}, {title}")
            # What other works have left free in a process, sessions would take.
            system = bench.systems.another(title)
            if own:
                system.add_accounts(prefix, SMALL_MAILBOXES)
                bench.generate(("smtp", *bench.mail_options(system, "smtp", prefix, SMALL_MAILBOXES, 100, 4096, 8)))
            kib, kernel = sessions.memory_of(
                lambda number, system=system, make=make: make(system, number), count, system.memory_kib, end,
                first=10 if own else 1)
            bench.systems.close(system)
            bench.rows.setdefault(f"idle {name}", {})[title] = {
                "kib": kib + kernel, "processKiB": kib, "kernelKiB": kernel, "sessions": count}


def crowd(bench):
    """10,000 idle POP3 sessions, and mail and logins meanwhile."""
    prefix = filled(bench, "small", SMALL_MAILBOXES, SMALL)
    system, count = bench.get(HAUBERK), bench.count(CROWD)
    bench.compare("crowd", {"Hauberk, alone": lambda: traffic(bench, system, prefix)})
    bench.warm(system, prefix, SMALL_MAILBOXES)
    before, title = system.memory_kib(), f"Hauberk, beside {count} sessions"
    opened = open_sessions(kinds(prefix)["POP3"][0], system, count)
    try:
        memory = (system.memory_kib() - before) / count
        bench.compare("crowd", {title: lambda: traffic(bench, system, prefix)})
        bench.rows["crowd"][title]["kib"] = memory
        for session in opened:
            session.say("NOOP")  # Not one was lost.
    finally:
        for session in opened:
            session.close()


def open_sessions(make, system, count):
    """So many of them, from several threads."""
    opened, failures = [], []

    def work(first):
        try:
            for number in range(first, count, OPENERS):
                opened.append(make(system, number))
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(OPENERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        for session in opened:
            session.close()
        raise runs.MeasureError(f"{len(opened)} of {count} sessions: {failures[0]}")
    time.sleep(1)
    return opened


def traffic(bench, system, prefix):
    """The rate is of messages; the logins' comes after it."""
    mail = bench.send(system, bench.count(4000))
    logins = bench.read(system, prefix, SMALL_MAILBOXES, 32, bench.count(2000), "login")
    return {**mail, "loginRate": logins["rate"], "loginP99": logins["p99"]}
