"""Two sites that replicate to each other over a link of the harness's, each a cluster of its own on this machine."""

import glob
import os
import shutil
import time

from mailcheck.cluster import Cluster, ClusterError

SITES = ("east", "west")
NODES = ("store-1", "store-2", "store-3")
PRIMED_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60

_SECRET = "known to both sites of this run"


def configuration(site, copies):
    """Two SMTP frontends and three storage nodes. What a measurement would run into, and mail does not, has no bound."""
    lines = [
        f"cluster: {{name: {site}, partitions: 256, replicas: {copies}, durableCopies: {copies}}}",
        f"hostname: {site}.example.test",
        "trust: {mode: mutual-tls}",
        "smtp: {connectionsPerAddressMax: 5000, limits: {transactionsMax: 1000000}}",
        "directory: {path: directory.sqlite, passwordScheme: sha512}",
        "telemetry: {logLevel: warning}",
        "frontends:",
    ]
    for number, name in enumerate(("smtp-a", "smtp-b")):
        lines += [
            f"  - name: {name}",
            "    tls: {certificate: certs/frontend.pem, key: certs/frontend.key}",
            "    listeners:",
            f'      - {{service: smtp, address: "127.0.0.1:{2525 + number}"}}',
            f'      - {{service: submission, address: "127.0.0.1:{5587 + number}"}}']
    lines.append("nodes:")
    for number, name in enumerate(NODES, 1):
        lines += [f"  - name: {name}", f"    lmtp: 127.0.0.1:{2400 + number}", f"    pop3: 127.0.0.1:{1100 + number}"]
    return "\n".join(lines) + "\n"


class SitePair:
    """Both clusters, with the same accounts, and the link between them."""

    def __init__(self, hauberk, home, copies, link):
        self.copies, self.link, self.home = copies, link, home
        self.clusters = {}
        for site in SITES:
            folder = os.path.join(home, site)
            os.makedirs(folder)
            source = os.path.join(folder, "source.yaml")
            with open(source, "w", encoding="utf-8") as file:
                file.write(configuration(site, copies))
            self.clusters[site] = Cluster(hauberk, source, folder)

    def port(self, site, development_port=2525):
        return self.clusters[site].port(development_port)

    def stores(self, site):
        return [os.path.join(self.home, site, "nodes", name) for name in NODES]

    def pids(self):
        return [process.pid for cluster in self.clusters.values() for process in cluster.processes.values()]

    def prepare(self, users, password, options=""):
        """Makes the accounts, so many of each pattern, at both sites, and starts all. `options` are more keys of a site's
        entry in `sites`."""
        for site, cluster in self.clusters.items():
            for words in (("certs", "init"), ("certs", "issue", "--all"), ("certs", "listener")):
                cluster.command(*words)
            if site == SITES[0]:
                for domain in {pattern.split("@")[1] for pattern in users}:
                    cluster.command("domain", "add", domain)
                for address in [pattern.replace("%d", str(number)) for pattern in users for number in range(users[pattern])]:
                    cluster.command("account", "add", address, "--password-stdin", stdin=password + "\n")
            else:
                # Making an account costs a password's hash, so the second site gets the first one's.
                for path in glob.glob(os.path.join(glob.escape(self.clusters[SITES[0]].home), "directory.sqlite*")):
                    shutil.copy(path, cluster.home)
        for site, other in (SITES, SITES[::-1]):
            self._join(site, other, options)
        for cluster in self.clusters.values():
            cluster.start()

    def _join(self, site, other, options):
        cluster, far = self.clusters[site], self.clusters[other]
        secret = os.path.join(cluster.home, "secret")
        with open(secret, "w", encoding="utf-8") as file:
            file.write(_SECRET + "\n")
        addresses = ", ".join(f"'localhost:{self.link.to(far.port(5587 + number))}'" for number in range(2))
        certificate = os.path.join(far.home, "certs", "frontend.pem")
        with open(cluster.config, "a", encoding="utf-8") as file:
            file.write(f"sites: [{{name: {other}, addresses: [{addresses}], secretFile: {secret}, "
                       f"pinnedCertificate: {certificate}{options}}}]\n")

    def wait_for_mailboxes(self, site, count):
        """Waits until so many mailboxes have a folder for each copy."""
        deadline = time.monotonic() + PRIMED_SECONDS_MAX
        while True:
            found = sum(len(glob.glob(os.path.join(glob.escape(store), "mail", "*", "*", "*", "new")))
                        for store in self.stores(site))
            if found >= count * self.copies:
                return
            if time.monotonic() > deadline:
                raise ClusterError(f"{site} has {found} of {count * self.copies} mailboxes after {PRIMED_SECONDS_MAX} s")
            time.sleep(0.1)

    def restart_nodes(self, site):
        """Ends a site's storage nodes, and starts them together. Returns when that was, as the monotonic clock has it."""
        cluster = self.clusters[site]
        processes = [cluster.processes[name] for name in NODES]
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(STOP_SECONDS_MAX)
        started = time.monotonic()
        for name in NODES:
            cluster.start_node(name)
        for name in NODES:
            cluster.wait_for(name)
        return started

    def stop(self):
        for cluster in self.clusters.values():
            cluster.stop()
