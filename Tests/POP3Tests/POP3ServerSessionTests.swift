import Mail
import POP3
import SASL
import Testing

@Suite struct POP3ServerSessionTests {
    @Test("RFC 2449 §6.6: what is pipelined behind a command that waits stays unread")
    func pipelined() throws {
        var session = POP3ServerSession(
            settings: POP3ServerSettings(hostname: "h", service: .frontend), nonce: "0123456789abcdefghij", seconds: 1)
        session.opened()
        var unread = Array("USER alice\r\nPASS secret\r\nSTAT\r\n".utf8)
        for action in [
            POP3ServerSession.Action.proceed, .authenticate(.password(user: "alice", password: "secret")),
        ] {
            let step = unread.withUnsafeBytes { session.receive($0) }
            #expect(step.action == action)
            unread.removeFirst(step.consumed)
        }
        #expect(unread == Array("STAT\r\n".utf8))
        session.authenticationAnswered(.user(try alice()), nonce: "")
        let step = unread.withUnsafeBytes { session.receive($0) }
        let request = POP3OpenRequest(mailbox: try alice().mailbox, address: try alice().address)
        #expect(step == .init(consumed: 0, action: .openMaildrop(request)))
        session.maildropOpened()
        #expect(String(decoding: session.takeOutput(), as: UTF8.self).hasSuffix("+OK maildrop ready\r\n"))
    }

