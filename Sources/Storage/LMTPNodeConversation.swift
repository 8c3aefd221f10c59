import CoreMetrics
import Glibc
import Logging
import Mail
import Maildirs
import Metrics
import NIOCore
import SMTP
import Telemetry
import Wire

/// Drives one LMTP session on a storage node: a frontend delivers, many transactions at a time.
final class LMTPNodeConversation: Conversation {
    private let node: StorageContext
    private var session: SMTPServerSession
    private var log: Logger
    private var arrival: NodeArrival?
    private var envelope: SMTPEnvelope?
    private var recipients: [DeliveryRecipient] = []
    /// A large message is on its way to the disk: nothing is read meanwhile.
    private var flushing = false
    /// The message under way could not be written; the rest of it is read past.
    private var failure: MaildirError?
    /// As much awaits its commit as may: nothing is read meanwhile.
    private var storing = false
    private var ended = false

    init(node: StorageContext, connection: Connection) {
        let sessions = node.sessions
        self.node = node
        session = SMTPServerSession(
            settings: sessions.lmtp,
            peer: SMTPPeer(address: connection.peer.address, tls: connection.tlsVersion.map { SMTPTLS(version: $0) }),
            nonce: "")
        log = node.log
        connection.setTimes(sessions.lmtpTimes)
    }

    func opened(_ connection: Connection) {
        node.metrics.lmtpConnections.increment()
        session.opened()
        run(connection)
    }

    func received(_ connection: Connection) { run(connection) }
    func writable(_ connection: Connection) { run(connection) }

    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {
        _ = session.timedOut(timeout == .idle ? .idle : .total)
        end(connection)
    }

    func draining(_ connection: Connection) {
        if !ended, session.draining() == .close { end(connection) }
    }

    func closed(_ reason: ConnectionEnd) {
        ended = true
        drop()
        log.debug("closed", metadata: ["reason": "\(reason)"])
    }

    private func end(_ connection: Connection) {
        ended = true
        drop()
        connection.write(session.takeOutput())
        connection.close()
    }

    private func drop() {
        arrival?.discard()
        arrival = nil
        failure = nil
    }

    private func run(_ connection: Connection) { run(connection, flush: connection.flush) }

    private func run(_ connection: Connection, flush: () -> Void) {
        var goesOn = true
        storing = false
        while goesOn, !flushing, !ended, connection.isWritable {
            // The text goes from here into the writer: it is copied once, as its line ends change.
            goesOn = connection.unread.withUnsafeReadableBytes { unread in
                let step = session.receive(unread)
                consumed = step.consumed
                return carryOut(step.action, unread, connection)
            }
            connection.consume(consumed)
            if consumed > 0 { connection.madeProgress() }
        }
        guard !ended else { return }
        connection.write(session.takeOutput())
        flush()
        connection.wantsBytes = !flushing && !storing && connection.isWritable
    }

    private var consumed = 0

    /// Does what the session says. False when it has nothing more to do for now.
    private func carryOut(
        _ action: SMTPServerSession.Action, _ unread: UnsafeRawBufferPointer, _ connection: Connection
    ) -> Bool {
        switch action {
        case .proceed:
            return true
        case .needBytes:
            if connection.inputEnded, !session.isStoring { end(connection) }
            return false
        case .waitForStorage:
            storing = true
            return false
        case .startMessage(let envelope):
            start(envelope)
        case .body(let range):
            append(UnsafeRawBufferPointer(rebasing: unread[range]), connection)
        case .endMessage(let id, let summary):
            finish(id, summary, connection)
        case .abandonMessage:
            drop()
        case .close:
            end(connection)
            return false
        case .authenticate, .resolveRecipient, .startTLS, .startQueue, .askTurn, .turn:
            preconditionFailure("a storage node's LMTP session asked for \(action)")
        }
        return true
    }

    private func start(_ envelope: SMTPEnvelope) {
        guard let identity = envelope.name else { preconditionFailure("a cluster's transaction without a name") }
        guard let recipients = recipients(of: envelope) else {
            let reason = Reason(451, "4.3.5", "XFOR names no other storage node")
            return session.messageStarted(.deferred(reason))
        }
        self.envelope = envelope
        self.recipients = recipients
        switch envelope.content {
        case .message:
            arrival = .message(
                node.store.writer(identity: identity, mayBeRepeat: envelope.isRepeat, recipients: recipients))
        case .copy:
            arrival = .message(node.store.writer(identity: identity, mayBeRepeat: true, recipients: recipients))
        case .tombstone:
            arrival = .tombstone(TombstoneText())
        case .hold:
            arrival = .hold
        case .release:
            arrival = .release
        case .digest, .offer:
            arrival = .question(QuestionText())
        }
        session.messageStarted(.accepted)
    }

    /// Nil if a copy is to be kept for a node that is not there, or for nobody.
    private func recipients(of envelope: SMTPEnvelope) -> [DeliveryRecipient]? {
        let isWhole = envelope.content == .message
        // What a client sent goes to all sites; what comes from another replica has gone there, unless it says where it was.
        let path = envelope.sitePath ?? (isWhole ? .origin : nil)
        var recipients: [DeliveryRecipient] = []
        for recipient in envelope.recipients {
            guard let mailbox = recipient.mailbox else {
                preconditionFailure("a cluster's recipient without a mailbox")
            }
            let target = recipient.heldFor.flatMap { node.spoolTarget($0) }
            let needsTarget = envelope.content == .hold || envelope.content == .release
            guard (target == nil) == (recipient.heldFor == nil), target != nil || !needsTarget,
                target == nil || !envelope.content.isQuestion
            else { return nil }
            let hasAddress = !envelope.isAlike || RelayQueue(mailbox) != nil
            let header =
                isWhole
                ? TraceHeaders.delivery(from: envelope.sender, to: hasAddress ? recipient.address : nil) : []
            recipients.append(
                DeliveryRecipient(
                    mailbox: mailbox, partition: node.partition(of: mailbox), header: header,
                    heldFor: target, sites: target == nil ? node.sites.spools(mailbox, at: path) : SiteSpools()))
        }
        return recipients
    }

