import Cluster
import Glibc
import Hops
import Logging
import Mail
import Maildirs
import Membership
import NIOCore
import SASL
import SMTP
import Synchronization
import Wire

/// The way from this node to another site's frontends: a few connections that copies of messages and deletions share.
final class SiteLink: Sendable {
    let settings: SiteSettings
    /// This site's own name, with which it logs in and which it adds to the path.
    private let own: String
    private let eventLoop: any EventLoop
    private let link: NIOLoopBound<NodeLink>
    private let health = NodeHealth()
    private let transfer: Transfer
    private let log: Logger
    private let addresses: ServerAddresses
    private let session: LinkSession

    /// - Parameters:
    ///   - secret: what both sites know.
    ///   - tls: nil if the settings say that there is none.
    static func make(
        _ settings: SiteSettings, own: String, hostname: String, secret: String, tls: ClientTLS?,
        on eventLoop: any EventLoop, log: Logger
    ) async throws -> SiteLink {
        try await eventLoop.submit {
            SiteLink(settings, own: own, hostname: hostname, secret: secret, tls: tls, on: eventLoop, log: log)
        }.get()
    }

    private init(
        _ settings: SiteSettings, own: String, hostname: String, secret: String, tls: ClientTLS?,
        on eventLoop: any EventLoop, log: Logger
    ) {
        self.settings = settings
        self.own = own
        self.eventLoop = eventLoop
        self.log = log
        transfer = Transfer(rate: settings.rate)
        let addresses = ServerAddresses(
            settings.addresses, tls: settings.tls == .implicit ? tls : nil,
            certificateName: settings.trust.certificateName)
        self.addresses = addresses
        let smtp = SMTPClientSettings(
            mode: .smtp, clientName: hostname, startTLS: settings.tls == .starttls ? .required : .never,
            credentials: SMTPClientSettings.Credentials(
                user: "\(own)@\(AuthenticatedUser.siteDomain)", password: secret),
            transactionsInFlightMax: settings.inFlightPerConnectionMax)
        session = LinkSession(smtp, startTLS: tls)
        let link = NodeLink(
            target: { addresses.next() }, health: health,
            settings: NodeLinkSettings(
                timeout: settings.timeout, lagTimeout: settings.timeout, idleTimeout: .seconds(60),
                connectionsMax: settings.connectionsMax,
                reconnect: ReconnectBackoff(first: .seconds(1), max: .seconds(60)), session: session,
                peer: "site \(settings.name)"),
            eventLoop: eventLoop, log: log)
        self.link = NIOLoopBound(link, eventLoop: eventLoop)
    }

    private struct Journal {
        var succeeded: Int64?
        var error: String?
    }

    private let journal = Mutex(Journal())

    /// When the site last took something, in seconds since 1970, and why it did not since then.
    var lastOutcomes: (succeeded: Int64?, error: String?) {
        let failure = health.lastFailure
        return journal.withLock { ($0.succeeded, failure ?? $0.error) }
    }

    private func note(_ verdict: Verdict) {
        journal.withLock { journal in
            switch verdict {
            case .accepted: journal = Journal(succeeded: Int64(time(nil)), error: nil)
            case .deferred(let reason): journal.error = "\(reason)"
            // That is about the message, and told with its name.
            case .refused: break
            }
        }
    }

    private let pause = Atomic<Bool>(true)

    /// Whether an operator wants nothing carried there. Until that is known it is not.
    var isPaused: Bool {
        get { pause.load(ordering: .relaxed) }
        set { pause.store(newValue, ordering: .relaxed) }
    }

    /// Whether it is worth a try.
    var isReachable: Bool { !isPaused && health.isReachable }

    /// What has no answer yet is deferred at once, and so is all that comes.
    func abandon() { eventLoop.execute { [link] in link.value.abandon() } }

    private func submit(
        _ name: MessageIdentity, _ content: HopContent, _ body: ByteBuffer, _ mailbox: MailboxName, _ path: SitePath
    ) async -> Verdict {
        await withCheckedContinuation { submitted in
            eventLoop.execute { [self] in
                link.value.submit(transaction(name, content, body, mailbox, path) { submitted.resume(returning: $0) })
            }
        }
    }

    private func stream(
        _ name: MessageIdentity, _ reader: MessageReader, _ mailbox: MailboxName, _ path: SitePath
    ) async -> Verdict {
        await withCheckedContinuation { submitted in
            eventLoop.execute { [self] in
                CopyStreaming.start(
                    reader,
                    as: transaction(name, .copy, ByteBuffer(), mailbox, path, size: reader.size) {
                        submitted.resume(returning: $0)
                    },
                    to: addresses.next(), session: session, timeout: settings.timeout, on: eventLoop)
            }
        }
    }

    private func transaction(
        _ name: MessageIdentity, _ content: HopContent, _ body: ByteBuffer, _ mailbox: MailboxName, _ path: SitePath,
        size: Int? = nil, finished: @escaping (Verdict) -> Void
    ) -> NodeTransaction {
        let address = EmailAddress(local: mailbox.local, domain: mailbox.domain)
        return NodeTransaction(
            identity: name, recipients: [SMTPRecipient(address: address, mailbox: mailbox)], content: content,
            sitePath: path.adding(own), size: size, body: body
        ) { finished($0.first ?? .deferred(.unexpected)) }
    }
}

extension SiteLink: SpoolTaker {
    var name: String { "site \(settings.name)" }

    func take(_ cargo: ReplicaPeers.Cargo, of mailbox: MailboxName, at path: SitePath) async -> Verdict {
        if isPaused { return Self.paused }
        let verdict = await carry(cargo, of: mailbox, at: path)
        note(verdict)
        return verdict
    }

    private func carry(
        _ cargo: ReplicaPeers.Cargo, of mailbox: MailboxName, at path: SitePath
    ) async -> Verdict {
        switch cargo {
        case .tombstone(let tombstone):
            await transfer.admit(tombstone.lines.count)
            return await submit(tombstone.name, .tombstone, CopyText.whole(tombstone), mailbox, path)
        case .message(let name, let reader):
            await transfer.admit(reader.size)
            if reader.size > CopyText.wholeBytesMax { return await stream(name, reader, mailbox, path) }
            guard let body = await CopyText.whole(reader) else { return .deferred(.unexpected) }
            return await submit(name, .copy, body, mailbox, path)
        case .hold, .release:
            preconditionFailure("a site is not asked to keep anything for others")
        }
    }
}

extension SiteLink {
    /// What a mailbox is compared by.
    enum Question: Sendable {
        /// Whether both have the same.
        case digest(MailboxDigest)
        /// Which of these the site lacks; `SiteQuestion.namesMax` at most.
        case names([MessageIdentity])
    }

    /// What the site answers, as `SiteAnswer` reads it.
    func ask(_ question: Question, of mailbox: MailboxName) async -> Verdict {
        if isPaused { return Self.paused }
        let (content, text): (HopContent, [UInt8]) =
            switch question {
            case .digest(let digest): (.digest, Array("\(digest)\r\n".utf8))
            case .names(let names): (.offer, SiteQuestion.text(names))
            }
        guard let name = MessageIdentity(content.rawValue) else { return .deferred(.unexpected) }
        return await submit(name, content, ByteBuffer(bytes: text), mailbox, .origin)
    }

    fileprivate static let paused = Verdict.deferred(Reason(451, "4.3.2", "an operator has paused the site"))
}
