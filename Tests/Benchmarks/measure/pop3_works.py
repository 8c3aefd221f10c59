"""Works that read mail. Every system has the same messages, in files of its own."""

import multiprocessing
import os
import random

from . import runs
from .hauberk_cluster import DOMAIN, PARTITIONS
from .peer_server import READER
from .systems import DOVECOT, DOVECOT_PROXY, HAUBERK
from .xxh64 import xxh64

TITLES = (HAUBERK, DOVECOT, DOVECOT_PROXY)
LARGE, SMALL = 1000, 10  # messages of a mailbox
LARGE_MAILBOXES, SMALL_MAILBOXES, DELETING = 32, 100, 8
HUGE = 100_000
MANY, LOOKED_AT = 1_000_000, 100


def filled(bench, name, mailboxes, messages):
    """The prefix of so many mailboxes with so many messages each, there for all systems; made once."""
    made = bench.made
    if name not in made:
        hauberk, dovecot = bench.get(HAUBERK), bench.get(DOVECOT)
        made[name] = prefix = f"{name}y"
        bench.say(f"{mailboxes} mailboxes with {messages} messages each")
        hauberk.add_accounts(prefix, mailboxes)
        total = mailboxes * messages
        bench.generate(("smtp", *bench.mail_options(hauberk, "smtp", prefix, mailboxes, total, 4096, 32)))
        hauberk.maildirs(prefix).find(mailboxes).wait(total, 60)
        bench.copy_mail(hauberk, dovecot, prefix)
    return made[name]


def beside(bench, work, prefix, mailboxes, run):
    """Each system in turn, with its mailboxes known to it."""

    def measured(title):
        system = bench.get(title)
        bench.warm(system, prefix, mailboxes)
        return run(system)

    bench.compare(work, {title: lambda title=title: measured(title) for title in TITLES})


def retrieve(bench):
    """UIDL and RETR of 1,000 messages: lock-step with 1, 8 and 32 sessions at once, and pipelined with 32."""
    prefix = filled(bench, "large", LARGE_MAILBOXES, bench.count(LARGE))
    for at_once, sessions, more in ((1, 4, ()), (8, 16, ()), (32, 64, ()), (32, 64, ("--pipeline",))):
        name = f"retr {'pipelined ' if more else ''}{at_once}"
        beside(bench, name, prefix, LARGE_MAILBOXES,
               lambda system, at_once=at_once, sessions=sessions, more=more: bench.read(
                   system, prefix, LARGE_MAILBOXES, at_once, sessions, "retr", *more))


def login(bench):
    """Login, STAT and QUIT with 10 and 1,000 messages: 1 and 32 sessions at once."""
    for name, mailboxes, messages in (("small", SMALL_MAILBOXES, SMALL), ("large", LARGE_MAILBOXES, bench.count(LARGE))):
        prefix = filled(bench, name, mailboxes, messages)
        for at_once, sessions in ((1, bench.count(500)), (32, bench.count(2000))):
            beside(bench, f"login {name} {at_once}", prefix, mailboxes,
                   lambda system, prefix=prefix, mailboxes=mailboxes, at_once=at_once, sessions=sessions: bench.read(
                       system, prefix, mailboxes, at_once, sessions, "login"))


def delete(bench):
    """RETR and DELE of all messages, 8 sessions at once."""
    # What is deleted through the proxy is gone for the direct way: each has mailboxes of its own, in each round.
    left = {title: [filled(bench, f"dele{number}t{place}", DELETING, bench.count(LARGE)) for number in range(bench.rounds)]
            for place, title in enumerate(TITLES)}

    def run(title):
        system, prefix = bench.get(title), left[title].pop()
        bench.warm(system, prefix, DELETING)
        figures = bench.read(system, prefix, DELETING, DELETING, DELETING, "retr+dele")
        remaining = system.maildirs(prefix).find(DELETING).files()
        if figures["messages"] != DELETING * bench.count(LARGE) or remaining:
            raise runs.MeasureError(f"{title}: {figures['messages']:.0f} were read, and {remaining} are there after DELE")
        return figures

    bench.compare("dele", {title: lambda title=title: run(title) for title in TITLES})


