import Mail
import POP3
import Testing

@Suite struct POP3BothSidesTests {
    @Test(
        "the client and the server of this module understand each other, lock-step and pipelined",
        arguments: [1, 3, 16])
    func conversation(ahead: Int) throws {
        var server = POP3TestServer(.node)
        server.world.entries = entries(40)
        server.world.gone = [7]
        let mailbox = try #require(MailboxName("a b+c@example.test"))
        let commands: [POP3ClientCommand] =
            [.xopen(mailbox, utf8: true, language: "en"), .capa, .stat, .uidl, .list]
            + (1...40).flatMap { [.retr($0), .top($0, lines: 1), .dele($0)] } + [.last, .quit]
        var client = POP3TestClient([])
        for start in stride(from: 0, to: commands.count, by: ahead) {
            for command in commands[start..<min(commands.count, start + ahead)] { client.session.send(command) }
            let replies = server.send(client.session.takeOutput())
            client.feed(Array(replies.utf8), piece: 17)
        }
        #expect(client.session.isIdle && server.isClosed)
        let refused = client.events.compactMap { event in
            if case .reply(let command, let reply) = event, !reply.isOK { command } else { nil }
        }
        #expect(refused == [.retr(8), .top(8, lines: 1)])
        #expect(client.lines.contains("40 id40") && client.lines.contains("40 4000"))
        #expect(client.text.split(separator: 10).count == 78)
        #expect(server.actions.first == .openMaildrop(POP3OpenRequest(mailbox: mailbox, utf8: true, language: "en")))
        #expect(server.actions.suffix(2) == [.deleteAndClose(Array(0..<40)), .close])
    }

    @Test("a session is small: thousands of them are idle at once")
    func size() {
        #expect(MemoryLayout<POP3ServerSession>.stride <= 1024)
        #expect(MemoryLayout<POP3ClientSession>.stride <= 256)
        #expect(MemoryLayout<POP3MessageEncoder>.stride <= 64)
    }
}
