import CoreMetrics
import Hops
import Logging
import Mail
import Maildirs
import Membership
import NIOCore
import POP3
import Wire

/// Drives one POP3 session on a storage node: a frontend opens the mailbox, then the client itself speaks.
final class POP3NodeConversation: Conversation {
    let node: StorageContext
    var session: POP3ServerSession
    private(set) var log: Logger
    private let census: ConnectionCensus
    var isWaiting = false
    private var isRunning = false
    /// The connection carries streams now, and is no longer this conversation's.
    private var isOver = false
    private var mailbox: MailboxName?
    /// Whether the mailbox counts as open.
    private var isCounted = false
    private(set) var maildrop: ShownMessages?
    private var snapshot: MaildropSnapshot? { maildrop?.snapshot }
    var sending: MessageSending?
    /// Messages that were read in this round, and their folder from the second one on.
    var readings = 0
    var folder: OpenMailbox?
    /// What was answered before it was asked; nil where nobody takes such answers.
    var ahead: AheadWindow?

    /// - Parameter census: where sessions count that share a connection.
    init(node: StorageContext, connection: Connection, census: ConnectionCensus) {
        let sessions = node.sessions
        self.node = node
        self.census = census
        session = POP3ServerSession(settings: sessions.pop3, nonce: "", seconds: 0)
        log = node.log
        connection.setTimes(sessions.pop3Times)
    }

    func opened(_ connection: Connection) {
        node.metrics.pop3Connections.increment()
        session.opened()
        run(connection)
    }

    func received(_ connection: Connection) { run(connection) }

    func writable(_ connection: Connection) {
        if let sending { sending.goOn() } else { run(connection) }
    }

    /// The frontend keeps the client's time; this is for frontends that died without a word.
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {
        session.timedOut()
        connection.abort()
    }

    func draining(_ connection: Connection) {
        guard mailbox == nil else { return }
        session.timedOut()
        connection.close()
    }

    func closed(_ reason: ConnectionEnd) {
        sending?.stop()
        sending = nil
        if let mailbox, isCounted {
            node.openMailboxes.closed(mailbox)
            node.queueSessions.closed(mailbox)
        }
        log.debug("session closed", metadata: ["reason": "\(reason)"])
    }

    func run(_ connection: Connection) {
        // What flushing makes writable again is gone on with below.
        guard !isRunning else { return }
        isRunning = true
        var goesOn = true
        var flushes = 0
        repeat {
            while goesOn, !isWaiting, connection.isOpen, connection.isWritable {
                let step = connection.unread.withUnsafeReadableBytes { session.receive($0) }
                connection.consume(step.consumed)
                if step.consumed > 0 { connection.madeProgress() }
                ahead?.heard &+= UInt32(truncatingIfNeeded: step.consumed)
                goesOn = carryOut(step.action, connection)
            }
            guard !isOver else { return }
            writeOutput(connection)
            if !goesOn, !isWaiting { readAhead(connection) }
            flushes += 1
            goesOn = goesOn && !isWaiting && connection.isOpen && connection.isWritable
        } while goesOn && flushes < Self.flushesMax
        isRunning = false
        endRound()
        connection.wantsBytes = !isWaiting && connection.isWritable
        // Whoever pipelines a thousand commands takes turns with the others.
        if goesOn { connection.afterPolling { [self] in run(connection) } }
    }

    /// An idle session keeps no folder open.
    func endRound() {
        readings = 0
        folder = nil
    }

    /// How often a client that takes all that it asked for may have more at once.
    private static let flushesMax = 4

    /// Has `work` done while the session waits, and tells the session what came of it.
    func perform<Value: Sendable>(
        _ connection: Connection, _ work: @escaping @Sendable () async -> Value, then tell: @escaping (Value) -> Void
    ) {
        isWaiting = true
        connection.perform(work) { [self] value in
            isWaiting = false
            tell(value)
            run(connection)
        }
    }

    private func writeOutput(_ connection: Connection) {
        connection.write(session.takeOutput())
        connection.flush()
    }

    /// Does what the session says. False when it has nothing more to do for now.
    private func carryOut(_ action: POP3ServerSession.Action, _ connection: Connection) -> Bool {
        switch action {
        case .proceed:
            return true
        case .flushOutput:
            writeOutput(connection)
            return true
        case .needBytes:
            if connection.inputEnded { connection.close() }
            return false
        case .openMaildrop(let request):
            return open(request, connection)
        case .digest(let mailbox):
            digest(mailbox, connection)
        case .drain(let mailbox, let asker):
            drain(mailbox, to: asker, connection)
        case .relayed(let position, let refusal):
            noteRelayed(position, refusal, connection)
        case .flush(let relay):
            flush(relay, connection)
        case .status(let site):
            if let site { status(ofSite: site, connection) } else { status(connection) }
        case .listPartition(let partition, let digest):
            list(partition, unless: digest, connection)
        case .repair(let scope):
            repair(scope, connection)
        case .order(let order, let site):
            carryOut(order, ofSite: site, connection)
        case .beginStreams:
            return !beginStreams(connection)
        case .listTombstones:
            session.tombstonesListed(snapshot?.tombstoneNames ?? [])
            return true
        case .readTombstone(let name):
            readTombstone(name, connection)
        case .sendMessage(let index, let topLines):
            return send(index, topLines: topLines, connection)
        case .deleteAndClose(let positions):
            delete(positions, connection)
        case .close:
            connection.write(session.takeOutput())
            connection.close()
            return false
        case .authenticate, .proofChecked, .startTLS:
            preconditionFailure("a storage node's POP3 session asked for \(action)")
        }
        // What was refused at once is answered already.
        return !isWaiting
    }

