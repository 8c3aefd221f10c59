"""The clients: senders that retry as mail servers do, and readers that check and delete. Each writes what it saw."""

import itertools
import poplib
import random
import smtplib
import threading

from mailcheck.clients import MaildropReader, SMTPSender

from .content import content, recognise, some_size

REPLY_SECONDS_MAX = 25
ATTEMPTS_MAX = 4
RETRIES_WAITING_MAX = 20
READ_PER_SESSION_MAX = 20


class Workload:
    """All clients. They share what was sent and what was recognised, as nothing in the cluster does."""

    def __init__(self, cluster, history, passwords, seed, senders=6, readers=6):
        self.cluster, self.history, self.passwords, self.seed = cluster, history, passwords, seed
        self.mailboxes = list(passwords)
        self.ended = threading.Event()
        self.numbers = itertools.count(1)
        # (mailbox, UIDL) -> attempt, once somebody has read it whole.
        self.recognised = {}
        self._clients = [Sender(self, number) for number in range(senders)]
        self._clients += [Reader(self, number) for number in range(readers)]
        self._threads = [threading.Thread(target=client.run, daemon=True) for client in self._clients]

    def start(self):
        for thread in self._threads:
            thread.start()

    def end(self):
        """No client begins anything new; waits until each has its answer, or none."""
        self.ended.set()
        for thread in self._threads:
            thread.join()


class Client:
    """One thread that does one step after the other."""

    role = "client"

    def __init__(self, workload, number):
        self.workload = workload
        self.name = f"{self.role}-{number}"
        self.noise = random.Random(f"{workload.seed} {self.name}")

    def run(self):
        while not self.workload.ended.wait(self.noise.uniform(0, 0.03)):
            try:
                self.step()
            except Exception as error:  # pylint: disable=broad-except
                self.workload.history.problem(f"{self.name}: {error!r}")
        self.close()

    def step(self):
        raise NotImplementedError

    def close(self):
        pass

    def some_frontend(self, service):
        name = self.noise.choice(self.workload.cluster.frontends(service))
        return name, *self.workload.cluster.endpoint(name, service)


class Sender(Client):
    """Sends messages to any frontend. One that is not taken is tried again later, as another attempt."""

    role = "sender"

    def __init__(self, workload, number):
        super().__init__(workload, number)
        self._connections = {}
        self._retries = []

    def step(self):
        now = self.workload.history.now()
        due = [retry for retry in self._retries if retry["due"] <= now]
        if due or len(self._retries) >= RETRIES_WAITING_MAX:
            mail = min(self._retries, key=lambda retry: retry["due"])
            self._retries.remove(mail)
        else:
            mail = self._new_mail()
        self._attempt(mail)

    def _new_mail(self):
        count = self.noise.choices((1, 2, 3, 5), weights=(70, 15, 10, 5))[0]
        return {
            "number": next(self.workload.numbers), "attempts": 0, "octets": some_size(self.noise),
            "recipients": self.noise.sample(self.workload.mailboxes, count)}

    def _attempt(self, mail):
        mail["attempts"] += 1
        attempt = f"{mail['number']}.{mail['attempts']}"
        name, host, port = self.some_frontend("smtp")
        by_bdat = self.noise.random() < 0.5
        start = self.workload.history.now()
        outcome, reply, taken = self._transaction(name, host, port, mail, attempt, by_bdat)
        self.workload.history.add(
            "send", client=self.name, frontend=name, attempt=attempt, octets=mail["octets"],
            verb="BDAT" if by_bdat else "DATA", mailboxes=taken, start=start, end=self.workload.history.now(),
            outcome=outcome, reply=reply)
        # What some frontend did not take for all recipients, it did not take: they are asked for again.
        left = [mailbox for mailbox in mail["recipients"] if outcome != "accepted" or mailbox not in taken]
        if left and mail["attempts"] < ATTEMPTS_MAX:
            delay = self.noise.uniform(0.3, 2)
            self._retries.append({**mail, "recipients": left, "due": self.workload.history.now() + delay})

    def _transaction(self, name, host, port, mail, attempt, by_bdat):
        """One transaction: its outcome, the reply that decided it, and the mailboxes that RCPT was taken for.

        accepted: 250 for the text. deferred, rejected: an error for the whole text. unknown: no answer to the whole
        text. refused: an error, or the connection broke, before the text was whole, so that it must be nowhere.
        """
        connection, taken = self._connections.get(name), []
        is_whole = False
        try:
            if not connection:
                connection = SMTPSender(host, port, local_hostname="chaos.test", timeout=REPLY_SECONDS_MAX)
                self._connections[name] = connection
                connection.ehlo_or_helo_if_needed()
            connection.is_open_question = False
            size = len(content(attempt, mail["octets"]))
            code, reply = connection.mail(f"m{attempt}@chaos.test", [f"SIZE={size}", "BODY=8BITMIME"])
            for mailbox in mail["recipients"] if code == 250 else []:
                code_of_one, reply_of_one = connection.rcpt(mailbox)
                if code_of_one == 250:
                    taken.append(mailbox)
                else:
                    code, reply = code_of_one, reply_of_one
            if taken:
                has_address = len(taken) == 1 or not self.workload.cluster.shape.one_file
                text = content(attempt, mail["octets"], has_address)
                code, reply = connection.bdat(text) if by_bdat else connection.whole_data(text)
                is_whole = connection.is_open_question
            else:
                connection.rset()
        except (OSError, smtplib.SMTPException) as error:
            is_whole = connection is not None and connection.is_open_question
            self._drop(name)
            return "unknown" if is_whole else "refused", repr(error), taken
        if code in (421, -1):
            self._drop(name)
        answer = f"{code} {reply.decode(errors='replace')}"
        if code == -1:
            return "unknown" if is_whole else "refused", answer, taken
        if code == 250 and is_whole:
            return "accepted", answer, taken
        if not is_whole:
            return "refused", answer, taken
        return "deferred" if code < 500 else "rejected", answer, taken

    def _drop(self, name):
        connection = self._connections.pop(name, None)
        if connection:
            connection.close()

    def close(self):
        for name in list(self._connections):
            self._drop(name)


