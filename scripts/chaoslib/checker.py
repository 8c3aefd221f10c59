"""Compares a history with what is promised: Jepsen's set checker, for mailboxes.

The set's elements are pairs (attempt, mailbox): each attempt at a message is a message of its own. In the history an
element is named by its UIDL in that mailbox, once somebody has read the message that bears it.

What may be claimed, and why:

- *Acknowledged* is an element whose sender read 250 to the whole text. Only these must be there. One whose sender got
  an error (deferred) or nothing (unknown) for the whole text may be there or not. One whose text was never whole
  (refused) must be nowhere.
- *Deleted* is a UIDL that a session marked and whose QUIT was answered by +OK: it must be gone. If QUIT was sent and not
  answered by +OK, the deletion is open: both outcomes are right at the end. A session that ended without QUIT deletes
  nothing (RFC 1939 §6), so what it marked counts as not deleted.
- *At the end* all is healed, nothing waits in handoff, and each mailbox is read through each POP3 frontend, and on its
  owners' disks. Then nothing is open: every reader must see the same, so
    lost         acknowledged, nobody may have deleted it, and a final reader does not see it
    resurrected  deleted, and a final reader sees it
    duplicated   one element under two UIDLs, ever; a UIDL twice in a listing; a message in a mailbox it was not sent to
    unexpected   a message that nobody sent, or whose text was never whole
    damaged      its bytes, its size or its name are not the same everywhere and always
    diverged     final readers, or the owners' disks, do not show the same
    thin         acknowledged, not deleted, and on fewer owners' disks than W before anybody read at the end
  These fail a run. A copy that cannot be read at the end counts as lost.
- *While it runs* order is known only where one operation ended before another began (one clock for all clients). A login
  shows the maildrop as it was at some time between its start and its +OK. So
    late         acknowledged before a login's start, not shown by it nor by any login before it
    flickered    shown by a login that was answered before another's start, and not shown by that one
    reappeared   deleted before a login's start, and shown by it
  where nobody may have deleted the element before the login was answered, that is: no session had sent its QUIT by then.
  With an open deletion a login that does not show the element proves nothing by itself: the deletion may have taken
  effect, or that login's replica may be behind. But a login that began after it and shows the element again proves that
  one of the two was wrong, without saying which: the element has flickered.
  Here a cluster that prefers to serve cannot promise everything while faults last: on both sides of a partition, and
  where a node is back from a fault while all W nodes that have a message, or know of its deletion, are away or cut off
  (with W = 2, two faults at once do that). So these three are told with the faults that held, and fail a run only if
  that is asked for; one that no such faults explain is a finding. An element that was never acknowledged may flicker
  too: it may be on one node only.
- *Resent* counts messages of which a mailbox has several attempts: their senders had no 250 and sent again (RFC 5321
  §4.5.4.1 makes them), so the cluster did nothing wrong.

A session whose listing did not come through proves nothing, and one that shows a UIDL that nobody could ever read proves
nothing about what it does not show.
"""

from collections import defaultdict

FAILING = ("lost", "resurrected", "duplicated", "unexpected", "damaged", "diverged", "thin")
STRICT = ("late", "flickered", "reappeared")


class Findings:
    """What was found: for each word the elements, each once, with a line that says what was seen."""

    def __init__(self):
        self.lines = {word: {} for word in (*FAILING, *STRICT, "resent")}
        self.counts = defaultdict(int)
        self.problems = []

    def add(self, word, element, text):
        self.lines[word].setdefault(element, text)

    def count(self, word):
        return len(self.lines[word]) if word in self.lines else self.counts[word]

    def failed(self, strict=False, strict_resend=False):
        words = FAILING + (STRICT if strict else ()) + (("resent",) if strict_resend else ())
        return bool(self.problems) or any(self.lines[word] for word in words)


class Deletion:
    """What sessions asked for one UIDL of a mailbox."""

    def __init__(self):
        # The first QUIT that was sent for it, and the first +OK to one.
        self.asked, self.acknowledged = None, None

    def note(self, session):
        self.asked = min(self.asked or session["quit_sent"], session["quit_sent"])
        if session["quit"] == "ok":
            self.acknowledged = min(self.acknowledged or session["end"], session["end"])

    def may_have_happened(self, by):
        return self.asked is not None and self.asked < by


class Element:
    """One attempt in one mailbox."""

    def __init__(self):
        self.uidls = set()
        self.acknowledged = None

    def __repr__(self):
        return f"Element({self.uidls}, {self.acknowledged})"