    @Test("another site may log in elsewhere, but has no maildrop")
    func site() throws {
        var session = POP3ServerSession(
            settings: POP3ServerSettings(hostname: "h", service: .frontend), nonce: "0123456789abcdefghij", seconds: 1)
        session.opened()
        var unread = Array("USER b@site.invalid\r\nPASS secret\r\nSTAT\r\n".utf8)
        for _ in 0..<2 { unread.removeFirst(unread.withUnsafeBytes { session.receive($0) }.consumed) }
        _ = session.takeOutput()
        session.authenticationAnswered(.user(try #require(AuthenticatedUser(site: "b"))), nonce: "")
        let step = unread.withUnsafeBytes { session.receive($0) }
        #expect(step.action == .proceed)
        #expect(String(decoding: session.takeOutput(), as: UTF8.self).hasPrefix("-ERR [AUTH] "))
    }

    @Test("LIST and UIDL of 100,000 messages are made in pieces of at most about 64 KiB")
    func largeListing() {
        var server = POP3TestServer.opened(entries(100_000))
        for command in ["LIST", "UIDL"] {
            let listing = server.send("\(command)\r\n")
            #expect(listing.split(separator: "\r\n").count == 100_002)
            #expect(listing.hasSuffix("\r\n.\r\n"))
        }
        #expect(server.largestOutput < 66_000)
        #expect(server.actions.count { $0 == .flushOutput } > 20)
    }

    @Test("short commands by the thousand are flushed in pieces too")
    func floodOfCommands() {
        var server = POP3TestServer.opened(entries(3)) { $0.limits.outputBytesMax = 1000 }
        let replies = server.send(String(repeating: "STAT\r\n", count: 5000))
        #expect(replies == String(repeating: "+OK 3 600\r\n", count: 5000))
        #expect(server.largestOutput < 1100)
    }

    @Test("a command line of 255 octets is taken, one of 256 is refused, and the next one is read (RFC 2449 §4)")
    func lineLimit() {
        for pieces in [1, 7, 1000] {
            var server = POP3TestServer.opened([])
            let longest = "NOOP" + String(repeating: " ", count: 249) + "\r\n"
            #expect(server.send(inPiecesOf: pieces, longest) == "+OK\r\n")
            #expect(server.send(inPiecesOf: pieces, " " + longest) == "-ERR line too long\r\n")
            let endless = String(repeating: "x", count: 100_000) + "\r\nSTAT\r\n"
            #expect(server.send(inPiecesOf: pieces, endless) == "-ERR line too long\r\n+OK 0 0\r\n")
            #expect(server.unread.isEmpty)
        }
    }

    @Test("only CRLF ends a line, and no line holds a bare CR or a NUL")
    func lineEnds() {
        var server = POP3TestServer.opened([])
        #expect(server.send("STAT\n").hasPrefix("-ERR a line ends with CRLF"))
        #expect(server.send("STAT\r\r\n").hasPrefix("-ERR a line holds neither"))
        #expect(server.send("ST\0AT\r\n").hasPrefix("-ERR a line holds neither"))
        #expect(server.send("STAT\r\n") == "+OK 0 0\r\n")
    }

    @Test("whatever text a refusal is given, it stays one line of at most 512 octets (RFC 2449 §4)")
    func textsOfOthers() {
        var session = POP3ServerSession(
            settings: POP3ServerSettings(hostname: "h", service: .node), nonce: "0123456789abcdefghij", seconds: 1)
        let step = Array("XOPEN a@b\r\n".utf8).withUnsafeBytes { session.receive($0) }
        #expect(step.action != .needBytes)
        session.maildropFailed(temporary: false, "no\r\n+OK \u{85}" + String(repeating: "ü", count: 1000))
        let reply = String(decoding: session.takeOutput(), as: UTF8.self)
        #expect(reply.hasPrefix("-ERR [SYS/PERM] no  +OK  üü") && reply.hasSuffix("ü\r\n"))
        #expect(reply.utf8.count <= 512 && reply.utf8.count > 480)
    }

    @Test("a client that makes too many mistakes is sent away")
    func errorsMax() {
        var server = POP3TestServer.opened([]) { $0.limits.errorsMax = 3 }
        let replies = server.send(String(repeating: "XYZZY\r\n", count: 10))
        #expect(replies.split(separator: "\r\n").count == 4)
        #expect(replies.hasSuffix("-ERR too many errors\r\n"))
        #expect(server.isClosed)
    }

    @Test("a client that guesses passwords is sent away")
    func loginFailuresMax() {
        var server = POP3TestServer(.frontend) { $0.limits.loginFailuresMax = 2 }
        let replies = server.send(String(repeating: "USER a\r\nPASS b\r\n", count: 5))
        #expect(replies.split(separator: "\r\n").count { $0.hasPrefix("-ERR [AUTH]") } == 2)
        #expect(server.isClosed)
    }

    @Test("a message that cannot be read now is a temporary fault of the server (RFC 3206 §4), and stays")
    func unreadable() {
        var server = POP3TestServer.opened(entries(2))
        server.world.unreadable = [0]
        server.world.gone = [1]
        #expect(server.send("RETR 1\r\n") == "-ERR [SYS/TEMP] message cannot be read now\r\n")
        #expect(server.send("RETR 2\r\n") == "-ERR message was removed by another session\r\n")
        server.world = .init()
        #expect(server.send("RETR 1\r\nSTAT\r\n") == "+OK 5 octets\r\nbody0\r\n.\r\n+OK 2 300\r\n")
    }

    @Test("what is not the client's fault is no mistake of it: deletions survive any number of messages that are gone")
    func unreadableOften() {
        var server = POP3TestServer.opened(entries(3)) { $0.limits.errorsMax = 2 }
        server.world.gone = [0]
        server.world.unreadable = [1]
        _ = server.send("DELE 3\r\n")
        let replies = server.send(String(repeating: "RETR 1\r\nTOP 2 0\r\n", count: 20))
        #expect(replies.split(separator: "\r\n").count == 40)
        #expect(!replies.contains("too many"))
        #expect(server.send("QUIT\r\n").hasPrefix("+OK"))
        #expect(server.actions.last == .close && server.actions.contains(.deleteAndClose([2])))
    }

    @Test("a directory or a maildrop that cannot be had is no mistake of the client, however often it tries")
    func outageOften() throws {
        for answer in [AuthenticationAnswer.unavailable(.unexpected), .user(try alice())] {
            var server = POP3TestServer(.frontend) { ($0.limits.errorsMax, $0.limits.loginFailuresMax) = (1, 1) }
            server.world.answer = answer
            server.world.entries = nil
            _ = server.send("")
            for _ in 0..<10 { #expect(server.send("USER a\r\nPASS b\r\n").contains("-ERR [SYS/TEMP]")) }
            #expect(!server.isClosed)
        }
    }

    @Test("a session tells when it has come to TRANSACTION, where longer idle times apply (RFC 1939 §3)")
    func inTransaction() throws {
        var node = POP3TestServer(.node)
        #expect(!node.session.isInTransaction)
        _ = node.send("XOPEN alice@example.test\r\n")
        #expect(node.session.isInTransaction)
        _ = node.send("QUIT\r\n")
        #expect(!node.session.isInTransaction)
        var frontend = POP3TestServer(.frontend)
        frontend.world.answer = .user(try alice())
        _ = frontend.send("USER alice\r\nPASS secret\r\n")
        #expect(frontend.session.isInTransaction)
    }

    @Test("an exchange is under way from AUTH to its end, however it ends")
    func authenticating() {
        var server = POP3TestServer(.frontend)
        #expect(!server.session.isAuthenticating)
        for ending in ["*", "!", "AGEAYg=="] {
            _ = server.send("AUTH PLAIN\r\n")
            #expect(server.session.isAuthenticating)
            #expect(server.send("\(ending)\r\n").hasPrefix("-ERR"))
            #expect(!server.session.isAuthenticating)
        }
    }

    /// Lets a client log in by SCRAM up to its proof, and gives the line that carries it.
    private func proof(_ server: inout POP3TestServer, user: String, password: String) throws -> String {
        var client = SASLClientExchange(mechanism: .scramSHA256, user: user, password: password, nonce: "rOprNGfwEb")
        let first = Base64.encode(client.initialResponse() ?? [])
        let reply = server.send("AUTH SCRAM-SHA-256 \(first)\r\n")
        let challenge = try #require(Base64.decode(reply.dropFirst(2).dropLast().utf8), "\(reply)")
        guard case .respond(let response) = client.receive(challenge) else { return "*\r\n" }
        return Base64.encode(response) + "\r\n"
    }

    @Test("each SCRAM proof is told by an action of its own, with the user whose it is, whatever follows")
    func proofsAreTold() throws {
        let outcomes = POP3TestServer.proofs
        var server = POP3TestServer(.frontend)
        _ = server.send("")
        server.world.answer = .credentials(SCRAMCredentials(password: "pencil", salt: Array(0..<16)), try alice())
        for _ in 0..<2 { _ = server.send(try proof(&server, user: "victim", password: "guess")) }
        #expect(outcomes(server) == [SASLProof(user: "victim", isRight: false), .init(user: "victim", isRight: false)])
        _ = server.send(try proof(&server, user: "alice", password: "pencil"))
        #expect(outcomes(server).last == SASLProof(user: "alice", isRight: true), "told before the client's last word")
        #expect(server.actions.last == .proofChecked(SASLProof(user: "alice", isRight: true)))
        _ = server.send("\r\n")
        #expect(outcomes(server).count == 3)
        #expect(server.session.isInTransaction)
    }

    @Test("a SCRAM proof that would log nobody in is a wrong one, and a cancelled exchange has none")
    func proofsOfNobody() throws {
        var server = POP3TestServer(.frontend)
        _ = server.send("")
        server.world.answer = .credentials(SCRAMCredentials(password: "pencil", salt: Array(0..<16)), nil)
        _ = server.send(try proof(&server, user: "nobody", password: "pencil"))
        #expect(POP3TestServer.proofs(server) == [SASLProof(user: "nobody", isRight: false)])
        _ = server.send("*\r\n")
        _ = try proof(&server, user: "nobody", password: "pencil")
        _ = server.send("*\r\n")
        #expect(POP3TestServer.proofs(server).count == 1)
    }

    @Test("what comes behind a SCRAM message before its challenge ends the session unread")
    func haste() throws {
        for message in ["AUTH SCRAM-SHA-256\r\n", "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9YWJj\r\n"] {
            var server = POP3TestServer(.frontend)
            _ = server.send("")
            #expect(server.send(message + "x").hasPrefix("-ERR nothing may be sent before the challenge"))
            #expect(server.isClosed && server.actions == [.close])
        }
        var server = POP3TestServer(.frontend)
        _ = server.send("")
        server.world.answer = .credentials(SCRAMCredentials(password: "pencil", salt: Array(0..<16)), try alice())
        let line = try proof(&server, user: "alice", password: "pencil")
        #expect(server.send(line + "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9YWJj\r\n").hasPrefix("-ERR nothing may be"))
        #expect(server.isClosed && POP3TestServer.proofs(server).isEmpty)
    }

    @Test("a frontend takes 255 octets before login and refuses 256, and a node takes an XOPEN of 4,096 (RFC 2449 §4)")
    func lineLimitsBeforeLogin() {
        for pieces in [1, 7, 10_000] {
            var frontend = POP3TestServer(.frontend)
            _ = frontend.send("")
            let user = "USER " + String(repeating: "u", count: 248) + "\r\n"
            #expect(frontend.send(inPiecesOf: pieces, user) == "+OK send PASS\r\n")
            #expect(frontend.send(inPiecesOf: pieces, "USER u" + user.dropFirst(5)) == "-ERR line too long\r\n")
            for (octets, reply) in [(4096, "+OK 0 messages"), (4097, "-ERR line too long\r\n")] {
                var node = POP3TestServer(.node)
                _ = node.send("")
                let line = "XOPEN a@example.test UTF8" + String(repeating: " ", count: octets - 27) + "\r\n"
                #expect(node.send(inPiecesOf: pieces, line).hasPrefix(reply))
            }
        }
    }

    @Test("RFC 5034 §4: a right SCRAM proof opens the mailbox of its user, and one that belongs to nobody opens none")
    func scram() throws {
        let alice = try alice()
        for user in [alice, nil] {
            var server = POP3TestServer(.frontend)
            server.world.answer = .credentials(SCRAMCredentials(password: "pencil", salt: Array(0..<16)), user)
            var client = SASLClientExchange(
                mechanism: .scramSHA256, user: "alice", password: "pencil", nonce: "rOprNGfwEbeRWgbNEkqO")
            _ = server.send("")
            var reply = server.send("AUTH SCRAM-SHA-256\r\n")
            while reply.hasPrefix("+ ") {
                let challenge = try #require(Base64.decode(reply.dropFirst(2).dropLast().utf8))
                guard case .respond(let response) = client.receive(challenge) else { break }
                reply = server.send("\(Base64.encode(response))\r\n")
            }
            #expect(reply == (user == nil ? "-ERR [AUTH] wrong user name or password\r\n" : "+OK maildrop ready\r\n"))
            #expect(client.isServerVerified)
        }
    }

    @Test("RFC 1939 §3: a session that timed out closes without a word and deletes nothing, whatever is still owed")
    func timedOut() {
        var server = POP3TestServer.opened(entries(2))
        _ = server.send("DELE 1\r\n")
        server.session.timedOut()
        #expect(server.send("QUIT\r\n").isEmpty)
        #expect(server.actions == [.close])

        var session = POP3ServerSession(
            settings: POP3ServerSettings(hostname: "h", service: .frontend), nonce: "0123456789abcdefghij", seconds: 1)
        var unread = Array("USER a\r\nPASS b\r\n".utf8)
        for _ in 0..<2 { unread.removeFirst(unread.withUnsafeBytes { session.receive($0) }.consumed) }
        session.timedOut()
        session.authenticationAnswered(.rejected, nonce: "")
        #expect(session.receive(UnsafeRawBufferPointer(start: nil, count: 0)).action == .close)
        #expect(session.takeOutput().isEmpty)
    }

    @Test("however a conversation is cut into pieces, the replies are the same")
    func anyPieces() {
        let conversation = """
            XOPEN alice@example.test UTF8 LANG=en\r\nSTAT\r\nLIST\r\nUIDL\r\nUIDL 2\r\nRETR 1\r\nTOP 2 0\r\nDELE 2\r
            RETR 2\r\nLAST\r\nLANG\r\nCAPA\r\nRSET\r\nNOOP\r\nBOGUS\r\nSTAT\nDELE 3\r\nQUIT\r\n
            """
        func replies(piece: Int) -> String {
            var server = POP3TestServer(.node) { $0.limits.outputBytesMax = 64 }
            server.world.entries = entries(5)
            return server.send(inPiecesOf: piece, conversation)
        }
        let whole = replies(piece: 10_000)
        for piece in 1...60 { #expect(replies(piece: piece) == whole) }
    }
}

extension POP3TestServer {
    /// What the session told of SCRAM proofs, in order.
    static func proofs(_ server: POP3TestServer) -> [SASLProof] {
        server.actions.compactMap { action in
            if case .proofChecked(let proof) = action { proof } else { nil }
        }
    }

    mutating func send(inPiecesOf size: Int, _ text: String) -> String {
        let bytes = Array(text.utf8)
        var replies = ""
        for start in stride(from: 0, to: bytes.count, by: size) {
            replies += send(Array(bytes[start..<min(bytes.count, start + size)]))
        }
        return replies
    }
}