class Reader(Client):
    """Logs in anywhere, compares what is shown, reads what nobody has read yet, and deletes some of it."""

    role = "reader"

    def step(self):
        mailbox = self.noise.choice(self.workload.mailboxes)
        frontend, host, port = self.some_frontend("pop3")
        session = Session(self.workload.history, self.name, frontend, mailbox)
        session.run(host, port, self.workload.passwords[mailbox], self._use)

    def _use(self, session):
        """What a client does between login and its end. Returns how it ends, and what it has marked."""
        known = self.workload.recognised
        unread = [uidl for uidl in session.numbers if (session.mailbox, uidl) not in known]
        some = self.noise.sample(list(session.numbers), min(2, len(session.numbers)))
        for uidl in dict.fromkeys(unread[:READ_PER_SESSION_MAX] + some):
            attempt = session.read(uidl)
            if attempt:
                known[session.mailbox, uidl] = attempt
        share = 0.6 if len(session.numbers) > 12 else 0.15
        for uidl in session.numbers:
            if (session.mailbox, uidl) in known and self.noise.random() < share:
                session.mark(uidl)
        return self.noise.choices(("quit", "abandon", "quit unheard"), weights=(88, 7, 5))[0]


class Session:
    """One POP3 session and what is written down of it.

    `shown` is the maildrop as it was when the login was answered (`opened`): POP3 shows a snapshot (RFC 1939 §8 asks
    that numbers stay the same). A session whose listing did not come through shows nothing and proves nothing.
    """

    def __init__(self, history, client, frontend, mailbox, final=False):
        self.history, self.mailbox = history, mailbox
        self.numbers, self._sizes, self._reader = {}, {}, None
        self.event = {
            "client": client, "frontend": frontend, "mailbox": mailbox, "final": final, "start": history.now(),
            "opened": None, "shown": None, "read": {}, "damaged": {}, "unreadable": {}, "deleted": [], "quit": "none",
            "quit_sent": None}

    def run(self, host, port, password, use):
        """The whole session. `use` says how it ends: quit, abandon (no QUIT), or quit unheard (its answer is not read)."""
        try:
            self._reader = MaildropReader(
                host, port, self.mailbox, password, "plain", None, timeout=REPLY_SECONDS_MAX)
            self.event["opened"] = self.history.now()
            self._list()
            self._end(use(self))
            self.event["outcome"] = "ok"
        except poplib.error_proto as error:
            self.event["outcome"] = f"refused: {error}"
        except OSError as error:
            self.event["outcome"] = f"broken: {error!r}"
        finally:
            self._close()
            self.event["end"] = self.history.now()
            self.history.add("session", **self.event)

    def _list(self):
        names, sizes = self._reader.names(), self._reader.sizes()
        shown = [[name.decode(), sizes.get(number, -1)] for number, name in names.items()]
        self.numbers = {name.decode(): number for number, name in names.items()}
        self._sizes = dict(map(tuple, shown))
        self.event["shown"] = shown

    def read(self, uidl):
        """Reads a message and compares it. Returns its attempt; None if it bears none, or is not there any more."""
        try:
            message = self._reader.message(self.numbers[uidl])
        except poplib.error_proto as error:
            if not str(error).startswith("b'-ERR"):
                raise  # no answer at all
            self.event["unreadable"][uidl] = str(error)
            return None
        attempt, damage = recognise(message, self.mailbox)
        if len(message) != self._sizes[uidl]:
            damage = f"LIST says {self._sizes[uidl]} octets, RETR gave {len(message)}"
        self.event["read"][uidl] = attempt
        if damage:
            self.event["damaged"][uidl] = damage
        return attempt

    def mark(self, uidl):
        """DELE: nothing is deleted before QUIT."""
        try:
            self._reader.delete(self.numbers[uidl])
        except poplib.error_proto as error:
            if not str(error).startswith("b'-ERR"):
                raise
            return  # gone already
        self.event["deleted"].append(uidl)

    def _end(self, way):
        if way == "abandon":
            return
        self.event["quit_sent"] = self.history.now()
        self.event["quit"] = "unknown"
        if way == "quit unheard":
            self._reader.session._putcmd("QUIT")  # pylint: disable=protected-access
            return
        try:
            self._reader.quit()
            self.event["quit"] = "ok"
        except poplib.error_proto as error:
            # RFC 1939 §6: some may be removed, others not.
            self.event["quit_reply"] = str(error)

    def _close(self):
        if self._reader:
            self._reader.session.close()
