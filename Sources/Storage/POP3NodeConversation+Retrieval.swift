import CoreMetrics
import Hops
import Logging
import Mail
import Maildirs
import POP3
import Wire

/// RETR and TOP: a message is compared with its name while it is read, and a damaged copy is mended before it is given.
extension POP3NodeConversation {
    /// True if it is written already.
    func send(_ position: Int, topLines: Int?, _ connection: Connection) -> Bool {
        guard let maildrop else { preconditionFailure("RETR without a maildrop") }
        ahead?.asked(position, next: session.nextRetrieval)
        return send(Retrieval(position: position, topLines: topLines), maildrop, connection)
    }

    private struct Retrieval {
        let position: Int
        let topLines: Int?
        /// Whether a damaged copy has been looked at for it.
        var isLookedAt = false
    }

    private func send(_ retrieval: Retrieval, _ maildrop: ShownMessages, _ connection: Connection) -> Bool {
        isWaiting = true
        guard let comparison = comparison(retrieval.position, maildrop) else {
            damaged("it was found damaged", retrieval, maildrop, connection)
            return false
        }
        if !maildrop.isWhole, let reader = readCached(retrieval.position, of: maildrop, comparing: comparison) {
            return start(reader, retrieval, maildrop, connection)
        }
        node.store.read(
            maildrop.index(at: retrieval.position), of: maildrop.snapshot, comparing: comparison,
            then: connection.completion { [self] result in
                guard connection.isOpen else { return }
                switch result {
                case .success(let reader?):
                    guard start(reader, retrieval, maildrop, connection) else { return }
                case .success(nil):
                    isWaiting = false
                    session.messageGone()
                case .failure(let error):
                    guard !error.isDamage else { return damaged("\(error)", retrieval, maildrop, connection) }
                    noteFailure("\(error)", retrieval, maildrop)
                    isWaiting = false
                    session.messageFailed()
                }
                run(connection)
            })
        return false
    }

    /// True if it is written already.
    private func start(
        _ reader: MessageReader, _ retrieval: Retrieval, _ maildrop: ShownMessages, _ connection: Connection
    ) -> Bool {
        if let damage = reader.damage {
            reader.close()
            damaged("\(damage)", retrieval, maildrop, connection)
            return false
        }
        session.messageFound(octets: maildrop.octets(at: retrieval.position))
        var isInside = true
        sending = MessageSending(
            head: session.takeOutput(), reader: reader, encoder: POP3MessageEncoder(topLines: retrieval.topLines),
            connection: connection
        ) { [self] whole in
            sending = nil
            guard whole else {
                // Half a message is out: only the end of the connection says so.
                noteFailure(reader.damage.map { "\($0)" } ?? "it broke off", retrieval, maildrop)
                let suspect = suspect(retrieval.position, maildrop)
                if reader.damage != nil { node.mender.noteDamaged(suspect) }
                // Two nodes that mend for each other would never end.
                if !maildrop.isWhole { Task { [mender = node.mender] in await mender.mend(suspect) } }
                return connection.abort()
            }
            isWaiting = false
            node.metrics.messagesRetrieved.increment()
            session.messageSent()
            if !isInside { run(connection) }
        }
        sending?.goOn()
        isInside = false
        return !isWaiting
    }

    /// Nothing of it is out yet: another owner's copy may take its place, and is what the client gets. Another node hears that it
    /// is damaged: it may be mending its own.
    private func damaged(
        _ why: String, _ retrieval: Retrieval, _ maildrop: ShownMessages, _ connection: Connection
    ) {
        noteFailure(why, retrieval, maildrop)
        perform(connection) { [mender = node.mender, suspect = suspect(retrieval.position, maildrop)] in
            if retrieval.isLookedAt { return CopyMender.Outcome.later }
            return maildrop.isWhole ? await mender.look(at: suspect) : await mender.mend(suspect)
        } then: { [self] outcome in
            guard connection.isOpen else { return }
            var again = retrieval
            again.isLookedAt = true
            switch outcome {
            case .mended: _ = send(again, maildrop, connection)
            case .left where maildrop.isWhole: session.messageDamaged()
            case .left where comparison(retrieval.position, maildrop) != nil: _ = send(again, maildrop, connection)
            case .left, .later: session.messageFailed()
            }
        }
    }

    private func noteFailure(_ why: String, _ retrieval: Retrieval, _ maildrop: ShownMessages) {
        node.metrics.storeErrors.increment()
        log.error(
            "message cannot be read",
            metadata: ["message": "\(maildrop.uidl(at: retrieval.position))", "reason": "\(why)"])
    }

    /// A message that is in memory.
    func readCached(
        _ position: Int, of maildrop: ShownMessages, comparing comparison: CopyComparison
    ) -> MessageReader? {
        readings += 1
        if readings == 2 { folder = node.store.openMailbox(of: maildrop.snapshot) }
        return node.store.readCached(
            maildrop.index(at: position), of: maildrop.snapshot, in: folder, comparing: comparison)
    }

    /// How far a message is compared while it is read; nil if it is to be looked at first.
    func comparison(_ position: Int, _ maildrop: ShownMessages) -> CopyComparison? {
        switch node.mender.knowledge(of: suspect(position, maildrop)) {
        case nil: maildrop.isWhole ? .all : .octets
        // What goes on to other servers would not be known there to be damaged.
        case .left? where !maildrop.isWhole && RelayQueue(maildrop.snapshot.mailbox) == nil: CopyComparison.none
        case .left?, .damaged?: nil
        }
    }

    private func suspect(_ position: Int, _ maildrop: ShownMessages) -> CopyMender.Suspect {
        CopyMender.Suspect(
            key: maildrop.snapshot.key,
            uidl: maildrop.uidl(at: position))
    }
}
