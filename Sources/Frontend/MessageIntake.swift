import Cluster
import CoreMetrics
import Directory
import Logging
import Mail
import Membership
import NIOCore
import SASL
import SMTP
import Telemetry
import Wire

/// The messages of one client's connection on their way in, whatever protocol brings them: from recipients to mailboxes,
/// from text to storage nodes, and back to the verdicts that the client is told.
final class MessageIntake {
    private let frontend: FrontendContext
    private let hostname: String
    /// Whether each recipient has an answer of its own; otherwise all have one together.
    private let answersEach: Bool
    /// Whether the client may send to the whole world without a login.
    private let mayRelay: Bool
    private let eventLoop: any EventLoop
    private let log: Logger
    private var recipients = RecipientRoutes()
    private var message: MessageDelivery?
    /// What another site asks instead.
    private var inquiry: SiteInquiry?
    private var textBegun = false

    init(
        frontend: FrontendContext, hostname: String, answersEach: Bool, mayRelay: Bool, eventLoop: any EventLoop,
        log: Logger
    ) {
        self.frontend = frontend
        self.hostname = hostname
        self.answersEach = answersEach
        self.mayRelay = mayRelay
        self.eventLoop = eventLoop
        self.log = log
    }

    // MARK: recipients

    /// Whether mail for a recipient is taken; if so, the next message of the transaction goes there.
    ///
    /// - Parameter later: told the verdict if the directory must be asked first.
    /// - Returns: nil if the directory is asked.
    func verdict(
        on query: SMTPRecipientQuery, _ connection: Connection, later: @escaping (Verdict) -> Void
    ) -> Verdict? {
        let query = Self.named(query)
        if let known = frontend.directory.cached(query.address), Self.isAnswer(known, to: query) {
            return judge(known, query)
        }
        connection.perform { [directory = frontend.directory] in
            await Self.answer(to: query, from: directory)
        } then: { [self] result in
            switch result {
            case .success(let resolution):
                later(judge(resolution, query))
            case .failure(let error):
                log.error("directory does not answer", metadata: ["error": "\(error)"])
                later(.deferred(Reason(451, "4.3.0", "the directory cannot be asked now, try again later")))
            }
        }
        return nil
    }

    /// A site names the mailbox, whose name an address may have had before somebody else got it.
    private static func named(_ query: SMTPRecipientQuery) -> SMTPRecipientQuery {
        var query = query
        if let mailbox = query.mailbox { query.address = mailbox.account }
        return query
    }

    private static func answer(
        to query: SMTPRecipientQuery, from directory: CachedDirectory
    ) async -> Result<Resolution, DirectoryError> {
        do throws(DirectoryError) {
            let found = try await directory.resolve(query.address)
            guard let mailbox = query.mailbox, !isAnswer(found, to: query) else { return .success(found) }
            // An account may have an address that only looks like a numbered mailbox.
            return .success(try await directory.resolve(EmailAddress(local: mailbox.local, domain: mailbox.domain)))
        } catch {
            return .failure(error)
        }
    }

    /// Whether the address leads to the mailbox that a site means, or is that mailbox's only one.
    private static func isAnswer(_ resolution: Resolution, to query: SMTPRecipientQuery) -> Bool {
        guard let mailbox = query.mailbox, mailbox.local != query.address.local else { return true }
        return resolution.destinations.contains { $0.mailbox == mailbox }
    }

    private func judge(_ resolution: Resolution, _ query: SMTPRecipientQuery) -> Verdict {
        let verdict = verdict(on: resolution, query)
        log.log(
            level: verdict.isAccepted ? .debug : .info, "recipient",
            metadata: ["address": "\(query.address)", "verdict": "\(verdict)"])
        return verdict
    }

    private func verdict(on resolution: Resolution, _ query: SMTPRecipientQuery) -> Verdict {
        if resolution == .foreignDomain, let relay = relay(for: query) { return relayed(query, by: relay) }
        let verdict = frontend.verdict(on: resolution, for: query, eventLoop: eventLoop)
        let destinations = resolution.destinations.filter { query.mailbox == nil || $0.mailbox == query.mailbox }
        if verdict.isAccepted, !recipients.add(destinations, of: query.transaction) {
            return .deferred(Reason(452, "4.5.3", "too many mailboxes for one message"))
        }
        return verdict
    }

    /// The way to a recipient elsewhere, if this client may use it.
    private func relay(for query: SMTPRecipientQuery) -> RelaySettings? {
        guard query.user?.site == nil else { return nil }
        return frontend.relays.relay(for: query.address.domain, isTrusted: query.user != nil || mayRelay)
    }

    private func relayed(_ query: SMTPRecipientQuery, by relay: RelaySettings) -> Verdict {
        let verdict = frontend.verdictOnNodes(for: query, eventLoop: eventLoop)
        let first = Int(StableHash.xxh64("\(query.address)") % UInt64(RelayQueue.count))
        if verdict.isAccepted, !recipients.add(query.address, relay: relay.name, first: first, of: query.transaction) {
            return .deferred(Reason(452, "4.5.3", "too many recipients elsewhere for one message"))
        }
        return verdict
    }

