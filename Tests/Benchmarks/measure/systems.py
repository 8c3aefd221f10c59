"""What is compared: each system is one server, or several that are one to the client. Each starts when it is first asked
for, and stays until all is measured."""

import os

from .dovecot import Dovecot
from .hauberk_cluster import DOMAIN, PASSWORD, HauberkCluster, certificate
from .maildirs import Maildirs
from .postfix import MaildirPostfix, lmtp_postfix
from .processes import anonymous_kib, proportional_kib, tree_cpu_seconds

HAUBERK, HAUBERK_TWO, HAUBERK_TLS = "Hauberk", "Hauberk, R=2 W=2", "Hauberk, TLS"
HAUBERK_SHARED, HAUBERK_TWO_SHARED = "Hauberk, one file for all", "Hauberk, R=2 W=2, one file for all"
POSTFIX_DOVECOT, POSTFIX_DOVECOT_TLS = "Postfix → Dovecot", "Postfix → Dovecot, TLS"
POSTFIX_VIRTUAL, DOVECOT, DOVECOT_PROXY = "Postfix virtual", "Dovecot", "Dovecot proxy"


class System:
    def __init__(self, title, servers, mail, ports, copies=1):
        """`servers` are all whose CPU and memory count; `mail` matches the folders of the domain; `ports` are by name."""
        self.title, self.servers, self.mail, self.copies = title, servers, mail, copies
        self.ports = ports

    def target(self, service):
        return f"127.0.0.1:{self.ports[service]}"

    def add_accounts(self, prefix, count):
        for server in self.servers:
            if hasattr(server, "add_accounts"):
                server.add_accounts(prefix, count)

    def maildirs(self, prefix):
        return Maildirs(self.mail, prefix)

    def cpu_seconds(self):
        return tree_cpu_seconds([pid for server in self.servers for pid in server.roots])

    def memory_kib(self):
        return proportional_kib([pid for server in self.servers for pid in server.pids()])

    def anonymous_kib(self):
        return anonymous_kib([pid for server in self.servers for pid in server.pids()])


class Systems:
    def __init__(self, hauberk, peers, home):
        """`peers` is the folder of scripts/peers' starters."""
        self._hauberk, self._peers, self._home = hauberk, peers, home
        self._systems, self._servers, self._certificate, self._folders = {}, [], None, 0

    def _keep(self, server):
        self._servers.append(server)
        return server

    def _folder(self, name):
        self._folders += 1
        return os.path.join(self._home, f"{name}-{self._folders}")

    def _starter(self, name):
        return os.path.join(self._peers, name)

    def get(self, title):
        if title not in self._systems:
            self._systems[title] = self._makers()[title]()
        return self._systems[title]

    def another(self, title):
        """One more, with servers of its own (a proxy's or relay's server behind it is the first one's)."""
        return self._makers()[title]()

    def _makers(self):
        return {
            HAUBERK: lambda: self.cluster(HAUBERK),
            HAUBERK_TWO: lambda: self.cluster(HAUBERK_TWO, nodes=3, copies=2),
            HAUBERK_TLS: lambda: self.cluster(HAUBERK_TLS, tls=True),
            HAUBERK_SHARED: lambda: self.cluster(HAUBERK_SHARED, delivered_to="single"),
            HAUBERK_TWO_SHARED: lambda: self.cluster(HAUBERK_TWO_SHARED, nodes=3, copies=2, delivered_to="single"),
            POSTFIX_DOVECOT: lambda: self._postfix_dovecot(POSTFIX_DOVECOT, False),
            POSTFIX_DOVECOT_TLS: lambda: self._postfix_dovecot(POSTFIX_DOVECOT_TLS, True),
            POSTFIX_VIRTUAL: self._postfix_virtual,
            DOVECOT: self._dovecot,
            DOVECOT_PROXY: self._dovecot_proxy,
        }

    # makers

    def cluster(self, title, **shape):
        """One of Hauberk's; `shape` is as HauberkCluster has it. It is not kept under its title."""
        server = self._keep(HauberkCluster(self._hauberk, self._folder("hauberk"), **shape))
        ports = {"smtp": server.port(2525), "pop3": server.port(1110), "pop3s": server.port(1995), "lmtp": server.port(2401)}
        mail = os.path.join(server.home, "nodes", "*", "mail", "*", DOMAIN)
        return System(title, [server], mail, ports, server.copies)

    def certificate(self):
        if self._certificate is None:
            self._certificate = certificate(self.get(HAUBERK).servers[0].home)
        return self._certificate

    def _dovecot(self):
        server = self._keep(
            Dovecot(self._starter("dovecot"), self._folder("dovecot"), self.certificate(), DOMAIN, PASSWORD))
        ports = {"lmtp": server.lmtp, "pop3": server.pop3, "pop3s": server.pop3s}
        return System(DOVECOT, [server], os.path.join(server.home, "mail", DOMAIN), ports)

    def _dovecot_proxy(self):
        behind = self.get(DOVECOT)
        folder = self._folder("proxy")
        server = self._keep(
            Dovecot(self._starter("dovecot"), folder, self.certificate(), backend=behind.ports["pop3"]))
        return System(DOVECOT_PROXY, [server, *behind.servers], behind.mail, {"pop3": server.pop3, "pop3s": server.pop3s})

    def _postfix_dovecot(self, title, tls):
        behind = self.get(DOVECOT)
        server = self._keep(lmtp_postfix(
            self._starter("postfix"), self._folder("postfix"), DOMAIN, behind.ports["lmtp"], self.certificate(), tls))
        return System(title, [server, *behind.servers], behind.mail, {"smtp": server.port})

    def _postfix_virtual(self):
        server = self._keep(
            MaildirPostfix(self._starter("postfix"), self._folder("postfix"), DOMAIN, self.certificate()))
        return System(POSTFIX_VIRTUAL, [server], os.path.join(server.home, "mail", DOMAIN), {"smtp": server.port})

    # the end

    def close(self, system):
        """Ends its servers, other than those that another system has too."""
        others = [server for other in self._systems.values() for server in other.servers]
        for server in system.servers:
            if server not in others:
                server.close()
                self._servers.remove(server)

    def close_all(self):
        for server in reversed(self._servers):
            server.close()
        self._servers = []
