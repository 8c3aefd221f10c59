"""The messages that are sent: a folder's files, or a few that go where messages go wrong, or as many as wanted."""

import os
import random
import re


def with_crlf(content):
    """The same lines, each ended by CRLF, as they travel by SMTP."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


def from_folder(folder):
    """Name and content of each message: the *.eml files, or all plain files if there are none."""
    names = sorted(name for name in os.listdir(folder) if os.path.isfile(os.path.join(folder, name)))
    chosen = [name for name in names if name.endswith(".eml")] or [n for n in names if not n.startswith(".")]
    messages = []
    for name in chosen:
        with open(os.path.join(folder, name), "rb") as file:
            messages.append((name, with_crlf(file.read())))
    return messages


def made_here():
    """A handful of messages at the edges of the protocols."""
    head = b"From: sender@example.org\r\nTo: reader@example.test\r\nSubject: %s\r\nMessage-ID: <%s@example.org>\r\n"

    def message(name, body, headers=b""):
        return name, head % (name.encode(), name.encode()) + headers + b"\r\n" + body

    noise = random.Random(5321)
    line = bytes(noise.choice(b"abcdefghijklmnopqrstuvwxyz .") for _ in range(70)) + b"\r\n"
    return [
        message("plain", b"Hello,\r\n\r\nthis is a message.\r\n"),
        ("empty-body", (head % (b"empty-body", b"empty-body")) + b"\r\n"),
        ("headers-only", head % (b"headers-only", b"headers-only")),
        ("no-headers", b"\r\nA message without any header.\r\n"),
        ("one-empty-line", b"\r\n"),
        message("dots", b".\r\n..\r\n...\r\n.leading\r\n..leading\r\nend.\r\n.\r\n"),
        message("ends-in-dots", b"text\r\n.\r\n.\r\n"),
        message("eight-bit", bytes(range(0x80, 0x100)) + b"\r\n" + "Grüße, 世界\r\n".encode()),
        message("control-bytes", bytes(b for b in range(1, 0x20) if b not in b"\r\n") + b"\x7f\r\n"),
        message("long-lines", b"x" * 998 + b"\r\n" + b"." * 998 + b"\r\n" + b"y" * 1500 + b"\r\n"),
        message("empty-lines", b"\r\n" * 5000),
        message("spaces", b" \r\n\t\r\n trailing \t \r\n"),
        message("mbox-lines", b"From here\r\n>From there\r\nfrom Nowhere\r\n"),
        message("smtp-words", b"QUIT\r\nRSET\r\nMAIL FROM:<x@y>\r\nDATA\r\n250 ok\r\n+OK\r\n"),
        message("folded", b"text\r\n", b"X-Long: one\r\n two\r\n\tthree\r\nX-Empty:\r\n"),
        message("one-mebibyte", line * (1024 * 1024 // len(line))),
        message("last-byte", b"y" * 65533 + b"\r\n"),
    ]


def generated(count, octets=2048):
    """`count` different messages of about `octets` octets, the same for every run."""
    noise = random.Random(1939)
    lines = [bytes(noise.choice(b"abcdefghijklmnopqrstuvwxyz .,") for _ in range(72)) + b"\r\n" for _ in range(64)]
    messages = []
    for number in range(count):
        name = f"made-{number}"
        body = b"".join(noise.choice(lines) for _ in range(noise.randrange(1, 2 * octets // 74)))
        messages.append((name, b"Subject: %d\r\nMessage-ID: <%d@example.org>\r\n\r\n." % (number, number) + body))
    return messages
