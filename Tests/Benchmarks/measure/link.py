"""A link between two sites: connections go through a process of its own, which holds everything back for a while.

Each connection is ended here, so that its TCP sees the delay only as a peer that answers late: windows and slow starts of
a real line are not shown. What is carried is not bounded, other than by what this process can do (`limit` measures that).
"""

import asyncio
import collections
import json
import os
import socket
import subprocess
import sys
import threading
import time

HELD_MAX = 64 << 20
PIECE = 256 << 10


class _End(asyncio.Protocol):
    """One end of a carried connection: what it hears goes out at the other end when its time has come."""

    def __init__(self, carrier):
        self._carrier = carrier
        self._loop = asyncio.get_running_loop()
        self._held = collections.deque()  # (due, what is then done)
        self._held_bytes = 0
        self._timer, self._is_full, self._is_stuck = None, False, False
        self._has_heard_all = False
        self.transport, self.other = None, None

    def connection_made(self, transport):
        self.transport = transport
        transport.set_write_buffer_limits(high=8 << 20)
        self._carrier.ends.add(self)

    def data_received(self, piece):
        self._held_bytes += len(piece)
        self._hold(lambda: self._pass_on(piece))
        if self._held_bytes > HELD_MAX:
            self._is_full = True
            self._listen()

    def eof_received(self):
        self._has_heard_all = True
        self._hold(lambda: self.other.end_output())
        return True  # the other direction goes on

    def connection_lost(self, _):
        self._carrier.ends.discard(self)
        self._hold(lambda: self.other.transport.close())

    def _hold(self, action):
        """For the delay, and never before what came earlier."""
        if self.other is None:
            return
        self._held.append((self._loop.time() + self._carrier.delay, action))
        if self._timer is None:
            self._release()

    def _release(self):
        self._timer = None
        now = self._loop.time()
        while self._held and self._held[0][0] <= now:
            self._held.popleft()[1]()
        if self._held:
            self._timer = self._loop.call_at(self._held[0][0], self._release)

    def _pass_on(self, piece):
        self._held_bytes -= len(piece)
        self.other.write(piece)
        if self._is_full and self._held_bytes < HELD_MAX // 2:
            self._is_full = False
            self._listen()

    def write(self, piece):
        if not self.transport.is_closing():
            self.transport.write(piece)

    def end_output(self):
        if self.transport.is_closing():
            return
        try:
            self.transport.write_eof()
        except OSError:
            return self.transport.abort()  # it is broken already
        if self._has_heard_all:
            self.transport.close()

    def pause_writing(self):
        self.other.stop_for_peer(True)

    def resume_writing(self):
        self.other.stop_for_peer(False)

    def stop_for_peer(self, is_stuck):
        self._is_stuck = is_stuck
        self._listen()

    def _listen(self):
        if self._is_full or self._is_stuck:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def abort(self):
        self._held.clear()
        self.transport.abort()


class _Carrier:
    """All connections of the process."""

    def __init__(self):
        self.delay, self.is_cut, self.opened = 0.0, False, 0
        self.ends = set()

    async def listen(self, target):
        """Returns the port from which connections go to another one."""
        loop = asyncio.get_running_loop()

        def accepted():
            near = _End(self)
            loop.call_soon(lambda: loop.create_task(self._join(near, target)))
            return near

        server = await loop.create_server(accepted, "127.0.0.1", 0, backlog=256)
        return server.sockets[0].getsockname()[1]

    async def _join(self, near, target):
        near.transport.pause_reading()
        if self.is_cut:
            return near.transport.abort()
        self.opened += 1
        # SYN, its answer, and what ends the handshake: then a server accepts.
        await asyncio.sleep(3 * self.delay)
        far = _End(self)
        far.other = near
        try:
            await asyncio.get_running_loop().create_connection(lambda: far, "127.0.0.1", target)
        except OSError:
            return near.transport.abort()
        if near.transport.is_closing():
            return far.transport.close()
        near.other = far
        near.transport.resume_reading()

    def obey(self, words):
        if "delay" in words:
            self.delay = words["delay"]
        if "cut" in words:
            self.is_cut = words["cut"]
            if self.is_cut:
                for end in list(self.ends):
                    end.abort()
        return {"opened": self.opened}


async def _carry():
    carrier = _Carrier()
    while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
        words = json.loads(line)
        answer = {"port": await carrier.listen(words["listen"])} if "listen" in words else carrier.obey(words)
        print(json.dumps(answer), flush=True)


class LinkError(Exception):
    """The link does not carry what it should."""


class Link:
    """The process, as whoever uses it sees it."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-B", os.path.abspath(__file__)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid

    def _ask(self, **words):
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise LinkError("the link's process has ended")
        return json.loads(answer)

    def to(self, port):
        """A port from which connections go over the link to another one."""
        return self._ask(listen=port)["port"]

    def set_delay(self, seconds):
        """How late everything arrives, each way."""
        self._ask(delay=seconds)

    def cut(self):
        """Breaks all connections, and lets none through."""
        self._ask(cut=True)

    def mend(self):
        self._ask(cut=False)

    def opened(self):
        """Connections that it has carried so far."""
        return self._ask()["opened"]

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def limit(link, message_octets, seconds=2.0, connections=4):
    """Messages a second that the link alone carries, each with an answer of a line, as fast as its ends take them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = link.to(server.getsockname()[1])
        threads = []
        near = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(connections)]
        far = [server.accept()[0] for _ in near]
        answered = [0] * connections
        until = time.monotonic() + seconds

        def send(end):
            piece = b"x" * (16 * message_octets)
            while time.monotonic() < until:
                end.sendall(piece)
            end.shutdown(socket.SHUT_WR)

        def answer(end):
            taken = bytearray(PIECE)
            open_octets = 0
            while count := end.recv_into(taken):
                open_octets += count
                end.sendall(b"250 2.0.0 message accepted\r\n" * (open_octets // message_octets))
                open_octets %= message_octets
            end.shutdown(socket.SHUT_WR)

        def hear(number, end):
            while piece := end.recv(PIECE):
                answered[number] += piece.count(b"\n")

        start = time.monotonic()
        for number, (one, other) in enumerate(zip(near, far)):
            threads += [threading.Thread(target=send, args=(one,)), threading.Thread(target=answer, args=(other,)),
                        threading.Thread(target=hear, args=(number, one))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - start
        for end in near + far:
            end.close()
    return sum(answered) / took


if __name__ == "__main__":
    asyncio.run(_carry())
