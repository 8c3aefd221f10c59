"""smtplib and poplib, with what they lack: BDAT (RFC 3030), lines of any length, messages as bytes."""

import poplib
import re
import smtplib
import ssl

poplib._MAXLINE = 1 << 20  # poplib refuses lines over 2,048 octets


class SMTPSender(smtplib.SMTP):
    """One SMTP connection that sends by DATA or by BDAT."""

    # Whether a message has been sent whole, so that its fate is open until a reply tells it.
    is_open_question = False

    def bdat(self, content, chunk_octets=50_000):
        """Sends a message in chunks. Returns the reply to the last one, or to the first that is no success."""
        offset = 0
        while True:
            chunk = content[offset : offset + chunk_octets]
            offset += len(chunk)
            last = offset == len(content)
            self.is_open_question = last
            self.send(b"BDAT %d%s\r\n" % (len(chunk), b" LAST" if last else b"") + chunk)
            code, text = self.getreply()
            if last or code != 250:
                return code, text

    def whole_data(self, content):
        self.putcmd("data")
        code, text = self.getreply()
        if code != 354:
            return code, text
        self.is_open_question = True
        self.send(re.sub(rb"(?m)^\.", b"..", content) + b".\r\n")
        return self.getreply()

    def deliver(self, sender, recipient, content, by_bdat):
        """One transaction. Returns the reply that decided it."""
        self.is_open_question = False
        options = [f"SIZE={len(content)}"]
        if any(byte > 0x7F for byte in content):
            options.append("BODY=8BITMIME")
        code, text = self.mail(sender, options)
        if code == 250:
            code, text = self.rcpt(recipient)
        if code == 250:
            return self.bdat(content) if by_bdat else self.whole_data(content)
        if code != 421:
            self.rset()
        return code, text


class MaildropReader:
    """One POP3 session."""

    def __init__(self, host, port, user, password, security, context: ssl.SSLContext, timeout=60):
        if security == "pop3s":
            self.session = poplib.POP3_SSL(host, port, timeout=timeout, context=context)
        else:
            self.session = poplib.POP3(host, port, timeout=timeout)
        if security == "stls" or (security == "plain" and "USER" not in self.session.capa()):
            self.session.stls(context)
        self.session.user(user)
        self.session.pass_(password)

    def names(self):
        """UIDL by message number."""
        return {int(number): name for number, name in (line.split() for line in self.session.uidl()[1])}

    def sizes(self):
        """LIST's octets by message number."""
        return {int(number): int(octets) for number, octets in (line.split() for line in self.session.list()[1])}

    def message(self, number):
        return b"".join(line + b"\r\n" for line in self.session.retr(number)[1])

    def delete(self, number):
        self.session.dele(number)

    def quit(self):
        self.session.quit()
