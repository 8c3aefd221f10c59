"""The figures of Hauberk beside its peers as a table, with the bars."""

from dataclasses import dataclass

from .mail_works import BARE, COPY, PAUSES, PAUSES_RATE, SINK, WHOLE_AND_STREAMED
from .scale_works import SHAPES, title_of
from .systems import DOVECOT, DOVECOT_PROXY, HAUBERK, HAUBERK_TLS, HAUBERK_TWO, POSTFIX_DOVECOT, POSTFIX_VIRTUAL

# What works are called for people; others by their own name.
TITLES = {
    "smtp": "SMTP → Maildir end to end, 4 KiB, 32 connections",
    "connections": "SMTP → Maildir, a connection per message",
    "64 KiB": "SMTP → Maildir, 64 KiB, 32 connections",
    "tls": "SMTP → Maildir, 4 KiB, 32 connections, TLS on both hops",
    "lmtp 8": "LMTP into a storage node, 4 KiB, 8 connections",
    "lmtp 32": "LMTP into a storage node, 4 KiB, 32 connections",
    "1 MiB": "SMTP → Maildir end to end, 1 MiB, 4 connections",
    "25 MiB": "SMTP → Maildir end to end, 25 MiB, 4 connections",
    "100 recipients": "one message of 4 KiB to 100 recipients, 8 connections",
    "low load": "one message after the other, from connecting to its 250",
    PAUSES: f"the same with pauses, {PAUSES_RATE} messages per s",
    "half rate": "at half of Postfix → Dovecot's maximum, from when a message was due to its 250",
    "half rate, a node hangs": "at that rate with one of three nodes stopped",
    "retr 1": "POP3 RETR, lock-step, 1 session",
    "retr 8": "POP3 RETR, lock-step, 8 sessions",
    "retr 32": "POP3 RETR, lock-step, 32 sessions",
    "retr pipelined 32": "POP3 RETR, pipelined, 32 sessions",
    "login small 1": "POP3 login, STAT, QUIT with 10 messages, 1 at once",
    "login small 32": "POP3 login, STAT, QUIT with 10 messages, 32 at once",
    "login large 1": "POP3 login, STAT, QUIT with 1,000 messages, 1 at once",
    "login large 32": "POP3 login, STAT, QUIT with 1,000 messages, 32 at once",
    "dele": "POP3 RETR and DELE of all, 8 sessions",
    "storm": "POP3 logins, each with a TLS handshake, 32 at once",
    "mailbox, first": "the first login to a mailbox of 100,000 messages",
    "mailbox, login": "POP3 login, STAT, QUIT with 100,000 messages",
    "mailbox, list": "POP3 STAT, LIST, UIDL with 100,000 messages",
    "crowd": "mail (4 KiB, 32 connections) and logins beside idle sessions",
    "scale": "SMTP → Maildir, 4 KiB, 32 connections for each node, by frontends and nodes",
    "generator": "the generator against a server that keeps nothing",
}
# delivery.handoffAfter, in milliseconds; and with a tenth for a timer that is late and for the copy that goes elsewhere.
HANGING_TIMEOUT, HANGING_ADDS_MAX = 1000, 1100
# One thread that is nearly always busy may be what a run measured.
GENERATOR_SHARE_MAX = 0.9
HOPS_SPREAD_MAX, CPU_SPREAD_MAX = 1.05, 1.25


@dataclass(frozen=True)
class Bar:
    """A figure of Hauberk's, or how many times a peer's it is, and its bound."""

    name: str
    own: tuple
    key: str
    bound: float
    other: tuple = None
    at_least: bool = True
    unit: str = ""

    def judge(self, rows):
        """None where it was not measured."""
        own, other = _find(rows, self.own), _find(rows, self.other) if self.other else {}
        if own is None or other is None:
            return None
        value = own[self.key] / other[self.key] if self.other else own[self.key]
        return judged(self.name, value, self.bound, self.at_least, "×" if self.other else self.unit)


def _find(rows, place):
    return rows.get(place[0], {}).get(place[1])


def judged(name, value, bound, at_least, unit):
    met = value >= bound if at_least else value <= bound
    return {"bar": name, "measured": value, "unit": unit, "met": bool(met),
            "bound": f"{'at least' if at_least else 'at most'} {_short(bound)}{' ' + unit if unit else ''}"}


