"""Idle sessions: opened, left alone, closed."""

import resource
import socket
import ssl


def allow_many_files(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(count, hard) if hard != resource.RLIM_INFINITY else count
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class IdleSession:
    """One connection that has said what a client says before it falls silent."""

    def __init__(self, port, context=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        if context:
            self.start_tls(context)

    def start_tls(self, context):
        self.socket = context.wrap_socket(self.socket)

    def say(self, line=None):
        """Sends a line, if there is one, and waits for the last line of the reply."""
        if line:
            self.socket.sendall(line.encode() + b"\r\n")
        reply = b""
        while not reply.endswith(b"\n") or reply.splitlines()[-1][3:4] == b"-":
            piece = self.socket.recv(4096)
            if not piece:
                raise OSError(f"the server closed the connection after {reply!r}")
            reply += piece
        if reply[:1] not in (b"2", b"+"):
            raise OSError(f"{line!r} was answered by {reply!r}")

    def close(self):
        self.socket.close()


def unverified_context():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def smtp_session(port, context):
    session = IdleSession(port)
    session.say()
    session.say("EHLO idle.test")
    if context:
        session.say("STARTTLS")
        session.start_tls(context)
        session.say("EHLO idle.test")
    return session


def pop3_session(port, context, user, password):
    """Logged in, so that the storage node has its half of the session too."""
    session = IdleSession(port, context)
    session.say()
    session.say(f"USER {user}")
    session.say(f"PASS {password}")
    session.say("STAT")
    return session