    // MARK: the text

    /// Begins a message to the recipients that were accepted.
    ///
    /// - Parameter unblocked: called when more of the text is taken after `isBlocked` was true.
    func start(_ envelope: SMTPEnvelope, unblocked: @escaping () -> Void) {
        // What comes from another site has its name, and stays as it is there.
        let identity = envelope.name ?? frontend.identifiers.message()
        recipients.begin()
        inquiry =
            envelope.content.isQuestion
            ? SiteInquiry(
                envelope.content, named: identity, of: recipients.destinations, frontend: frontend,
                eventLoop: eventLoop) : nil
        if inquiry != nil { return }
        let delivery = MessageDelivery(
            identity: identity, sender: envelope.sender, isUTF8: envelope.utf8, content: envelope.content,
            sitePath: envelope.sitePath, destinations: recipients.destinations, frontend: frontend,
            eventLoop: eventLoop)
        if envelope.content == .message {
            delivery.append(
                TraceHeaders.received(
                    envelope, hostname: hostname, identity: identity, seconds: frontend.clock.seconds()))
        }
        delivery.unblocked = unblocked
        message = delivery
        textBegun = false
    }

    /// - Parameter header: what is known by now of the message's header, with this piece.
    func append(_ piece: ByteBuffer, _ header: @autoclosure () -> HeaderScanner.Findings) {
        if let inquiry { return inquiry.append(piece) }
        guard let message else { preconditionFailure("message text without a message") }
        if !textBegun {
            textBegun = true
            message.append(TraceHeaders.separator(header()))
        }
        if answersEach, message.startsStreaming(with: piece.readableBytes) { leaveOutLoops(header(), message) }
        message.append(piece)
    }

    /// Whether the client must wait before it sends more.
    var isBlocked: Bool { message?.isBlocked ?? false }

    /// Sends what has gathered for long.
    func sendGathered() { message?.sendGathered() }

    /// Nothing of the message that has begun stays.
    func abandon() {
        message?.abandon()
        message = nil
        inquiry = nil
    }

    /// Where each recipient has an answer of its own, those that are in no loop get the message.
    private func leaveOutLoops(_ header: HeaderScanner.Findings, _ message: MessageDelivery) {
        guard let looping = recipients.refuseLoops(header) else { return }
        warn(of: looping, message)
        message.narrow(to: recipients.destinations)
    }

    /// A message that streams is on its way to all of its recipients: where each has an answer of its own, those in no loop are to
    /// be tried again, without the others.
    private func repliesToLoop(_ looping: EmailAddress) -> [Verdict] {
        guard answersEach else { return recipients.replies(RecipientRoutes.loop(looping), isLMTP: false) }
        let again = Verdict.deferred(Reason(451, "4.4.6", "another recipient is in a mail loop: try again without it"))
        return recipients.replies(recipients.destinations.map { _ in again }, isLMTP: true)
    }

    private func warn(of looping: EmailAddress, _ message: MessageDelivery) {
        log.warning("mail loop", metadata: ["message": "\(message.identity)", "recipient": "\(looping)"])
    }

    // MARK: the end

    /// The message is whole.
    ///
    /// - Parameter told: the verdicts, one for each accepted recipient or one for all, and the message's name; called once,
    ///   perhaps at once.
    func finish(_ summary: SMTPMessageSummary, _ told: @escaping ([Verdict], MessageIdentity) -> Void) {
        if let inquiry {
            self.inquiry = nil
            return inquiry.ask { told([$0], inquiry.name) }
        }
        guard let message else { preconditionFailure("end of a message without a message") }
        self.message = nil
        if answersEach, !message.isStreaming { leaveOutLoops(summary.header, message) }
        if let looping = recipients.refuseLoops(summary.header) {
            warn(of: looping, message)
            message.abandon()
            return told(repliesToLoop(looping), message.identity)
        }
        if recipients.destinations.isEmpty {
            message.abandon()
            return told(recipients.replies([], isLMTP: answersEach), message.identity)
        }
        if summary.appendLineEnd { message.append([0x0D, 0x0A]) }
        let began = frontend.clock.monotonic()
        message.finish { [self, recipients] verdicts in
            let took = frontend.clock.monotonic() - began
            let replies = recipients.replies(verdicts, isLMTP: answersEach)
            // The client does not wait for the log.
            told(replies, message.identity)
            frontend.metrics.messageEnded(replies, octets: summary.byteCount, took: took)
            log.event(
                .info, "message",
                [
                    "message": .text(message.identity.text), "octets": .number(summary.byteCount),
                    "from": .text(message.sender.description), "to": .text(recipients.summary),
                    "took": .text(took.description),
                    "verdict": .text((replies.first ?? .deferred(.unexpected)).description),
                ])
        }
    }
}