    private func append(_ text: UnsafeRawBufferPointer, _ connection: Connection) {
        guard failure == nil else { return }
        switch arrival {
        case .message(let writer):
            writer.append(text)
            if writer.wantsFlush { flush(writer, connection) }
        case .tombstone(var tombstone):
            tombstone.append(text)
            arrival = .tombstone(tombstone)
        case .question(var question):
            question.append(text)
            arrival = .question(question)
        case .hold, .release, nil:
            break
        }
    }

    private func flush(_ writer: MessageWriter, _ connection: Connection) {
        flushing = true
        writer.flush(
            then: connection.completion { [self] error in
                flushing = false
                if let error {
                    failure = error
                    log.error("message cannot be written", metadata: ["error": "\(error)"])
                }
                run(connection)
            })
    }

    private func finish(_ id: SMTPTransactionID, _ summary: SMTPMessageSummary, _ connection: Connection) {
        guard let arrival, let envelope, let identity = envelope.name else {
            preconditionFailure("end of a message without a message")
        }
        self.arrival = nil
        if let failure {
            self.failure = nil
            arrival.discard()
            return answer(id, Array(repeating: .failure(failure), count: envelope.recipients.count), envelope)
        }
        switch arrival {
        case .question(let text):
            return answer(id, text, envelope.content, connection)
        case .message(let writer):
            if summary.appendLineEnd { [0x0D, 0x0A].withUnsafeBytes { writer.append($0) } }
        case .tombstone(let text):
            guard text.isValid else {
                let refusal = Verdict.refused(Reason(554, "5.6.0", "a tombstone is a list of identities, a line each"))
                return session.messageStored(id, Array(repeating: refusal, count: envelope.recipients.count))
            }
        case .hold, .release:
            break
        }
        let began = ContinuousClock.now
        let isMessage = envelope.content == .message || envelope.content == .copy
        arrival.commit(
            identity, for: recipients, store: node.store,
            then: connection.completion { [self, recipients] results in
                for (recipient, result) in zip(recipients, results) where (try? result.get()) != nil {
                    node.replicator.noteSpooled(
                        MailboxKey(mailbox: recipient.mailbox, partition: recipient.partition), for: recipient.sites)
                    if isMessage, recipient.heldFor == nil {
                        node.noteStored(identity, octets: summary.byteCount, in: recipient.mailbox)
                    }
                }
                node.metrics.commitTime.record(duration: began.duration(to: .now))
                answer(id, results, envelope)
                // More answers may be there already.
                run(connection, flush: connection.flushSoon)
            })
    }

    /// Answers another site's question, for each mailbox.
    private func answer(
        _ id: SMTPTransactionID, _ text: QuestionText, _ content: HopContent, _ connection: Connection
    ) {
        let told = connection.completion { [self] (verdicts: [Verdict]) in
            session.messageStored(id, verdicts)
            run(connection, flush: connection.flushSoon)
        }
        let gathering = Gathering<Verdict>(count: recipients.count, then: told)
        for (index, recipient) in recipients.enumerated() {
            SiteQuestions(store: node.store, log: log).answer(text, content, of: recipient) {
                gathering.set($0, at: index)
            }
        }
    }

    private func answer(
        _ id: SMTPTransactionID, _ results: [Result<CommitOutcome, MaildirError>], _ envelope: SMTPEnvelope
    ) {
        let name = envelope.name?.text ?? ""
        for (recipient, result) in zip(envelope.recipients, results) {
            let mailbox = recipient.mailbox?.description ?? ""
            switch result {
            case .success where envelope.content == .release:
                recipient.heldFor.flatMap(node.spoolTarget).map {
                    node.replicator.noteCarried(to: $0, at: Int64(time(nil)))
                }
            case .success(let outcome):
                node.metrics.messagesStored.increment()
                if let target = recipient.heldFor.flatMap(node.spoolTarget) {
                    node.replicator.noteHeld(for: target)
                }
                log.event(
                    .info, "stored",
                    [
                        "message": .text(name), "mailbox": .text(mailbox), "content": .text(envelope.content.rawValue),
                        "for": .text(recipient.heldFor ?? ""), "outcome": .text(outcome.rawValue),
                    ])
            case .failure(let error):
                node.metrics.storeErrors.increment()
                log.error("not stored", metadata: ["message": "\(name)", "mailbox": "\(mailbox)", "error": "\(error)"])
            }
        }
        session.messageStored(id, results.map(Self.verdict))
    }

    /// A node's trouble is never the sender's fault: whatever happened, the message may come again.
    private static func verdict(_ result: Result<CommitOutcome, MaildirError>) -> Verdict {
        switch result {
        case .success: .accepted
        case .failure(let error) where error.isFull:
            .deferred(Reason(452, "4.3.1", "the storage node is full"))
        case .failure: .deferred(Reason(451, "4.3.0", "the storage node cannot store the message now"))
        }
    }
}
