"""Works with more frontends and storage nodes."""

from . import runs
from .comparison import MAILBOXES, mail_figures
from .hauberk_cluster import DOMAIN

SHAPES = ((1, 1), (1, 2), (1, 4), (1, 8), (2, 4), (4, 4))
CONNECTIONS_PER_NODE = 32
STORED = "hauberk_messages_stored_total"


def title_of(frontends, nodes):
    return f"Hauberk, {frontends} frontend{'s' * (frontends > 1)}, {nodes} node{'s' * (nodes > 1)}"


def scale(bench):
    """1, 2 and 4 frontends and 1 to 8 storage nodes: what a message costs."""
    systems = {}

    def run(frontends, nodes):
        title = title_of(frontends, nodes)
        if title not in systems:
            systems[title] = bench.systems.cluster(title, frontends=frontends, nodes=nodes)
        return send(bench, systems[title], bench.count(8000))

    try:
        bench.compare("scale", {title_of(*shape): lambda shape=shape: run(*shape) for shape in SHAPES})
    finally:
        for system in systems.values():
            bench.systems.close(system)


def send(bench, system, count):
    """So many messages through all frontends at once. A larger cluster has more clients: so many for each node."""
    server = system.servers[0]
    prefix = bench.fresh(system)
    maildirs = system.maildirs(prefix).find(MAILBOXES * system.copies)
    runs.settle(bench.pause)
    share, before, stored, cpu = count // server.frontends, maildirs.files(), server.count(STORED), system.cpu_seconds()
    count = share * server.frontends
    summaries = bench.generate(*(
        ("smtp", "--target", f"127.0.0.1:{server.port(2525 + number)}", "--connections", CONNECTIONS_PER_NODE * server.nodes // server.frontends,
         "--messages", share, "--size", 4096, "--recipient", f"{prefix}%d@{DOMAIN}", "--mailboxes", MAILBOXES, "--pipeline")
        for number in range(server.frontends)))
    last = maildirs.wait(before + count * system.copies, 120)
    slowest = max(summaries, key=lambda summary: summary["seconds"])
    figures = mail_figures({**slowest, "rate": sum(summary["rate"] for summary in summaries)}, count, last, cpu,
                           system.cpu_seconds())
    return {**figures, "hopsPerMessage": (server.count(STORED) - stored) / count}
