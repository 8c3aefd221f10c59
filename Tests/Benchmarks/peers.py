#!/usr/bin/env python3
"""Measures Hauberk beside Postfix and Dovecot, in turn, on this machine, and compares with the bars.

Postfix and Dovecot are Debian's, as scripts/peers unpacked them; they run in folders of their own, and nothing of the
machine changes. All keep their mail on the same file system and sync it as they do by default (Dovecot's LMTP:
mail_fsync = always). Dovecot's logins run in its high-performance mode. Each work is run three times, in an order that
rotates, with a pause for the disk before each run; figures are medians. Each run of mail goes to 100 new mailboxes, and
ends when the last message is there; so many files are looked for, no fewer and no more. CPU and memory are those of all
processes of the servers, from /proc; those of the generator are told apart. Nothing is removed before all is measured.

Works:
{works}

Exit status: 0 if every bar is met, 1 if not, 2 if a measurement failed.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(REPOSITORY, "scripts"))

from measure import (  # pylint: disable=wrong-import-position
    mail_works, memory_works, peer_report, peer_selftest, plot, pop3_works, runs, scale_works, sessions)
from measure.comparison import Comparison  # pylint: disable=wrong-import-position
from measure.systems import Systems  # pylint: disable=wrong-import-position

FILES_MAX = 60_000
WORKS = {
    "smtp": mail_works.smtp, "connections": mail_works.connections, "64k": mail_works.medium, "tls": mail_works.tls,
    "lmtp": mail_works.lmtp, "large": mail_works.large, "recipients": mail_works.recipients,
    "low-load": mail_works.low_load, "half-rate": mail_works.fixed_rate, "retr": pop3_works.retrieve,
    "login": pop3_works.login, "dele": pop3_works.delete, "storm": pop3_works.storm,
    "mailbox": pop3_works.large_mailbox, "mailboxes": pop3_works.many_mailboxes, "idle": memory_works.idle,
    "crowd": memory_works.crowd, "scale": scale_works.scale, "generator": mail_works.generator,
}


def arguments():
    works = "\n".join(f"  {name:<12} {work.__doc__}" for name, work in WORKS.items())
    parser = argparse.ArgumentParser(
        prog="scripts/bench peers", description=__doc__.replace("{works}", works),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hauberk", help=argparse.SUPPRESS)
    parser.add_argument("--peers", help=argparse.SUPPRESS)
    parser.add_argument("--bare-loop", help=argparse.SUPPRESS)
    parser.add_argument("--self-test", action="store_true", help="check what measures, and nothing else")
    parser.add_argument("--quick", action="store_true", help="one short round: shows that all works, not how fast")
    parser.add_argument("--rounds", type=int, help="how often each work is run (default: 3)")
    parser.add_argument("--only", metavar="WORK,...", help="measure these works only")
    parser.add_argument("--mailboxes", type=int, help="mailboxes of the work of that name (default: 1000000)")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--svg", metavar="FILE", help="write a plot to FILE")
    parser.add_argument("--home", metavar="DIR", help="where to make the temporary folder (default: $TMPDIR)")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    options = parser.parse_args()
    options.only = options.only.split(",") if options.only else list(WORKS)
    for name in options.only:
        if name not in WORKS:
            parser.error(f"there is no work {name}: {', '.join(WORKS)}")
    return options


def measure(bench, figures):
    """Runs the works that were chosen, and writes down what is known after each. One that fails is told, and the others
    run."""
    for name in bench.options.only:
        try:
            WORKS[name](bench)
        except Exception as error:  # pylint: disable=broad-exception-caught
            figures["failed"][name] = f"{type(error).__name__}: {error}"
            bench.say(f"{name} failed: {error}")
            traceback.print_exc()
        figures["bars"] = peer_report.bars(bench.rows)
        write(figures, bench.options)


def write(figures, options):
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=2, ensure_ascii=False)
    if options.svg:
        with open(options.svg, "w", encoding="utf-8") as file:
            file.write(plot.svg(figures))


def main():
    options = arguments()
    if options.self_test:
        return peer_selftest.run()
    sessions.allow_many_files(FILES_MAX)
    home = tempfile.mkdtemp(prefix="hauberk-bench-peers-", dir=options.home)
    os.chmod(home, 0o755)
    systems = Systems(os.path.abspath(options.hauberk), os.path.abspath(options.peers), home)
    try:
        return compared(Comparison(systems, options, home))
    finally:
        systems.close_all()
        if not options.keep:
            shutil.rmtree(home)


def compared(bench):
    """Measures and reports. Returns the exit status."""
    figures = {"machine": runs.machine(), "rounds": bench.rounds, "failed": {}, "rows": bench.rows, "bars": []}
    measure(bench, figures)
    if bench.options.only == list(WORKS) and (missing := peer_report.left_out(bench.rows)):
        figures["failed"]["bars"] = f"not measured: {'; '.join(missing)}"
        write(figures, bench.options)
    print(peer_report.table(figures), flush=True)
    if figures["failed"]:
        return 2
    return 0 if all(row["met"] for row in figures["bars"]) else 1


if __name__ == "__main__":
    sys.exit(main())
