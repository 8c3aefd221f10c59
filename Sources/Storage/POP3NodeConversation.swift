import CoreMetrics
import Logging
import Mail
import Maildirs
import NIOCore
import POP3
import Wire

/// Drives one POP3 session on a storage node: a frontend opens the mailbox, then the client itself speaks.
final class POP3NodeConversation: Conversation {
    private let node: StorageContext
    private var session: POP3ServerSession
    private var log: Logger
    private var waiting = false
    private var mailbox: MailboxName?
    private var snapshot: MaildropSnapshot?
    private var sending: MessageSending?

    init(node: StorageContext, connection: Connection) {
        let sessions = node.sessions
        self.node = node
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
    func tlsStarted(_ connection: Connection) {}

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
        log.debug("session closed", metadata: ["reason": "\(reason)"])
    }

    private func run(_ connection: Connection) {
        var goesOn = true
        while goesOn, !waiting, connection.isOpen, connection.isWritable {
            let step = connection.unread.withUnsafeReadableBytes { session.receive($0) }
            connection.consume(step.consumed)
            if step.consumed > 0 { connection.madeProgress() }
            goesOn = carryOut(step.action, connection)
        }
        writeOutput(connection)
        connection.wantsBytes = !waiting && connection.isWritable
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
            open(request.mailbox, connection)
        case .sendMessage(let index, _, let topLines):
            send(index, topLines: topLines, connection)
        case .deleteAndClose(let positions):
            delete(positions, connection)
        case .close:
            connection.write(session.takeOutput())
            connection.close()
            return false
        case .authenticate, .startTLS:
            preconditionFailure("a storage node's POP3 session asked for \(action)")
        }
        return false
    }

    private func open(_ mailbox: MailboxName, _ connection: Connection) {
        waiting = true
        self.mailbox = mailbox
        log[metadataKey: "mailbox"] = "\(mailbox)"
        let partition = node.partition(of: mailbox)
        node.store.open(
            mailbox, partition: partition,
            then: connection.completion { [self] result in
                waiting = false
                switch result {
                case .success(let snapshot):
                    self.snapshot = snapshot
                    log.debug("maildrop opened", metadata: ["messages": "\(snapshot.count)"])
                    session.maildropOpened(snapshot)
                case .failure(let error):
                    log.error("maildrop cannot be opened", metadata: ["error": "\(error)"])
                    node.metrics.storeErrors.increment()
                    session.maildropFailed(temporary: true, "the mailbox cannot be opened now")
                }
                run(connection)
            })
    }

    private func send(_ index: Int, topLines: Int?, _ connection: Connection) {
        guard let snapshot else { preconditionFailure("RETR without a maildrop") }
        waiting = true
        node.store.read(
            index, of: snapshot,
            then: connection.completion { [self] result in
                switch result {
                case .success(let reader?):
                    start(reader, octets: snapshot.octets(at: index), topLines: topLines, connection)
                case .success(nil):
                    waiting = false
                    session.messageGone()
                    run(connection)
                case .failure(let error):
                    waiting = false
                    log.error("message cannot be read", metadata: ["error": "\(error)"])
                    node.metrics.storeErrors.increment()
                    session.messageFailed()
                    run(connection)
                }
            })
    }

    private func start(_ reader: MessageReader, octets: Int, topLines: Int?, _ connection: Connection) {
        guard connection.isOpen else { return }
        session.messageFound(octets: octets)
        writeOutput(connection)
        sending = MessageSending(reader: reader, topLines: topLines, connection: connection) { [self] whole in
            sending = nil
            waiting = false
            guard whole else {
                // Half a message is out: only the end of the connection says so.
                node.metrics.storeErrors.increment()
                log.error("message broke off while it was read")
                return connection.abort()
            }
            node.metrics.messagesRetrieved.increment()
            session.messageSent()
            run(connection)
        }
        sending?.goOn()
    }

    private func delete(_ positions: [Int], _ connection: Connection) {
        guard let snapshot else { preconditionFailure("QUIT deletes without a maildrop") }
        waiting = true
        node.store.delete(
            positions, of: snapshot,
            then: connection.completion { [self] result in
                waiting = false
                switch result {
                case .success(let outcome):
                    log.debug(
                        "messages deleted", metadata: ["count": "\(positions.count)", "left": "\(outcome.failures)"])
                    session.deleted(failures: outcome.failures)
                case .failure(let error):
                    log.error("messages cannot be deleted", metadata: ["error": "\(error)"])
                    node.metrics.storeErrors.increment()
                    session.deleted(failures: positions.count)
                }
                run(connection)
            })
    }
}

/// A session lists the store's own snapshot: a large mailbox is not copied for it.
extension MaildropSnapshot: MaildropEntries {}
