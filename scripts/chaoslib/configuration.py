"""The cluster that is tortured: its processes, where each listens, and its configuration file."""

from dataclasses import dataclass

FRONTENDS = {"smtp-a": "smtp", "smtp-b": "smtp", "pop3-a": "pop3", "pop3-b": "pop3"}
_FIRST_PORTS = {"smtp": 2525, "pop3": 1110, "lmtp": 2401, "store": 1101, "telemetry": 9101}


@dataclass(frozen=True)
class Shape:
    """How many storage nodes there are, and how many copies of each message."""

    nodes: int
    replicas: int
    quorum: int

    @property
    def node_names(self):
        return [f"store-{number}" for number in range(1, self.nodes + 1)]

    @property
    def processes(self):
        return [*FRONTENDS, *self.node_names]


def addresses(shape, host_of):
    """Service and (host, port) of each process: {process: {service: (host, port)}}."""
    places = {}
    for number, name in enumerate(shape.processes):
        services = (FRONTENDS[name],) if name in FRONTENDS else ("lmtp", "store")
        places[name] = {service: (host_of(name), _FIRST_PORTS[service] + number) for service in services}
    return places


def text(shape, places, data_of):
    """The configuration. Hops are mutual TLS, as between machines."""
    lines = [
        "cluster:",
        "  name: chaos",
        "  partitions: 256",
        f"  replicas: {shape.replicas}",
        f"  durableCopies: {shape.quorum}",
        "hostname: mail.example.test",
        "trust:",
        "  mode: mutual-tls",
        "frontends:",
    ]
    for number, name in enumerate(shape.processes):
        services = places[name]
        lines.append("nodes:" if name == shape.node_names[0] else "")
        lines.append(f"  - name: {name}")
        if name in FRONTENDS:
            host, port = services[FRONTENDS[name]]
            lines += ["    listeners:", f'      - {{service: {FRONTENDS[name]}, address: "{host}:{port}"}}']
        else:
            for key, service in (("lmtp", "lmtp"), ("pop3", "store")):
                lines.append(f"    {key}: {services[service][0]}:{services[service][1]}")
            lines.append(f"    data: {data_of(name)}")
        lines.append(f'    telemetry: {{address: "127.0.0.1:{_FIRST_PORTS["telemetry"] + number}"}}')
    lines += [
        "directory:",
        "  path: directory.sqlite",
        "  defaultDomain: example.test",
        "  passwordScheme: sha512    # cheap: the logins here are many",
        "authentication:",
        "  requireTLS: false",
    ]
    return "\n".join(line for line in lines if line) + "\n"