def all_bars():
    """Those that compare two figures, or a figure and a bound."""
    smtp, postfix = ("smtp", HAUBERK), ("smtp", POSTFIX_DOVECOT)
    yield Bar("SMTP → Maildir end to end: against Postfix → Dovecot", smtp, "rate", 12, postfix)
    yield Bar("SMTP → Maildir end to end: against Postfix virtual", smtp, "rate", 9, ("smtp", POSTFIX_VIRTUAL))
    for work, name in (("connections", "a connection per message"), ("64 KiB", "64 KiB messages")):
        yield Bar(f"{name}: against Postfix → Dovecot", (work, HAUBERK), "rate", 10, (work, POSTFIX_DOVECOT))
    yield Bar("R=2 W=2 on one disk: against one copy of Postfix → Dovecot", ("smtp", HAUBERK_TWO), "rate", 6, postfix)
    for work in ("lmtp 8", "lmtp 32"):
        name = f"LMTP into a node, {work.split()[1]} connections"
        yield Bar(f"{name}: against Dovecot LMTP", (work, HAUBERK), "rate", 10, (work, DOVECOT))
        yield Bar(f"{name}: against the bare loop", (work, HAUBERK), "rate", 0.6, (work, BARE))
    yield Bar("CPU per message, both hops: against Postfix → Dovecot", smtp, "cpuMicroseconds", 1 / 12, postfix, False)
    yield Bar("user-mode CPU per message, both hops", smtp, "userMicroseconds", 80, None, False, "µs")
    yield Bar("latency at low load, p50", ("low load", HAUBERK), "p50", 0.7, None, False, "ms")
    yield Bar("latency at low load, p99: against Postfix", ("low load", HAUBERK), "p99", 1 / 3,
              ("low load", POSTFIX_DOVECOT), False)
    steady = ("half rate", POSTFIX_DOVECOT)
    yield Bar("p99 at half of the peer's maximum: against Postfix", ("half rate", HAUBERK), "p99", 1 / 3, steady, False)
    hanging = ("half rate, a node hangs", HAUBERK_TWO)
    yield Bar("the same while a node hangs: against Postfix", hanging, "p99", 1 / 3, steady, False)
    yield Bar("a node that hangs is waited for once: slowest later", hanging, "maximum", HANGING_TIMEOUT, None, False, "ms")
    for sessions in (1, 8, 32):
        work = f"retr {sessions}"
        yield Bar(f"RETR, lock-step, {sessions}: against Dovecot's proxy", (work, HAUBERK), "rate", 2, (work, DOVECOT_PROXY))
        yield Bar(f"RETR, lock-step, {sessions}: against Dovecot direct", (work, HAUBERK), "rate", 1, (work, DOVECOT))
    work = "retr pipelined 32"
    yield Bar("RETR, pipelined: against Dovecot direct", (work, HAUBERK), "rate", 1.5, (work, DOVECOT))
    for work in ("login small 1", "login small 32", "login large 1", "login large 32"):
        kind = "10 messages" if "small" in work else "1,000 messages"
        name = f"POP3 sessions, {kind}, {work.split()[2]} at once"
        yield Bar(f"{name}: against Dovecot's proxy", (work, HAUBERK), "rate", 5, (work, DOVECOT_PROXY))
        yield Bar(f"{name}: against Dovecot direct", (work, HAUBERK), "rate", 3, (work, DOVECOT))
    yield Bar("RETR and DELE of all: against Dovecot direct", ("dele", HAUBERK), "rate", 2, ("dele", DOVECOT))
    for protocol in ("POP3", "SMTP"):
        yield Bar(f"idle {protocol} session", (f"idle {protocol}", HAUBERK), "kib", 24, None, False, "KiB")
        yield Bar(f"idle {protocol} session, TLS", (f"idle {protocol}, TLS", HAUBERK_TLS), "kib", 64, None, False, "KiB")
    yield Bar("25 MiB message: memory above idle, per connection", ("25 MiB", HAUBERK), "growthKiB", 512, None, False, "KiB")
    yield Bar("25 MiB message: against cp and fsync", ("25 MiB", HAUBERK), "mibPerSecond", 0.7, ("25 MiB", COPY))
    for title in WHOLE_AND_STREAMED:
        name, place = f"one of {title.split(', ')[-1]} to 100", ("100 recipients", title)
        # What else goes over the connections is a few KiB for so many recipients.
        yield Bar(f"{name}: times the text goes to a node", place, "transfersPerNode", 1.25, None, False)
        yield Bar(f"{name}: times it is written on a node", place, "writesPerNode", 1, None, False)


def bars(rows):
    """Each bar that was measured: what, measured, bound, met or not."""
    found = [bar.judge(rows) for bar in all_bars()]
    return [row for row in [*found, _one_timeout(rows), *_flat(rows)] if row]


def left_out(rows):
    """The bars that nothing was measured for."""
    missing = [bar.name for bar in all_bars() if bar.judge(rows) is None]
    others = ((_one_timeout(rows), "a node that hangs"), (list(_flat(rows)), "frontends and nodes"))
    return missing + [name for found, name in others if not found]


