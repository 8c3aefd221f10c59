"""A cluster of Hauberk on this machine: so many frontends, each for SMTP and POP3, and so many storage nodes."""

import os
import re
import sqlite3
import urllib.request

from mailcheck.cluster import Cluster

DOMAIN = "example.test"
PASSWORD = "measured-not-secret"
_TEMPLATE = "template"
PARTITIONS = 256


def configuration(frontends, nodes, copies, tls, partitions, delivered_to):
    """Limits that a measurement would run into, and mail does not, are wide. The processes share the cores."""
    loops = max(1, os.cpu_count() // (frontends + nodes))
    lines = [
        f"cluster: {{name: bench, partitions: {partitions}, replicas: {copies}, durableCopies: {copies}}}",
        "hostname: mail.example.test",
        f"eventLoops: {loops}",
        f"trust: {{mode: {'mutual-tls' if tls else 'local'}}}",
        "smtp: {connectionsMax: 30000, connectionsPerAddressMax: 30000, limits: {transactionsMax: 1000000}}",
        "pop3: {connectionsMax: 30000, connectionsPerAddressMax: 30000}",
        "storage: {connectionsMax: 30000}",
        f"delivery: {{deliveredTo: {delivered_to}}}",
        "authentication: {requireTLS: false}",
        "directory: {path: directory.sqlite, passwordScheme: sha512}",
        "frontends:",
    ]
    for number in range(frontends):
        lines += [
            f"  - name: front-{number + 1}",
            "    tls: {certificate: certs/frontend.pem, key: certs/frontend.key}",
            f'    telemetry: {{address: "127.0.0.1:{9101 + number}"}}',
            "    listeners:"]
        lines += [f'      - {{service: {service}, address: "127.0.0.1:{port + number}"}}'
                  for service, port in (("smtp", 2525), ("pop3", 1110), ("pop3s", 1995))]
    lines.append("nodes:")
    for number in range(nodes):
        lines += [f"  - name: store-{number + 1}", f"    lmtp: 127.0.0.1:{2401 + number}",
                  f"    pop3: 127.0.0.1:{1201 + number}", f'    telemetry: {{address: "127.0.0.1:{9111 + number}"}}']
    return "\n".join(lines) + "\n"


class HauberkCluster:
    """The frontends' ports are those of the development cluster, from 2525, 1110 and 1995 on."""

    def __init__(self, hauberk, home, frontends=1, nodes=1, copies=1, tls=False, partitions=PARTITIONS,
                 delivered_to="always"):
        os.makedirs(home)
        self.home, self.frontends, self.nodes, self.copies = home, frontends, nodes, copies
        source = os.path.join(home, "source.yaml")
        with open(source, "w", encoding="utf-8") as file:
            file.write(configuration(frontends, nodes, copies, tls, partitions, delivered_to))
        self.cluster = Cluster(hauberk, source, home)
        for words in (("certs", "init"), ("certs", "issue", "--all"), ("certs", "listener")):
            self.cluster.command(*words)
        self.cluster.command("domain", "add", DOMAIN)
        self.cluster.command("account", "add", f"{_TEMPLATE}@{DOMAIN}", "--password-stdin", stdin=PASSWORD + "\n")
        self.cluster.start()

    def add_accounts(self, prefix, count):
        """Accounts that are like the first one: `<prefix>0` and so on. A password costs its hash once."""
        names = ((f"{prefix}{number}",) for number in range(count))
        with sqlite3.connect(os.path.join(self.home, "directory.sqlite"), timeout=60) as database:
            columns = [row[1] for row in database.execute("PRAGMA table_info(accounts)")]
            values = ", ".join("new.name" if column in ("key", "local", "mailbox") else f"accounts.{column}"
                               for column in columns)
            database.execute("CREATE TEMP TABLE new (name TEXT PRIMARY KEY)")
            database.executemany("INSERT INTO new VALUES (?)", names)
            database.execute("INSERT INTO mailbox_names SELECT ?, name, 0 FROM new", (DOMAIN,))
            database.execute(f"INSERT INTO accounts SELECT {values} FROM accounts, new WHERE accounts.key = ?", (_TEMPLATE,))
        database.close()

    def port(self, development_port):
        return self.cluster.port(development_port)

    @property
    def stores(self):
        return [os.path.join(self.home, "nodes", f"store-{number + 1}") for number in range(self.nodes)]

    @property
    def roots(self):
        return [process.pid for process in self.cluster.processes.values()]

    def pids(self):
        return self.roots

    def pids_of(self, role):
        """`front` or `store`."""
        return [process.pid for name, process in self.cluster.processes.items() if name.startswith(role)]

    def count(self, metric):
        """A counter of the storage nodes, summed."""
        total = 0.0
        for number in range(self.nodes):
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port(9111 + number)}/metrics", timeout=10) as answer:
                text = answer.read().decode()
            total += sum(float(value) for value in re.findall(rf"^{metric}(?:{{.*}})? (\S+)", text, re.M))
        return total

    def close(self):
        self.cluster.stop()


def certificate(home):
    """PEM text of a frontend's key and certificate, for the peers too: everybody has the same kind of key."""
    texts = []
    for suffix in ("key", "pem"):
        with open(os.path.join(home, "certs", f"frontend.{suffix}"), encoding="utf-8") as file:
            texts.append(file.read())
    return "".join(texts)
