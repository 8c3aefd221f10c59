package import NIOCore
package import Wire

/// Gives a relay's client the answers that its node sent ahead.
package final class ReadAheadShortcut: RelayShortcut {
    private var ahead = AnswersAhead()
    private var dropsLater = false
    private let answered: () -> Void
    private let broke: (String) -> Void

    /// - Parameters:
    ///   - answered: told of each of the client's commands that is answered here.
    ///   - broke: told what the node did wrong, if it does; the session ends with it.
    package init(answered: @escaping () -> Void, broke: @escaping (String) -> Void) {
        self.answered = answered
        self.broke = broke
    }

    package func answers(_ client: Connection, insteadOf server: Connection) -> Bool {
        // The end of the session is the node's to hear, and nothing may overtake what it said.
        guard ahead.isSettled, server.unread.readableBytes == 0, client.isWritable, server.isWritable,
            let answer = ahead.answer(to: client.unread, at: .now())
        else { return false }
        client.consume(client.unread.readableBytes)
        client.write(answer)
        client.flush()
        answered()
        if let note = ahead.dueNote() { tell(server, note) }
        return true
    }

    package func forwards(_ bytes: ByteBuffer, to server: Connection) {
        if let note = ahead.forward(bytes) { tell(server, note) }
    }

    package func noted(_ note: ByteBuffer, from server: Connection) {
        if let why = ahead.take(note, at: .now()) {
            broke(why)
            return server.abort()
        }
        dropLater(server)
    }

    private func tell(_ server: Connection, _ note: ByteBuffer) {
        server.send(note: note)
        server.flush()
    }

    /// What the client does not ask for in time is let go.
    private func dropLater(_ server: Connection) {
        guard !dropsLater, !ahead.isEmpty else { return }
        dropsLater = true
        server.after(AnswersAhead.lifetime) { [weak self, weak server] in
            guard let self, let server, server.isOpen else { return }
            dropsLater = false
            ahead.dropStale(at: .now())
            dropLater(server)
        }
    }
}