def _one_timeout(rows):
    """What a node's hanging adds to the slowest message."""
    well, hanging = _find(rows, ("half rate", HAUBERK_TWO)), _find(rows, ("half rate, a node hangs", HAUBERK_TWO))
    if not well or not hanging:
        return None
    return judged("a node that hangs adds to the slowest message", hanging["firstMaximum"] - well["maximum"],
                  HANGING_ADDS_MAX, False, "ms")


def _flat(rows):
    """Most against least, over all numbers of frontends and nodes."""
    found = [row for row in (_find(rows, ("scale", title_of(*shape))) for shape in SHAPES) if row]
    if len(found) < 2:
        return
    for key, name, bound in (("hopsPerMessage", "messages between nodes for each delivery", HOPS_SPREAD_MAX),
                             ("cpuMicroseconds", "CPU per message", CPU_SPREAD_MAX)):
        values = [row[key] for row in found]
        yield judged(f"{name}, by frontends and nodes: most against least", max(values) / min(values), bound, False, "×")


# the table

_COLUMNS = (("p50", "p50 ms", 9), ("p99", "p99 ms", 9), ("userMicroseconds", "user µs", 8),
            ("systemMicroseconds", "sys µs", 8), ("generatorMicroseconds", "load µs", 8))
_MORE = {"mibPerSecond": "{} MiB/s", "growthKiB": "{} KiB more for each connection", "maximum": "slowest {} ms",
         "offered": "{} per s offered", "acceptedRate": "{} per s accepted", "firstP99": "p99 as it began to hang {} ms",
         "firstMaximum": "slowest then {} ms", "kib": "{} KiB each", "processKiB": "{} KiB of it in processes",
         "kernelKiB": "{} KiB in the kernel", "transfersPerNode": "text goes to a node {} times",
         "writesPerNode": "is written there {} times", "hopsPerMessage": "{} messages between nodes for each",
         "loginRate": "{} logins per s", "loginP99": "their p99 {} ms"}


def _short(value):
    """Three digits, or all of a larger number."""
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def table(figures):
    """All of it, for people."""
    machine = figures["machine"]
    lines = [f"{machine['cores']} cores, {machine['cpu']}; load {machine['load']:.1f} at the start; medians of "
             f"{figures['rounds']} rounds, with the lowest and the highest. \"Hauberk is\": its rate against the line's.",
             f"{'':<40} {'per s':>8} {'(spread)':>15} {'Hauberk is':>11} "
             + " ".join(f"{title:>{width}}" for _, title, width in _COLUMNS)]
    for work, rows in figures["rows"].items():
        lines += ["", TITLES.get(work, work)]
        lines += [_line(title, row, rows.get(HAUBERK)) for title, row in rows.items()]
    lines += ["", *_generator(figures["rows"])]
    for row in figures["bars"]:
        lines.append(f"{'met' if row['met'] else 'missed':<7} {row['bar']:<68} {_short(row['measured']):>7} "
                     f"{row['unit']:<3} ({row['bound']})")
    lines += [f"failed  {name}: {' '.join(text.split())}" for name, text in figures["failed"].items()]
    return "\n".join(lines)


def _generator(rows):
    """Whether the generator could have gone faster."""
    sink = _find(rows, ("generator", SINK))
    rates = [(row["rate"], title) for title, row in rows.get("smtp", {}).items() if title != BARE]
    if sink and rates:
        rate, title = max(rates)
        yield f"The generator alone is {sink['rate'] / rate:.1f} times as fast as {title}, the fastest with 4 KiB messages."
        yield ""


def _line(title, row, own):
    rate = spread = times = ""
    if "rate" in row:
        rate = _short(row["rate"])
        if row.get("main") == "rate":
            spread = f"{_short(min(row['runs']))}–{_short(max(row['runs']))}"
        if own and own is not row and row.get("main") == "rate":
            times = f"{own['rate'] / row['rate']:.2f} ×"
    cells = " ".join(f"{_short(row[key]) if key in row else '':>{width}}" for key, _, width in _COLUMNS)
    more = [text.format(_short(row[key])) for key, text in _MORE.items() if key in row and _says_more(row, key)]
    if row.get("generatorShare", 0) > GENERATOR_SHARE_MAX and title != SINK:
        more.insert(0, f"the generator was busy for {row['generatorShare']:.0%} of the time")
    return f"  {title:<38} {rate:>8} {spread:>15} {times:>11} {cells}  {', '.join(more)}".rstrip()


def _says_more(row, key):
    """Where a run is for its rate, the slowest message is not told; nor what was accepted, if that is the same."""
    if key == "maximum":
        return row.get("main") != "rate"
    return key != "acceptedRate" or row[key] > 1.05 * row["rate"]
