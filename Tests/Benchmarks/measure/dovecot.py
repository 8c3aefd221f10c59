"""Dovecot, from Debian's packages as scripts/peers unpacked it: an LMTP and POP3 server, or a POP3 proxy before it."""

import os

from .peer_server import READER, PeerServer

# Logins in processes that stay and take many connections each (its manual's high-performance mode): one for each core is
# there from the start. Limits that a measurement would run into, and mail does not, are wide.
_COMMON = """\
base_dir = /peer/run
state_dir = /peer/state
log_path = /peer/log
listen = 127.0.0.1
disable_plaintext_auth = no
ssl = yes
ssl_cert = </peer/server.pem
ssl_key = </peer/server.pem
mail_max_userip_connections = 0
default_client_limit = 30000
default_process_limit = 20000
default_vsz_limit = 2G
service pop3-login {{
  service_count = 0
  process_min_avail = {cores}
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service stats {{
  client_limit = 60000
}}
service anvil {{
  client_limit = 60000
}}
service auth {{
  client_limit = 60000
}}
"""

_BACKEND = """\
protocols = lmtp pop3
mail_location = maildir:~
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={reader} gid={reader} home=/peer/mail/%Ld/%Ln
}}
protocol lmtp {{
  mail_fsync = always
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
"""

_PROXY = """\
protocols = pop3
passdb {{
  driver = static
  args = proxy=y nopassword=y host=127.0.0.1 port={backend}
}}
"""


class Dovecot(PeerServer):
    """Either kind listens on `pop3` and `pop3s`; one that keeps mailboxes on `lmtp` too."""

    def __init__(self, starter, home, certificate, domain=None, password=None, backend=None):
        """It keeps the mailboxes of `domain`, with the same password for all; or `backend` is the port of the POP3 server that
        does."""
        super().__init__(starter, home)
        self.pop3, self.pop3s, self.lmtp = (self.take_port() for _ in range(3))
        text = _COMMON.format(pop3=self.pop3, pop3s=self.pop3s, cores=os.cpu_count())
        if backend is None:
            text += _BACKEND.format(password=password, reader=READER, lmtp=self.lmtp)
            self.make_mail_folder(domain)
        else:
            text += _PROXY.format(backend=backend)
        self.write("server.pem", certificate)
        self.write("dovecot.conf", text)
        ports = [self.pop3, self.pop3s] + ([self.lmtp] if backend is None else [])
        self.start(["dovecot", "-F", "-c", "/peer/dovecot.conf"], ports)
