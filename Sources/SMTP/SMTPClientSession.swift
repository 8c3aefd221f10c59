package import Mail
import SASL

/// One SMTP or LMTP conversation as the client sees it (RFC 5321, RFC 2033): transactions and replies in, commands and
/// events out, no I/O. Message bytes never pass through it.
///
/// After every call the driver does what `takeEvents()` says, and writes `takeOutput()`. Every transaction ends in one
/// `verdicts` or one `interrupted`, whatever goes wrong, unless it was abandoned.
package struct SMTPClientSession: ~Copyable, Sendable {
    /// What happened, or is to be done.
    package enum Event: Equatable, Sendable {
        /// Begin TLS; `tlsStarted()` answers.
        case startTLS
        /// The server has greeted and knows us.
        case ready(SMTPCapabilities)
        /// Write `takeOutput()`, then the whole message, then call `bodySent(_:)`. Until then there is no more output.
        case bodyWanted(SMTPTransactionID, BodyForm)
        /// The message that `beginStreaming` announced may be sent with `chunk(_:byteCount:isLast:)`.
        case startedStreaming(SMTPTransactionID)
        /// One verdict per recipient of the transaction, in its order.
        case verdicts(SMTPTransactionID, [Verdict])
        /// The connection ended before the outcome was known. If the body was sent, or a part of it, the server may
        /// have the message.
        case interrupted(SMTPTransactionID, bodySent: Bool)
        /// The conversation is over: nil after our QUIT, otherwise why.
        case closed(Reason?)
    }

    /// How a body is to be written.
    package enum BodyForm: Equatable, Sendable {
        /// As it is, `byteCount` octets (BDAT).
        case raw
        /// Through a `DotStuffer`, with its end (DATA).
        case dotStuffed
    }

    enum Phase: Equatable {
        case greeting, extendedHello, plainHello, startTLS, awaitingTLS, authentication, ready, quitting, closed
    }

    package let settings: SMTPClientSettings
    package internal(set) var capabilities = SMTPCapabilities()
    var phase = Phase.greeting
    var isTLS: Bool
    var parser = ReplyParser()
    var output: [UInt8] = []
    var events: [Event] = []
    /// Not begun; streaming ones among them are marked.
    var waiting: [Outgoing] = []
    /// Begun, in the order of their commands: replies belong to the first.
    var running: [Outgoing] = []
    /// Whose body the driver is writing.
    var bodyOpen: SMTPTransactionID?
    /// Whether the server still has a transaction open that failed: RSET comes before the next MAIL.
    var needsReset = false
    var wantsQuit = false
    /// The log-in that is under way.
    var exchange: SASLClientExchange?
    let nonce: String?

    /// - Parameters:
    ///   - isTLS: whether the connection began with TLS.
    ///   - nonce: at least 18 random printable characters without a comma, new for every session; without it there is
    ///     no SCRAM.
    package init(settings: SMTPClientSettings, isTLS: Bool = false, nonce: String? = nil) {
        self.settings = settings
        self.isTLS = isTLS
        self.nonce = nonce
    }

    package var isReady: Bool { phase == .ready }
    package var isClosed: Bool { phase == .closed }
    /// Transactions that are not over.
    package var load: Int { waiting.count + running.count }
    package var hasOutput: Bool { !output.isEmpty }

    package mutating func takeOutput() -> [UInt8] {
        var taken: [UInt8] = []
        swap(&taken, &output)
        return taken
    }

    package mutating func takeEvents() -> [Event] {
        var taken: [Event] = []
        swap(&taken, &events)
        return taken
    }

    /// Takes whole replies off what the server sent.
    ///
    /// - Returns: how many bytes are done with; the others are to be given again with what comes next.
    package mutating func receive(_ unread: UnsafeRawBufferPointer) -> Int {
        var at = 0
        while phase != .closed {
            switch parser.next(unread, &at) {
            case .needBytes: return at
            case .garbage(let what): close(Reason(451, "4.5.0", "server does not speak SMTP: \(what)"))
            case .reply(let reply): take(reply, hasMore: at < unread.count)
            }
        }
        return unread.count
    }

    /// Sends a message whose size is known, as soon as it is its turn.
    package mutating func submit(_ transaction: SMTPClientTransaction) {
        enqueue(Outgoing(transaction, isStreaming: false))
    }

    /// The body that `bodyWanted` asked for has been written.
    package mutating func bodySent(_ id: SMTPTransactionID) {
        guard bodyOpen == id else { return }  // the connection may have ended meanwhile
        bodyOpen = nil
        fill()
    }

    /// Says QUIT when all transactions are over.
    package mutating func quit() {
        wantsQuit = true
        fill()
    }

    /// The connection is gone.
    package mutating func connectionLost(_ reason: Reason = Reason(451, "4.4.2", "connection lost")) { close(reason) }

    /// The TLS handshake is done; what the server said before is forgotten (RFC 3207 §4.2).
    package mutating func tlsStarted() {
        precondition(phase == .awaitingTLS, "TLS in phase \(phase)")
        isTLS = true
        capabilities = SMTPCapabilities()
        sayHello()
    }

    mutating func send(_ line: String) {
        output.append(contentsOf: line.utf8)
        output.append(ASCII.cr)
        output.append(ASCII.lf)
    }

    mutating func close(_ reason: Reason?) {
        guard phase != .closed else { return }
        phase = .closed
        bodyOpen = nil
        for transaction in running + waiting where !transaction.isOver {
            events.append(.interrupted(transaction.id, bodySent: transaction.bodyBegun))
        }
        running = []
        waiting = []
        events.append(.closed(reason))
    }

    private mutating func take(_ reply: ParsedReply, hasMore: Bool) {
        if reply.code == 421, phase != .quitting {
            if phase == .ready { deferFirst(reply) }
            return close(reply.reason)
        }
        switch phase {
        case .greeting:
            if reply.code == 220 { sayHello() } else { close(reply.reason) }
        case .extendedHello, .plainHello, .startTLS, .authentication:
            takeIntroduction(reply, hasMore: hasMore)
        case .ready:
            takeTransactionReply(reply)
        case .quitting:
            close(nil)
        case .awaitingTLS:
            close(Reason(451, "4.7.0", "server spoke before TLS"))
        case .closed:
            break
        }
    }
}