def storm(bench):
    """Logins, each over a new connection with TLS: 32 at once."""
    prefix = filled(bench, "small", SMALL_MAILBOXES, SMALL)
    beside(bench, "storm", prefix, SMALL_MAILBOXES, lambda system: bench.read(
        system, prefix, SMALL_MAILBOXES, 32, bench.count(1000), "login", service="pop3s"))


def large_mailbox(bench):
    """A mailbox of 100,000 messages: the first look at it, and STAT, LIST and UIDL again and again."""
    prefix = filled(bench, "huge", 1, bench.count(HUGE))
    for title in (HAUBERK, DOVECOT):
        figures = bench.read(bench.get(title), prefix, 1, 1, 1, "login")
        bench.rows.setdefault("mailbox, first", {})[title] = {"p50": figures["p50"], "maximum": figures["maximum"]}
    for work, task in (("mailbox, login", "login"), ("mailbox, list", "list")):
        beside(bench, work, prefix, 1, lambda system, task=task: bench.read(system, prefix, 1, 1, 10, task))


# very many mailboxes


def many_mailboxes(bench):
    """A login to a cold mailbox, where there are a million: one after another, and nothing of them in memory."""
    count = bench.options.mailboxes or (100_000 if bench.options.quick else MANY)
    hauberk, dovecot = bench.get(HAUBERK), bench.get(DOVECOT)
    prefix = "many"
    bench.say(f"{count} mailboxes")
    hauberk.add_accounts(prefix, count)
    store = hauberk.servers[0].stores[0]
    make_maildirs(
        ((place(store, prefix, number) for number in range(count)), ("tmp", "new", "cur", "gone"), 0),
        ((os.path.join(dovecot.mail, f"{prefix}{number}") for number in range(count)), ("tmp", "new", "cur"), READER))
    check_place(bench, prefix, count - 1)
    # The first digits of those that are looked at, as many in each run, so that none is looked at twice.
    groups = random.Random(count).sample(range(count // LOOKED_AT // 10, count // LOOKED_AT), 2 * bench.rounds)

    def run(title):
        drop_caches()
        return bench.read(bench.get(title), f"{prefix}{groups.pop()}", LOOKED_AT, 1, LOOKED_AT, "login")

    bench.compare(f"{count} mailboxes", {title: lambda title=title: run(title) for title in (HAUBERK, DOVECOT)})


def place(store, prefix, number):
    """Where a mailbox lies in a store."""
    partition = xxh64(f"{prefix}{number}@{DOMAIN}".encode()) % PARTITIONS
    return os.path.join(store, "mail", str(partition), DOMAIN, f"{prefix}{number}")


def make_maildirs(*kinds):
    """Folders, each with folders of these names in it, and whose they are; of all kinds at the same time."""
    makers = [multiprocessing.get_context("fork").Process(target=make_folders, args=kind) for kind in kinds]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    if any(maker.exitcode != 0 for maker in makers):
        raise runs.MeasureError("not all mailboxes could be made")


def make_folders(folders, names, owner):
    for folder in folders:
        os.makedirs(folder, mode=0o700)
        for path in (folder, *(os.path.join(folder, name) for name in names)):
            if path is not folder:
                os.mkdir(path, 0o700)
            if owner:
                os.chown(path, owner, owner)


def check_place(bench, prefix, number):
    """What is sent to one of them must lie where it was made."""
    system = bench.get(HAUBERK)
    bench.generate(("smtp", "--target", system.target("smtp"), "--messages", 1, "--recipient",
                    f"{prefix}{number}@{DOMAIN}", "--mailboxes", 1))
    store = system.servers[0].stores[0]
    if len(os.listdir(os.path.join(place(store, prefix, number), "new"))) != 1:
        raise runs.MeasureError(f"no message is where {prefix}{number} was made")


def drop_caches():
    """What is known of files and folders, of all of the machine."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write("3\n")
