"""Postfix, from Debian's package as scripts/peers unpacked it."""

import glob
import os
import time

from .peer_server import READER, PeerError, PeerServer

# Compiled-in defaults, other than where things are and who may send.
_MAIN = """\
compatibility_level = 3.6
queue_directory = /peer/queue
data_directory = /peer/postfix
maillog_file = /peer/log
maillog_file_prefixes = /peer
myhostname = relay.example.test
mydestination =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
"""

_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
virtual unix - n n - - virtual
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

# A queue that waits until it is flushed. Twenty connections to a destination at most, reused while there is a queue.
_RELAY = """\
relay_domains = {domain}
relay_transport = smtp
transport_maps = inline:{{{{{domain}=smtp:[127.0.0.1]:{target}}}}}
defer_transports = smtp
"""

# As large messages as the benchmark has, and as many idle connections from one address.
_MAILBOXES = """\
virtual_mailbox_domains = {domain}
virtual_mailbox_limit = 0
message_size_limit = 104857600
smtpd_client_connection_count_limit = 5000
"""

_TO_LMTP = """\
virtual_mailbox_maps = static:all
virtual_transport = lmtp:inet:127.0.0.1:{port}
lmtp_tls_security_level = {security}
"""

_TO_MAILDIR = """\
virtual_mailbox_base = /peer/mail
virtual_mailbox_maps = hash:/peer/mailboxes
virtual_uid_maps = static:{reader}
virtual_gid_maps = static:{reader}
"""

_TLS = """\
smtpd_tls_security_level = may
smtpd_tls_chain_files = /etc/postfix/server.pem
"""

class Postfix(PeerServer):
    def __init__(self, starter, home, main, certificate=None):
        """`main` is added to its main.cf."""
        super().__init__(starter, home)
        self.port = self.take_port()
        os.makedirs(os.path.join(home, "queue"))
        self.write("etc/postfix/main.cf", _MAIN + main)
        self.write("etc/postfix/master.cf", _MASTER.format(port=self.port))
        if certificate:
            self.write("etc/postfix/server.pem", certificate)
        self.make_tables()
        self.start(["postfix", "start-fg"], [self.port])

    def make_tables(self):
        """What must be there before it starts."""


class RelayPostfix(Postfix):
    """It gathers a queue, and relays it when it is told to."""

    def __init__(self, starter, home, domain, target):
        """`starter` is scripts/peers' of it; `target` is the port to which mail for `domain` is relayed."""
        super().__init__(starter, home, _RELAY.format(domain=domain, target=target))

    def deferred(self):
        return len(glob.glob(os.path.join(glob.escape(self.home), "queue", "deferred", "*", "*")))

    def wait_until_deferred(self, count, seconds_max):
        deadline = time.monotonic() + seconds_max
        while self.deferred() < count:
            if time.monotonic() > deadline:
                raise PeerError(f"{self.deferred()} of {count} messages are in its queue: {self.last_words()}")
            time.sleep(0.1)

    def flush(self):
        self.run("postqueue", "-f")


def lmtp_postfix(starter, home, domain, port, certificate, tls=False):
    """Postfix that brings all mail of a domain to an LMTP server; `certificate` is PEM text, with the key before it."""
    main = _MAILBOXES.format(domain=domain) + _TO_LMTP.format(port=port, security="encrypt" if tls else "none") + _TLS
    return Postfix(starter, home, main, certificate)


class MaildirPostfix(Postfix):
    """Postfix whose own virtual(8) delivers to Maildirs below mail/<domain>/<user>/."""

    def __init__(self, starter, home, domain, certificate):
        main = _MAILBOXES.format(domain=domain) + _TO_MAILDIR.format(reader=READER) + _TLS
        self._domain = domain
        super().__init__(starter, home, main, certificate)

    def make_tables(self):
        self.make_mail_folder(self._domain)
        self.add_accounts("", 0)

    def add_accounts(self, prefix, count):
        users = [f"{prefix}{number}" for number in range(count)]
        with open(os.path.join(self.home, "mailboxes"), "a", encoding="utf-8") as file:
            file.writelines(f"{user}@{self._domain} {self._domain}/{user}/\n" for user in users)
        self.run("postmap", "hash:/peer/mailboxes")
