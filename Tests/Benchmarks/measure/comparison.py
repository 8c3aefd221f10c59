"""What all works share: the rounds, fresh mailboxes for each run, and one measured run of mail or of POP3 sessions."""

import os
import shutil
import statistics
import sys

from . import runs
from .hauberk_cluster import DOMAIN, PASSWORD
from .peer_server import READER

MAILBOXES = 100
ARRIVE_SECONDS_MAX = 300


class Comparison:
    """`rows` has the figures of each work, by system; `made` is what works have made once."""

    def __init__(self, systems, options, home):
        self.systems, self.options, self.home = systems, options, home
        self.rounds = options.rounds or (1 if options.quick else 3)
        self.shrink = 8 if options.quick else 1
        self.pause = 1 if options.quick else 4
        self.rows, self.made, self._prefixes, self._bare_loops = {}, {}, 0, 0

    def get(self, title):
        return self.systems.get(title)

    def count(self, full):
        """So many of something, or fewer where speed is not asked for."""
        return max(1, full // self.shrink)

    def say(self, text):
        print(f"bench: {text}", file=sys.stderr, flush=True)

    def compare(self, work, runs_by_system):
        """Runs each in turn, as often as there are rounds, and keeps the medians."""
        found = runs.rotate(runs_by_system, self.rounds, self.pause, lambda text: self.say(f"{work}, {text}"))
        self.rows.setdefault(work, {}).update({title: medians(results) for title, results in found.items()})

    # mail

    def fresh(self, system, mailboxes=MAILBOXES):
        """The prefix of so many new mailboxes, each with one message."""
        self._prefixes += 1
        prefix = f"r{self._prefixes}x"
        system.add_accounts(prefix, mailboxes)
        service = "smtp" if "smtp" in system.ports else "lmtp"
        self.generate((service, *self.mail_options(system, service, prefix, mailboxes, mailboxes, 4096, 8)))
        # Of each copy, wherever it lies.
        system.maildirs(prefix).find(mailboxes * system.copies).wait(mailboxes * system.copies, ARRIVE_SECONDS_MAX)
        return prefix

    def generate(self, *loads):
        return runs.generate(self.options.hauberk, *loads)

    @staticmethod
    def mail_options(system, service, prefix, mailboxes, count, octets, connections):
        return ("--target", system.target(service), "--connections", connections, "--messages", count, "--size", octets,
                "--recipient", f"{prefix}%d@{DOMAIN}", "--mailboxes", mailboxes, "--pipeline")

    def send(self, system, count, octets=4096, connections=32, *more, service="smtp", recipients=1, mailboxes=MAILBOXES):
        """Sends so many messages, and waits until each is in all its mailboxes."""
        prefix = self.fresh(system, mailboxes)
        maildirs = system.maildirs(prefix).find(mailboxes * system.copies)
        before = maildirs.files()
        runs.settle(min(1, self.pause))
        cpu = system.cpu_seconds()
        summary = self.generate((
            service, *self.mail_options(system, service, prefix, mailboxes, count, octets, connections),
            "--recipients-per-message", recipients, *more))[0]
        last = maildirs.wait(before + count * recipients * system.copies, ARRIVE_SECONDS_MAX)
        return {**mail_figures(summary, count, last, cpu, system.cpu_seconds()), "octets": octets}

    def bare_loop(self, threads, cycles, octets=4096, rate=None):
        self._bare_loops += 1
        folder = os.path.join(self.home, f"bare-{self._bare_loops}")
        return runs.bare_loop(self.options.bare_loop, folder, threads, cycles, octets, MAILBOXES, rate)

    # POP3

    def read(self, system, prefix, mailboxes, at_once, sessions, task, *more, service="pop3"):
        """So many POP3 sessions. The rate is of messages, or of sessions that read none."""
        options = ["--target", system.target(service), "--users", f"{prefix}%d@{DOMAIN}", "--mailboxes", mailboxes,
                   "--password", PASSWORD, *(["--tls"] if service == "pop3s" else [])]
        cpu = system.cpu_seconds()
        summary = self.generate(
            ("pop3", *options, "--connections", at_once, "--sessions", sessions, "--do", task, *more))[0]
        done = summary["messages"] or summary["done"]
        figures = {"rate": summary["messagesPerSecond"] or summary["rate"], "messages": summary["messages"],
                   **(summary.get("retrieveLatency") or summary["latency"])}
        return {**figures, **costs(summary, done, cpu, system.cpu_seconds())}

    def warm(self, system, prefix, mailboxes, task="login"):
        """A session for each, so that passwords and listings are known as in a site that runs."""
        self.read(system, prefix, mailboxes, 8, mailboxes, task)

    def copy_mail(self, source, target, prefix):
        """The same messages for another system, in files of its own."""
        for folder in source.maildirs(prefix).find(1).folders:
            user = os.path.basename(os.path.dirname(folder))
            home = os.path.join(target.mail, user)
            for name in ("", "tmp", "cur", "new"):
                os.makedirs(os.path.join(home, name), exist_ok=True)
                os.chown(os.path.join(home, name), READER, READER)
            for name in os.listdir(folder):
                path = os.path.join(home, "new", name)
                shutil.copyfile(os.path.join(folder, name), path)
                os.chown(path, READER, READER)


def mail_figures(summary, count, last, cpu, cpu_after):
    """Of one run whose last message came then. It begins with the first message sent, and ends no sooner than the last
    answer: folders' times come in steps, and the generator takes a moment to end."""
    seconds = max(summary["seconds"], last - (summary["ended"] - summary["seconds"]))
    return {"rate": count / seconds, "acceptedRate": summary["rate"], **summary["latency"],
            **costs(summary, count, cpu, cpu_after)}


def costs(summary, count, cpu, cpu_after):
    """Microseconds of CPU for each, of the servers and of the generator; and the generator's share of one core."""
    user, system = ((after - before) * 1e6 / count for before, after in zip(cpu, cpu_after))
    return {"userMicroseconds": user, "systemMicroseconds": system, "cpuMicroseconds": user + system,
            "generatorMicroseconds": summary["generatorSeconds"] * 1e6 / count,
            "generatorShare": summary["generatorSeconds"] / summary["seconds"] if summary["seconds"] else 0.0}


def medians(results):
    """The median of each figure over several runs, and each run's main figure, which is its first."""
    main = next(iter(results[0]))
    figures = {key: statistics.median(result[key] for result in results) for key in results[0]}
    return {**figures, "main": main, "runs": [result[main] for result in results]}