def judge(events, quorum):
    """The findings in a whole history, its final readings included."""
    return _Checker(events, quorum).judge()


class _Checker:
    def __init__(self, events, quorum):
        self.quorum = quorum
        self.findings = Findings()
        self.sends = {event["attempt"]: event for event in events if event["kind"] == "send"}
        sessions = [event for event in events if event["kind"] == "session"]
        self.sessions = sorted((s for s in sessions if s["shown"] is not None), key=lambda s: s["start"])
        self.deletions = defaultdict(Deletion)
        for session in sessions:
            if session["quit_sent"] is not None:
                for uidl in session["deleted"]:
                    self.deletions[session["mailbox"], uidl].note(session)
        self.disks = [event for event in events if event["kind"] == "copies"]
        self.faults = _faults(events)
        self.findings.problems = [event["text"] for event in events if event["kind"] == "problem"]
        self.attempts = {}
        self.elements = defaultdict(Element)

    def judge(self):
        self._recognise()
        self._note_sends()
        self._judge_contents()
        self._judge_duplicates()
        self._judge_end()
        self._judge_disks()
        for mailbox in sorted({mailbox for _, mailbox in self.elements}):
            self._judge_course(mailbox)
        return self.findings

    def _recognise(self):
        """Which attempt each UIDL bears; one that is read as two is damaged."""
        for session in self.sessions:
            for uidl, attempt in session["read"].items():
                key = session["mailbox"], uidl
                if self.attempts.setdefault(key, attempt) != attempt:
                    self.findings.add("damaged", key, f"{_name(*key)} was read as {attempt} and {self.attempts[key]}")
        for (mailbox, uidl), attempt in self.attempts.items():
            if attempt is not None:
                self.elements[attempt, mailbox].uidls.add(uidl)

    def _note_sends(self):
        counts = self.findings.counts
        for attempt, send in self.sends.items():
            counts[send["outcome"]] += 1
            if send["outcome"] == "accepted":
                for mailbox in send["mailboxes"]:
                    self.elements[attempt, mailbox].acknowledged = send["end"]
        counts["acknowledged"] = sum(e.acknowledged is not None for e in self.elements.values())
        counts["deleted"] = sum(d.acknowledged is not None for d in self.deletions.values())
        counts["refused"] += counts["deferred"] + counts["rejected"]

    # what was read

    def _judge_contents(self):
        sizes = {}
        for session in self.sessions:
            mailbox = session["mailbox"]
            for uidl, octets in session["shown"]:
                if sizes.setdefault((mailbox, uidl), octets) != octets:
                    self.findings.add(
                        "damaged", (mailbox, uidl),
                        f"{_name(mailbox, uidl)} has {octets} octets at {_when(session)}, before it had "
                        f"{sizes[mailbox, uidl]}")
            for uidl, damage in session["damaged"].items():
                self.findings.add("damaged", (mailbox, uidl), f"{_name(mailbox, uidl)} at {_when(session)}: {damage}")
        for (mailbox, uidl), attempt in self.attempts.items():
            send = self.sends.get(attempt)
            if send is None:
                self.findings.add("unexpected", (mailbox, uidl), f"{_name(mailbox, uidl)}: nobody sent this ({attempt})")
            elif send["outcome"] == "refused":
                self.findings.add(
                    "unexpected", (mailbox, uidl),
                    f"{_name(mailbox, uidl)}: attempt {attempt} was never whole: {send['reply']}")
            elif mailbox not in send["mailboxes"]:
                self.findings.add(
                    "duplicated", (mailbox, uidl),
                    f"{_name(mailbox, uidl)}: attempt {attempt} was not sent there but to {send['mailboxes']}")

    def _judge_duplicates(self):
        for session in self.sessions:
            uidls = [uidl for uidl, _ in session["shown"]]
            for uidl in {uidl for uidl in uidls if uidls.count(uidl) > 1} if len(set(uidls)) < len(uidls) else ():
                key = session["mailbox"], uidl
                self.findings.add("duplicated", key, f"{_name(*key)} comes twice in the listing at {_when(session)}")
        attempts_of = defaultdict(set)
        for (attempt, mailbox), element in self.elements.items():
            if len(element.uidls) > 1:
                self.findings.add(
                    "duplicated", (mailbox, attempt),
                    f"attempt {attempt} has several UIDLs in {mailbox}: {sorted(element.uidls)}")
            if element.uidls:
                attempts_of[attempt.split(".")[0], mailbox].add(attempt)
        for key, attempts in attempts_of.items():
            if len(attempts) > 1:
                self.findings.add("resent", key, f"message {key[0]} is in {key[1]} as {sorted(attempts)}")

    # the end

    def _judge_end(self):
        finals = defaultdict(list)
        for session in self.sessions:
            if session["final"]:
                finals[session["mailbox"]].append(session)
        for mailbox, sessions in finals.items():
            shown = [{uidl for uidl, _ in session["shown"]} for session in sessions]
            everywhere, anywhere = set.intersection(*shown), set.union(*shown)
            for uidl in anywhere - everywhere:
                self.findings.add("diverged", (mailbox, uidl), f"{_name(mailbox, uidl)}: not all final readers show it")
            for uidl in anywhere:
                done = self.deletions[mailbox, uidl].acknowledged
                if done is not None:
                    self.findings.add(
                        "resurrected", (mailbox, uidl),
                        f"{_name(mailbox, uidl)}: deleted at {done:.3f}, there at the end")
            for session in sessions:
                for uidl, reply in session["unreadable"].items():
                    self.findings.add(
                        "lost", (mailbox, uidl), f"{_name(mailbox, uidl)} cannot be read at the end: {reply}")
            self._judge_losses(mailbox, everywhere)
        for mailbox in sorted({mailbox for _, mailbox in self.elements} - set(finals)):
            self.findings.problems.append(f"{mailbox} could not be read at the end")

    def _judge_losses(self, mailbox, everywhere):
        for (attempt, place), element in self.elements.items():
            if place != mailbox or element.uidls & everywhere or self._asked(mailbox, element) is not None:
                continue
            what = f"attempt {attempt} in {mailbox} ({' '.join(sorted(element.uidls)) or 'never shown'})"
            if element.acknowledged is not None:
                self.findings.add(
                    "lost", (mailbox, attempt),
                    f"{what}: 250 at {element.acknowledged:.3f}, not there at the end; "
                    f"faults then: {self._faults_at(element.acknowledged)}")
            elif element.uidls:
                # No promise was given for it, but a login showed it, and another one does not.
                self.findings.add("flickered", (mailbox, attempt), f"{what}: was shown, is not there at the end")

    def _asked(self, mailbox, element):
        """When somebody first sent a QUIT that may have deleted it; None if nobody did."""
        asked = [self.deletions[mailbox, uidl].asked for uidl in element.uidls]
        return min((time for time in asked if time is not None), default=None)

    # the disks

    def _judge_disks(self):
        places = defaultdict(dict)
        for event in self.disks:
            places[event["phase"], event["mailbox"]][event["node"]] = event
        for (phase, mailbox), owners in places.items():
            if phase == "before":
                self._judge_thin(mailbox, owners)
            else:
                self._judge_owners(mailbox, owners)

    def _judge_thin(self, mailbox, owners):
        """Before the final readings, whose merges would bring what is missing."""
        for (attempt, place), element in self.elements.items():
            if place != mailbox or element.acknowledged is None or self._asked(mailbox, element) is not None:
                continue
            having = [node for node, copies in owners.items() if element.uidls & set(copies["messages"])]
            if len(having) < self.quorum:
                self.findings.add(
                    "thin", (mailbox, attempt),
                    f"attempt {attempt} in {mailbox} ({' '.join(sorted(element.uidls))}): 250 at "
                    f"{element.acknowledged:.3f}, on {having or 'no owner'} of {sorted(owners)}; "
                    f"faults then: {self._faults_at(element.acknowledged)}")

    def _judge_owners(self, mailbox, owners):
        shown = {
            uidl for session in self.sessions if session["final"] and session["mailbox"] == mailbox
            for uidl, _ in session["shown"]}
        versions = defaultdict(set)
        for node, copies in owners.items():
            live = set(copies["messages"]) - set(copies["deleted"])
            for uidl in live ^ shown:
                where = "only on the disk of" if uidl in live else "shown, but not on the disk of"
                self.findings.add("diverged", (mailbox, uidl), f"{_name(mailbox, uidl)}: {where} {node}")
            for uidl in live:
                versions[uidl].add(tuple(copies["messages"][uidl]))
        for uidl, found in versions.items():
            if len(found) > 1:
                self.findings.add(
                    "damaged", (mailbox, uidl), f"{_name(mailbox, uidl)}: its copies differ: {sorted(found)}")

    # the course

    def _judge_course(self, mailbox):
        """What each login must have shown, by what had ended before it began."""
        sessions = [session for session in self.sessions if session["mailbox"] == mailbox]
        elements = {attempt: element for (attempt, place), element in self.elements.items() if place == mailbox}
        by_uidl = {uidl: attempt for attempt, element in elements.items() for uidl in element.uidls}
        # The earliest answer of a login that showed the UIDL.
        first_shown = {}
        for session in sessions:
            for uidl, _ in session["shown"]:
                first_shown[uidl] = min(first_shown.get(uidl, session["opened"]), session["opened"])
        # Of UIDLs whose deletion is open: the earliest answer of a login that did not show them any more.
        first_gone = {}
        for session in sessions:
            shown = {uidl for uidl, _ in session["shown"]}
            self._judge_shown(session, shown, first_gone)
            self._note_gone(session, shown, first_shown, first_gone)
            if all((mailbox, uidl) in self.attempts for uidl in shown):
                self._judge_missing(session, shown, elements, by_uidl, first_shown)

    def _judge_shown(self, session, shown, first_gone):
        mailbox = session["mailbox"]
        for uidl in shown:
            done = self.deletions[mailbox, uidl].acknowledged
            what = f"{_name(mailbox, uidl)} at {_when(session)}"
            if done is not None and done < session["start"] and not session["final"]:
                self.findings.add(
                    "reappeared", (mailbox, uidl),
                    f"{what}: deleted at {done:.3f}; faults meanwhile: {self._faults_at(done, session['opened'])}")
            gone = first_gone.get(uidl)
            if gone is not None and gone < session["start"]:
                self.findings.add(
                    "flickered", (mailbox, uidl),
                    f"{what}: its deletion is open, it was gone at {gone:.3f}, and is there again; "
                    f"faults meanwhile: {self._faults_at(gone, session['opened'])}")

    def _note_gone(self, session, shown, first_shown, first_gone):
        for uidl, seen in first_shown.items():
            deletion = self.deletions[session["mailbox"], uidl]
            if (
                uidl not in shown and seen < session["start"] and deletion.may_have_happened(session["opened"])
                and deletion.acknowledged is None
            ):
                first_gone[uidl] = min(first_gone.get(uidl, session["opened"]), session["opened"])

    def _judge_missing(self, session, shown, elements, by_uidl, first_shown):
        mailbox, start = session["mailbox"], session["start"]
        there = {by_uidl[uidl] for uidl in shown if uidl in by_uidl}
        for attempt, element in elements.items():
            if attempt in there:
                continue
            asked = self._asked(mailbox, element)
            if asked is not None and asked < session["opened"]:
                continue
            seen = min((first_shown[uidl] for uidl in element.uidls), default=None)
            if seen is not None and seen < start:
                self.findings.add(
                    "flickered", (mailbox, attempt),
                    f"attempt {attempt} in {mailbox}: seen at {seen:.3f}, not at {_when(session)}; "
                    f"faults meanwhile: {self._faults_at(seen, session['opened'])}")
            elif element.acknowledged is not None and element.acknowledged < start and not session["final"]:
                self.findings.add(
                    "late", (mailbox, attempt),
                    f"attempt {attempt} in {mailbox}: 250 at {element.acknowledged:.3f}, not at {_when(session)}; "
                    f"faults meanwhile: {self._faults_at(element.acknowledged, session['opened'])}")

    def _faults_at(self, start, end=None):
        """The faults that held at some time of a span, with their times."""
        end = start if end is None else end
        return ", ".join(
            f"{what} ({begin:.1f} to {until:.1f})" for what, begin, until in self.faults
            if begin <= end and start <= until) or "none"


def _faults(events):
    """Each fault with its whole time, from the beginning of its injection to the end of its healing."""
    begun, spans = {}, []
    for event in events:
        if event["kind"] != "nemesis":
            continue
        if event["phase"] == "inject":
            begun[event["number"]] = event
        else:
            begin = begun.pop(event["number"])
            spans.append((begin["what"], begin["start"], event["end"]))
    spans += [(event["what"], event["start"], float("inf")) for event in begun.values()]
    return sorted(spans, key=lambda span: span[1])


def _name(mailbox, uidl):
    return f"{uidl} in {mailbox}"


def _when(session):
    return f"{session['start']:.3f}-{session['opened']:.3f} by {session['frontend']}"