    /// True if from now on streams have the connection.
    private func beginStreams(_ connection: Connection) -> Bool {
        guard !connection.isStream else {
            session.replicaFailed("a stream carries no streams")
            return false
        }
        session.streamsBegin()
        writeOutput(connection)
        isOver = true
        let sessions = SharedConnection.Acceptor(census: census, refusal: Self.refusal) { [node, census] stream in
            POP3NodeConversation(node: node, connection: stream, census: census)
        }
        SharedConnection(
            eventLoop: connection.eventLoop, idleTimeout: node.sessions.pop3Times.idle, acceptor: sessions
        ).begin(on: connection)
        return true
    }

    /// What a peer hears that makes one connection too many.
    static func refusal(_ reason: ConnectionRefusal) -> String { "-ERR [SYS/TEMP] too many connections\r\n" }

    /// True if it is open, or refused, already.
    private func open(_ request: POP3OpenRequest, _ connection: Connection) -> Bool {
        isWaiting = true
        mailbox = request.mailbox
        log[metadataKey: "mailbox"] = "\(request.mailbox)"
        guard !request.isLocal else {
            list(request.mailbox, isWhole: true, connection)
            return false
        }
        if RelayQueue(request.mailbox) != nil, !node.queueSessions.open(request.mailbox) {
            isWaiting = false
            mailbox = nil
            session.maildropFailed(temporary: true, "the queue is being fetched already")
            return true
        }
        if request.takesAhead, connection.isStream { ahead = AheadWindow() }
        node.openMailboxes.opened(request.mailbox)
        isCounted = true
        guard !node.replicator.opensAlone else { return listForClient(request.mailbox, connection) }
        connection.perform { [replicator = node.replicator] in
            await replicator.prepareOpening(request.mailbox)
        } then: { [self] isWhole in
            guard connection.isOpen else { return }
            if !isWhole {
                isWaiting = false
                session.maildropFailed(temporary: true, "this copy of the mailbox is not complete")
                run(connection)
            } else if listForClient(request.mailbox, connection) {
                run(connection)
            }
        }
        return false
    }

    /// True if that is done already.
    private func listForClient(_ mailbox: MailboxName, _ connection: Connection) -> Bool {
        guard let snapshot = node.store.openCached(mailbox, partition: node.partition(of: mailbox)) else {
            list(mailbox, isWhole: false, connection)
            return false
        }
        isWaiting = false
        show(ShownMessages(snapshot, isWhole: false))
        return true
    }

    private func show(_ maildrop: ShownMessages) {
        self.maildrop = maildrop
        log.debug("maildrop opened", metadata: ["messages": "\(maildrop.count)"])
        session.maildropOpened(maildrop)
    }

    /// - Parameter isWhole: for another node, with what clients do not see.
    private func list(_ mailbox: MailboxName, isWhole: Bool, _ connection: Connection) {
        let partition = node.partition(of: mailbox)
        let listed = connection.completion { [self] (result: Result<MaildropSnapshot, MaildirError>) in
            isWaiting = false
            switch result {
            case .success(let snapshot):
                show(ShownMessages(snapshot, isWhole: isWhole))
            case .failure(let error):
                log.error("maildrop cannot be opened", metadata: ["error": "\(error)"])
                node.metrics.storeErrors.increment()
                session.maildropFailed(temporary: true, "the mailbox cannot be opened now")
            }
            run(connection)
        }
        if isWhole {
            node.store.openDurably(mailbox, partition: partition, then: listed)
        } else {
            node.store.open(mailbox, partition: partition, then: listed)
        }
    }

    private func readTombstone(_ name: MessageIdentity, _ connection: Connection) {
        guard let snapshot else { preconditionFailure("XGONE without a maildrop") }
        isWaiting = true
        node.store.tombstone(
            name, of: snapshot,
            then: connection.completion { [self] result in
                isWaiting = false
                switch result {
                case .success(let tombstone): session.tombstoneRead(tombstone?.lines)
                case .failure(let error):
                    log.error("tombstone cannot be read", metadata: ["error": "\(error)"])
                    session.replicaFailed("the tombstone cannot be read now")
                }
                run(connection)
            })
    }

    private func delete(_ positions: [Int], _ connection: Connection) {
        guard let maildrop, let snapshot else { preconditionFailure("QUIT deletes without a maildrop") }
        isWaiting = true
        let sites = node.sites.spools(snapshot.mailbox, at: .origin)
        node.store.delete(
            positions.map(maildrop.index), of: snapshot, sites: sites,
            then: connection.completion { [self] result in
                switch result {
                case .success(let outcome):
                    node.replicator.noteSpooled(
                        snapshot.key, for: sites)
                    log.debug(
                        "messages deleted", metadata: ["count": "\(positions.count)", "left": "\(outcome.failures)"])
                    return replicate(outcome, connection)
                case .failure(let error):
                    log.error("messages cannot be deleted", metadata: ["error": "\(error)"])
                    node.metrics.storeErrors.increment()
                    isWaiting = false
                    session.deleted(failures: positions.count)
                }
                run(connection)
            })
    }

    /// The other owners hear of the deletion before the client hears +OK.
    private func replicate(_ outcome: DeletionOutcome, _ connection: Connection) {
        guard let mailbox else { preconditionFailure("QUIT deletes without a mailbox") }
        perform(connection) { [replicator = node.replicator] in
            await replicator.replicate(outcome.tombstones, of: mailbox)
        } then: { [self] isSafe in
            if !isSafe { log.error("too few nodes know of a deletion") }
            session.deleted(failures: outcome.failures + (isSafe ? 0 : 1))
        }
    }
}

/// A session lists the store's own snapshot: a large mailbox is not copied for it.
extension ShownMessages: MaildropEntries {}
