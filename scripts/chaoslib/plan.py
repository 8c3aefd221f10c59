"""Which faults a run gets, and when: a pure function of the seed, the time and the names of the processes."""

import random
from dataclasses import dataclass, field

# Two faults at once at most; the second lane rests for longer, so that one at a time is common too.
LANES = ({"first": 1.0, "rest": (1.0, 3.0)}, {"first": 4.0, "rest": (3.0, 9.0)})
NETWORK = "network"
# One change of the ring's members at a time.
MEMBERS = "members"


@dataclass
class Step:
    """One fault: from `at` to `until` (seconds of the run) it holds, then it is healed."""

    number: int
    kind: str
    target: str
    at: float
    until: float
    # What the kind needs beside: an offset in seconds, or the packets that are dropped.
    detail: dict = field(default_factory=dict)

    @property
    def targets(self):
        """All that it befalls: a line that is cut both ways is two links."""
        return _targets(self.target, self.detail.get("ways") == 2)

    def __str__(self):
        words = " ".join(f"{name}={value}" for name, value in self.detail.items() if name != "cuts")
        return f"{self.kind} {self.target}{' ' + words if words else ''}"


@dataclass(frozen=True)
class Kind:
    """What the plan has to know of a kind of fault."""

    # What it befalls: "node", "first node" (always that), "process" (a node or a frontend), "network", "members" (and where
    # they are kept), "link" (between two sites) or "site".
    befalls: str
    # How long it holds, in seconds.
    holds: tuple


KINDS = {
    "kill": Kind("process", (0.2, 6)),
    "stop": Kind("process", (1, 8)),
    "members": Kind(MEMBERS, (3, 12)),
    "etcd": Kind(MEMBERS, (3, 10)),
    "partition": Kind(NETWORK, (2, 10)),
    "full": Kind("node", (2, 8)),
    "inodes": Kind("node", (2, 8)),
    "fsync": Kind("node", (2, 6)),
    "power": Kind("node", (0.2, 4)),
    "clock": Kind("process", (3, 10)),
    "readonly": Kind("node", (1, 6)),
    "rot": Kind("first node", (0.2, 2)),
    "link": Kind("link", (2, 60)),
    "mute": Kind("link", (1, 5)),
    "site": Kind("site", (2, 12)),
}
# What only befalls several sites, and what befalls their processes too.
OF_SITES = ("link", "mute", "site")
AT_SITES = ("kill", "stop", *OF_SITES)


def plan(seed, seconds, kinds, nodes, frontends, links=(), sites=(), cut_seconds=None):
    """The steps, by their beginning. All are healed before `seconds` are over.

    With `cut_seconds` each "link" holds for so long and cuts both ways, and the first step is one: what else there is
    befalls the sites meanwhile and afterwards.
    """
    targets = {
        "node": nodes, "first node": nodes[:1], "process": nodes + frontends, NETWORK: [NETWORK], MEMBERS: [MEMBERS],
        "link": list(links), "site": list(sites)}
    noise = random.Random(f"chaos {seed}")
    deck, steps = [], []
    if cut_seconds:
        deck = ["link", *noise.sample([kind for kind in kinds if kind != "link"], len(kinds) - 1)]
    nexts = [lane["first"] for lane in LANES]
    while min(nexts) < seconds - 2:
        lane = nexts.index(min(nexts))
        at = nexts[lane]
        deck = deck or noise.sample(kinds, len(kinds))
        step = _step(noise, len(steps), deck, at, seconds, steps, targets, cut_seconds)
        if not step and cut_seconds:
            # What is left of the deck waits for the line; other things go on.
            deck += noise.sample(kinds, len(kinds))
            step = _step(noise, len(steps), deck, at, seconds, steps, targets, cut_seconds)
        if step:
            steps.append(step)
        nexts[lane] = (step.until if step else at) + noise.uniform(*LANES[lane]["rest"])
    return steps


def _step(noise, number, deck, at, seconds, steps, targets, cut_seconds):
    """The next of the deck that may come beside what holds already, or None."""
    # Healing takes a while too: a target rests before it is taken again.
    busy = {target for step in steps if step.until + 2 > at for target in step.targets}
    for kind in deck:
        whole_line = kind == "link" and cut_seconds
        candidates = [
            name for name in targets[KINDS[kind].befalls]
            if not any(_overlap(one, other) for one in _targets(name, whole_line) for other in busy)]
        if not candidates:
            continue
        deck.remove(kind)
        target = noise.choice(candidates)
        until = min(at + (cut_seconds if whole_line else noise.uniform(*KINDS[kind].holds)), seconds - 1)
        detail = {"ways": 2} if whole_line else _detail(
            noise, kind, targets["node"], [name for name in targets["process"] if name not in targets["node"]])
        return Step(number, kind, target, round(at, 3), round(until, 3), detail)
    return None


def _targets(name, whole_line):
    return [name, ">".join(reversed(name.split(">")))] if whole_line else [name]


def _overlap(one, other):
    """Whether they are the same, or one is a site and the other a process of it."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def _detail(noise, kind, nodes, frontends):
    if kind == "clock":
        seconds = noise.choice((2, 30, 600, 3600)) * noise.choice((-1, 1))
        return {"offset": seconds}
    if kind == "members":
        return {"node": noise.choice(nodes)}
    if kind == "partition":
        return _partition(noise, nodes, frontends)
    return {}


def _partition(noise, nodes, frontends):
    """`cuts` lists pairs (from, to) whose packets are dropped; clients reach every frontend all the time."""
    everyone = nodes + frontends
    form = noise.choice(("one", "halves", "deaf", "mute"))
    if form == "halves":
        some = noise.sample(nodes, len(nodes) // 2) + noise.sample(frontends, len(frontends) // 2)
    else:
        some = [noise.choice(nodes)]
    others = [name for name in everyone if name not in some]
    cuts = []
    if form != "mute":
        cuts += [(other, one) for one in some for other in others]
    if form != "deaf":
        cuts += [(one, other) for one in some for other in others]
    return {"form": form, "side": "+".join(sorted(some)), "cuts": cuts}
