import Foundation
import Testing

/// A server elsewhere, which takes mail and keeps it, or does not, as the recipient's name says:
///
/// - `refused@…`: 550 at RCPT. `bounced@…`: 554 behind the text.
/// - `later@…`: 451 at RCPT, until the sink is `opened`.
/// - everybody else: 250.
final class MailSink: Sendable {
    enum Dialect: String {
        /// RFC 5321 without any extension.
        case plain
        /// PIPELINING and 8BITMIME.
        case pipelining
        /// These and CHUNKING.
        case chunking
        case lmtp
        case qmtp
    }

    struct Message: Equatable {
        let sender: String
        let recipient: String
        let bytes: [UInt8]

        var text: String { String(decoding: bytes, as: UTF8.self) }

        /// Without the `Received:` fields that stand above what the client sent.
        var original: String {
            var lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)[...]
            while let first = lines.first, first.hasPrefix("Received:") || first.hasPrefix("\t") {
                lines = lines.dropFirst()
            }
            return lines.joined(separator: "\r\n")
        }
    }

    let port: Int
    private let home: TemporaryFolder
    private let process: Process

    init(_ dialect: Dialect) async throws {
        let home = try TemporaryFolder()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        process.arguments = ["-c", Self.script, dialect.rawValue, home.path]
        process.standardInput = FileHandle.nullDevice
        try TestCluster.withSignalsUnblocked { try process.run() }
        var text: String?
        for _ in 0..<1200 where text == nil {
            text = try? home.read("port")
            if text == nil { try await Task.sleep(for: .milliseconds(25)) }
        }
        port = try #require(text.flatMap { Int($0) }, "the server elsewhere does not start")
        self.home = home
        self.process = process
    }

    func stop() {
        process.terminate()
        process.waitUntilExit()
        home.remove()
    }

    /// From now on `later@…` has its mail.
    func open() throws { _ = try home.write("open", "") }

    /// It keeps the next text, and does not answer.
    func silenceNext() throws { _ = try home.write("silent", "") }

    /// It hangs up within the next text that is longer than a megabyte.
    func cutNext() throws { _ = try home.write("cut", "") }

    /// Whether a text came that was for nobody.
    var gotUnwanted: Bool { FileManager.default.fileExists(atPath: home.path + "/unwanted") }

    /// Whether it has.
    var hasCut: Bool { !FileManager.default.fileExists(atPath: home.path + "/cut") }

    /// SHA-256 of each text that it has said 250 for, from its subject on, in hexadecimal digits, by its recipient.
    func digests() async throws -> [String: [String]] {
        let script = """
            import glob, hashlib, sys
            for name in sorted(glob.glob(sys.argv[1] + "/message-*")):
                sender, recipient, text = open(name, "rb").read().split(b"\\n", 2)
                print(recipient.decode(), hashlib.sha256(text[text.index(b"Subject:"):]).hexdigest())
            """
        let outcome = try await Tree.python(["-c", script, home.path])
        var digests: [String: [String]] = [:]
        for line in outcome.outputText.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            digests[words[0], default: []].append(words[1])
        }
        return digests
    }

    /// Connections that came so far.
    var connections: Int {
        (try? FileManager.default.contentsOfDirectory(atPath: home.path))?.count { $0.hasPrefix("connection-") } ?? 0
    }

    private func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: home.path).filter { $0.hasPrefix("message-") }.sorted()
    }

    /// How many messages it has said 250 for.
    var count: Int { get throws { try names().count } }

    /// What it has said 250 for, in that order.
    func messages() throws -> [Message] {
        try names().map { name in
            let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(home.path)/\(name)")))
            let lines = bytes.split(separator: UInt8(ascii: "\n"), maxSplits: 2, omittingEmptySubsequences: false)
            return Message(
                sender: String(decoding: lines[0], as: UTF8.self), recipient: String(decoding: lines[1], as: UTF8.self),
                bytes: Array(lines[2]))
        }
    }

    /// Waits until it has so many.
    @discardableResult
    func waitFor(_ count: Int) async throws -> [Message] {
        for _ in 0..<1200 {
            let messages = try messages()
            if messages.count >= count { return messages }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw TestCluster.Failed(
            description: "the server elsewhere never got \(count) messages, but \(try messages().count)")
    }

    private static let script = """
        import os, re, socketserver, sys, threading
        dialect, home = sys.argv[1:]
        lock, counts = threading.Lock(), {"message": 0, "connection": 0}

        def count(what):
            with lock:
                counts[what] += 1
                return counts[what]

        def keep(sender, recipient, data):
            name = "message-%06d" % count("message")
            with open(f"{home}/.{name}", "wb") as file:
                file.write(sender + b"\\n" + recipient + b"\\n" + data)
            os.rename(f"{home}/.{name}", f"{home}/{name}")

        def ordered(what):
            with lock:
                if not os.path.exists(f"{home}/{what}"):
                    return False
                os.remove(f"{home}/{what}")
                return True

        def cuts(size):
            return size > 1 << 20 and ordered("cut")

        def verdict(recipient):
            if recipient.startswith(b"refused@"):
                return b"550 5.1.1 nobody of that name"
            if recipient.startswith(b"later@") and not os.path.exists(home + "/open"):
                return b"451 4.2.1 come again later"
            return b"250 2.1.5 fine"

        class SMTP(socketserver.StreamRequestHandler):
            def say(self, *lines):
                self.wfile.write(b"".join(line + b"\\r\\n" for line in lines))

            def handle(self):
                open(f"{home}/connection-{count('connection')}", "w").close()
                self.say(b"220 sink.test")
                sender, recipients = b"", []
                while line := self.rfile.readline():
                    word = line.strip()
                    verb = word.upper()
                    if verb.startswith((b"EHLO", b"LHLO")) and dialect != "plain":
                        more = [b"250-CHUNKING"] if dialect == "chunking" else []
                        self.say(b"250-sink.test", *more, b"250-PIPELINING", b"250 8BITMIME")
                    elif verb.startswith(b"HELO"):
                        self.say(b"250 sink.test")
                    elif verb.startswith(b"MAIL"):
                        sender, recipients = re.search(b"<(.*?)>", word)[1], []
                        self.say(b"250 2.1.0 fine")
                    elif verb.startswith(b"RCPT"):
                        recipient = re.search(b"<(.*?)>", word)[1]
                        answer = verdict(recipient)
                        if answer.startswith(b"250"):
                            recipients.append(recipient)
                        self.say(answer)
                    elif verb == b"DATA":
                        if not recipients:
                            self.say(b"554 5.5.1 no valid recipients")
                            continue
                        self.say(b"354 go on")
                        data = bytearray()
                        while (line := self.rfile.readline()) not in (b".\\r\\n", b""):
                            data += line[1:] if line.startswith(b".") else line
                            if cuts(len(data)):
                                return
                        if not line:
                            return
                        if not self.judge(sender, recipients, data):
                            return
                    elif verb.startswith(b"BDAT"):
                        size = int(verb.split()[1])
                        data = self.rfile.read(min(size, (1 << 20) + 1))
                        if cuts(len(data)):
                            return
                        data += self.rfile.read(size - len(data))
                        if recipients:
                            if not self.judge(sender, recipients, data):
                                return
                        else:
                            open(home + "/unwanted", "w").close()
                            self.say(b"554 5.5.1 no valid recipients")
                    elif verb == b"RSET":
                        self.say(b"250 2.0.0 fine")
                    elif verb == b"QUIT":
                        return self.say(b"221 2.0.0 bye")
                    else:
                        self.say(b"502 5.5.1 not here")

            def judge(self, sender, recipients, data):
                for recipient in recipients if dialect == "lmtp" else recipients[:1]:
                    if recipient.startswith(b"bounced@"):
                        self.say(b"554 5.7.1 not such a text")
                    else:
                        keep(sender, recipient, data)
                        if ordered("silent"):
                            return self.rfile.read() and False
                        self.say(b"250 2.0.0 taken")
                return True

        class QMTP(socketserver.StreamRequestHandler):
            def netstring(self):
                size = b""
                while (byte := self.rfile.read(1)) not in (b":", b""):
                    size += byte
                if not byte:
                    return None
                text = self.rfile.read(min(int(size), (1 << 20) + 1))
                if cuts(len(text)):
                    return None
                text += self.rfile.read(int(size) - len(text))
                assert self.rfile.read(1) == b","
                return text

            def handle(self):
                open(f"{home}/connection-{count('connection')}", "w").close()
                while (text := self.netstring()) is not None:
                    sender, recipients = self.netstring(), self.netstring()
                    assert text[:1] == b"\\r"
                    while recipients:
                        size, _, rest = recipients.partition(b":")
                        recipient, recipients = rest[:int(size)], rest[int(size) + 1:]
                        answer = verdict(recipient)
                        if answer.startswith(b"250"):
                            keep(sender, recipient, text[1:])
                            if ordered("silent"):
                                return self.rfile.read()
                        reply = {b"2": b"K", b"4": b"Z", b"5": b"D"}[answer[:1]] + answer
                        self.wfile.write(b"%d:%s," % (len(reply), reply))

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads, request_queue_size = True, True, 64

        server = Server(("127.0.0.1", 0), QMTP if dialect == "qmtp" else SMTP)
        with open(home + "/.port", "w") as file:
            file.write(str(server.server_address[1]))
        os.rename(home + "/.port", home + "/port")
        server.serve_forever()
        """
}
