"""The cluster that is tortured: its processes, where each listens, and its configuration file."""

from dataclasses import dataclass

FRONTENDS = {"smtp-a": "smtp", "smtp-b": "smtp", "pop3-a": "pop3", "pop3-b": "pop3"}
_FIRST_PORTS = {
    "smtp": 2525, "submission": 5587, "pop3": 1110, "lmtp": 2401, "store": 1101, "telemetry": 9101}


@dataclass(frozen=True)
class Shape:
    """How many storage nodes there are, and how many copies of each message."""

    nodes: int
    replicas: int
    quorum: int
    # Processes that serve each node's store at once. The second ones, and half of the frontends, are side "b".
    servers: int = 1
    # A message to several mailboxes is one file on each node.
    one_file: bool = False

    @property
    def node_names(self):
        return [f"store-{number}" for number in range(1, self.nodes + 1)]

    @property
    def storage_processes(self):
        return [f"{node}{end}" for end in ("", "-b")[:self.servers] for node in self.node_names]

    @property
    def processes(self):
        return [*FRONTENDS, *self.storage_processes]

    @property
    def sides(self):
        return "ab"[:self.servers]

    def side(self, process):
        """Whose configuration it has: there each node has the address of that side's server."""
        return "b" if self.servers > 1 and process.endswith("-b") else "a"

    def node(self, process):
        """What it is called in the configuration."""
        return process if process in FRONTENDS else process.removesuffix("-b")


def addresses(shape, host_of):
    """Service and (host, port) of each process: {process: {service: (host, port)}}."""
    places = {}
    for number, name in enumerate(shape.processes):
        services = _services(name)
        places[name] = {service: (host_of(name), _FIRST_PORTS[service] + number) for service in services}
    return places


def _services(name):
    if name not in FRONTENDS:
        return ("lmtp", "store")
    return ("smtp", "submission") if FRONTENDS[name] == "smtp" else (FRONTENDS[name],)


def text(shape, places, data_of, side="a", more=(), cluster="chaos"):
    """The configuration, with `more` lines. Hops are mutual TLS, as between machines."""
    lines = [
        "cluster:",
        f"  name: {cluster}",
        "  partitions: 256",
        f"  replicas: {shape.replicas}",
        f"  durableCopies: {shape.quorum}",
        "hostname: mail.example.test",
        "trust:",
        "  mode: mutual-tls",
        "frontends:",
    ]
    for number, name in enumerate(shape.processes):
        if name not in FRONTENDS and shape.side(name) != side:
            continue
        services = places[name]
        lines.append("nodes:" if shape.node(name) == shape.node_names[0] else "")
        lines.append(f"  - name: {shape.node(name)}")
        if name in FRONTENDS:
            lines.append("    listeners:")
            lines += [
                f'      - {{service: {service}, address: "{host}:{port}"}}' for service, (host, port) in services.items()]
        else:
            for key, service in (("lmtp", "lmtp"), ("pop3", "store")):
                lines.append(f"    {key}: {services[service][0]}:{services[service][1]}")
            lines.append(f"    data: {data_of(name)}")
        lines.append(f'    telemetry: {{address: "127.0.0.1:{_FIRST_PORTS["telemetry"] + number}"}}')
    lines += [
        *more,
        # What a disk damages is to be mended before the end.
        "storage: {scrubInterval: 5s}",
        f"delivery: {{deliveredTo: {'single' if shape.one_file else 'always'}}}",
        "directory:",
        "  path: directory.sqlite",
        "  defaultDomain: example.test",
        "  passwordScheme: sha512    # cheap: the logins here are many",
        "authentication:",
        "  requireTLS: false",
    ]
    return "\n".join(line for line in lines if line) + "\n"
