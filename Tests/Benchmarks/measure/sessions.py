"""Idle sessions: opened, left alone, closed."""

import resource
import socket
import ssl
import time

from .processes import socket_kib


def allow_many_files(count):
    """This process, and those that it starts; more than the system's bound for it only as root."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
            return
        except (ValueError, OSError):
            count = hard
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


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


def memory_of(make, count, servers_kib, end_kib=0, first=100):
    """KiB that one of so many idle sessions takes: of the servers' processes; and of the kernel, without the client's end,
    which takes `end_kib`. So many at `first` come and go, so that what servers make once is there."""
    for session in [make(number) for number in range(first)]:
        session.close()
    time.sleep(1)
    before, kernel = servers_kib(), socket_kib()
    opened = [make(number) for number in range(count)]
    try:
        time.sleep(1)
        after, kernel_after = servers_kib(), socket_kib()
    finally:
        for session in opened:
            session.close()
    time.sleep(1)
    return (after - before) / count, (kernel_after - kernel) / count - end_kib


def kernel_kib_of_an_end(count):
    """What the kernel keeps for one end of a connection that nobody uses."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:
        before, ends = socket_kib(), []
        for _ in range(count):
            ends += [socket.create_connection(server.getsockname()), server.accept()[0]]
        after = socket_kib()
        for end in ends:
            end.close()
    return (after - before) / len(ends)
