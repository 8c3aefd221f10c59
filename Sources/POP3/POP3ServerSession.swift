package import Mail
package import SASL

/// One POP3 conversation as the server sees it (RFC 1939 §3): bytes in, actions and reply bytes out.
///
/// The driver keeps the unread bytes. It calls `receive(_:)` with all of them, drops those consumed, writes what
/// `takeOutput()` gives, does what the action says, tells the result by the method that the action names, and calls
/// `receive(_:)` again. While it owes such an answer it does not call `receive(_:)`, so what a client pipelines behind
/// a slow command stays unread (RFC 2449 §6.6).
package struct POP3ServerSession: Sendable {
    package enum Action: Sendable, Equatable {
        /// Nothing more to do until more bytes come.
        case needBytes
        /// One command is done: call again with the rest.
        case proceed
        /// Output has grown to its limit: write it, wait until the peer takes more, call again.
        case flushOutput
        /// Ask the directory: `authenticationAnswered(_:nonce:)`.
        case authenticate(AuthenticationRequest)
        /// The client sent a SCRAM proof, and this came of it: note it, and call again. Whether a login follows is told
        /// apart from it.
        case proofChecked(SASLProof)
        /// On a frontend: open it at its node, `maildropOpened()`, then the driver copies bytes and this session is
        /// over. On a node: list the mailbox, `maildropOpened(_:)`. Or else `maildropFailed(_:_:)`.
        case openMaildrop(POP3OpenRequest)
        /// On a node: digest the mailbox, and count what waits in it for other nodes: `digested(_:held:)`.
        case digest(MailboxName)
        /// On a node: bring what waits in the mailbox, for whomever, to the node that asks: `drained(_:)`.
        case drain(MailboxName, node: String)
        /// On a node: a message of a queue was sent on, or refused with this reply: `relayed()`.
        case relayed(position: Int, refusal: String?)
        /// On a node: send what waits for a relay now: `flushed(_:)`.
        case flush(relay: String)
        /// On a node: say how it stands with moves, handoff and repair, or with another site: `statusTold(_:)`.
        case status(ofSite: String?)
        /// On a node: list a partition's mailboxes with their digests, unless together they come to this one:
        /// `partitionListed(_:)`.
        case listPartition(Int, unless: String?)
        /// On a node: compare with the other owners, and merge where they differ: `repaired(_:)`.
        case repair(RepairScope)
        /// On a node: do what an operator says about another site: `siteOrdered(_:)`.
        case order(SiteOrder, ofSite: String)
        /// On a node: many sessions are to share the connection: `streamsBegin()`, then write the output, and this session
        /// is over.
        case beginStreams
        /// On a node: list the open mailbox's tombstones: `tombstonesListed(_:)`.
        case listTombstones
        /// On a node: read one of them: `tombstoneRead(_:)`.
        case readTombstone(MessageIdentity)
        /// Write the output, then wrap the connection: `tlsStarted()`.
        case startTLS
        /// Find the message at `index` of the entries: `messageFound(octets:)`, then write the output, the message
        /// through a `POP3MessageEncoder(topLines:)`, and call `messageSent()`. Or `messageGone()`, `messageFailed()`.
        case sendMessage(index: Int, topLines: Int?)
        /// Delete the messages at these positions of the entries, for good: `deleted(failures:)`.
        case deleteAndClose([Int])
        /// Write the output, then close.
        case close
    }

    package struct Step: Sendable, Equatable {
        /// How many of the unread bytes are done with.
        package let consumed: Int
        package let action: Action

        package init(consumed: Int, action: Action) {
            self.consumed = consumed
            self.action = action
        }
    }

    enum Phase: Sendable {
        case authorization
        case sasl(SASLServerExchange)
        case transaction
        /// A frontend's session after login: the node answers the client now.
        case handedOver
        case closed
    }

    /// What the driver owes, so that each answer meets the question it belongs to.
    enum Awaited: Sendable, Equatable {
        case password
        case scram
        case tls
        case maildrop
        case replica
        case message(Int, topLines: Int?)
        case messageEnd
        case deletion
    }

    let settings: POP3ServerSettings
    /// The timestamp of the greeting, which APOP digests cover.
    let timestamp: String
    var challenges: CRAMMD5.Challenges?

    var phase = Phase.authorization
    var awaited: Awaited?
    /// What the next `receive(_:)` returns before it reads anything.
    var pending: Action?
    var output = POP3Output()
    var isTLS: Bool
    var user: String?
    var utf8 = false
    var language: String?
    /// On a node: another node has opened its copy, not a client.
    var isLocal = false
    /// Who a SCRAM exchange is about, as the directory told it.
    var candidate: AuthenticatedUser?
    var maildrop = Maildrop([MaildropEntry]())
    var retrievals = RetrievalOrder()
    var listing: POP3Listing?
    private var errors = 0
    private var loginFailures = 0
    /// Bytes of the unread ones that are known to hold no line end.
    private var searched = 0
    /// The rest of an overlong line is being dropped.
    private var isSkipping = false
    private(set) var isTimedOut = false

    /// - Parameters:
    ///   - nonce: random printable characters without `<`, `>` and `@` for APOP's timestamp, new for each connection.
    ///   - seconds: the time, since 1970, for APOP's timestamp.
    ///   - challenges: needed by a frontend that has CRAM-MD5 among its mechanisms.
    package init(
        settings: POP3ServerSettings, nonce: String, seconds: Int64, challenges: CRAMMD5.Challenges? = nil
    ) {
        precondition(
            challenges != nil || settings.service == .node || !settings.mechanisms.contains(.cramMD5),
            "CRAM-MD5 without challenges")
        self.settings = settings
        self.challenges = challenges
        timestamp = "<\(nonce).\(seconds)@\(settings.hostname)>"
        isTLS = settings.startsWithTLS
    }

    /// The connection stands (for POP3S: under TLS). The greeting is in the output.
    package mutating func opened() {
        let stamp = settings.offersAPOP && settings.service == .frontend ? " \(timestamp)" : ""
        output.ok("\(settings.hostname) POP3 server ready\(stamp)")
    }

    /// The reply bytes to write now; they leave the session.
    package mutating func takeOutput() -> [UInt8] { output.take() }

    /// Whether an AUTH exchange is under way.
    package var isAuthenticating: Bool {
        if case .sasl = phase { return true }
        return awaited == .password || awaited == .scram
    }

    /// Whether the client has logged in, or on a node: whether a maildrop is open. Longer idle times apply then.
    package var isInTransaction: Bool {
        switch phase {
        case .transaction, .handedOver: true
        case .authorization, .sasl, .closed: false
        }
    }

    /// Nothing was heard for too long: the connection is closed without a word, and nothing is deleted (RFC 1939 §3).
    /// An answer that is still owed may come; it changes nothing.
    package mutating func timedOut() {
        phase = .closed
        awaited = nil
        pending = nil
        listing = nil
        _ = output.take()
        isTimedOut = true
    }

    /// Handles at most one command of the unread bytes.
    package mutating func receive(_ unread: UnsafeRawBufferPointer) -> Step {
        if let action = pending {
            pending = nil
            return Step(consumed: 0, action: action)
        }
        precondition(awaited == nil, "receive called while the session waits for \(String(describing: awaited))")
        if output.count >= settings.limits.outputBytesMax { return Step(consumed: 0, action: .flushOutput) }
        if listing != nil { return Step(consumed: 0, action: continueListing()) }
        switch phase {
        case .closed, .handedOver: return Step(consumed: 0, action: .close)
        case .authorization, .sasl, .transaction: return readLine(unread)
        }
    }

    private mutating func readLine(_ unread: UnsafeRawBufferPointer) -> Step {
        let start = min(searched, unread.count)
        guard let end = unread.firstIndex(of: lineFeed, from: start) else {
            searched = unread.count
            return unfinishedLine(unread)
        }
        searched = 0
        let consumed = end + 1
        if isSkipping {
            isSkipping = false
            return Step(consumed: consumed, action: .proceed)
        }
        guard consumed <= lineBytesMax(unread) else {
            return Step(consumed: consumed, action: refuse("line too long"))
        }
        guard end > 0, unread[end - 1] == carriageReturn else {
            return Step(consumed: consumed, action: refuse("a line ends with CRLF (RFC 1939 section 3)"))
        }
        let line = UnsafeRawBufferPointer(rebasing: unread[..<(end - 1)])
        guard line.firstIndex(of: carriageReturn, from: 0) == nil, line.firstIndex(of: 0, from: 0) == nil else {
            return Step(consumed: consumed, action: refuse("a line holds neither CR nor NUL"))
        }
        return handle(line, consumed: consumed, isLast: consumed == unread.count, unreadCount: unread.count)
    }

    private mutating func handle(
        _ line: UnsafeRawBufferPointer, consumed: Int, isLast: Bool, unreadCount: Int
    ) -> Step {
        switch phase {
        case .sasl(let exchange) where exchange.owesChallenge && !isLast:
            return Step(consumed: unreadCount, action: refuseHaste())
        case .sasl(var exchange):
            let action = receiveResponse(line, &exchange)
            return Step(consumed: consumed, action: action)
        case .transaction:
            return Step(consumed: consumed, action: handleInTransaction(POP3Command(line)))
        case .authorization, .handedOver, .closed:
            let action = handleInAuthorization(POP3Command(line), isLast: isLast)
            return Step(consumed: action == .close ? unreadCount : consumed, action: action)
        }
    }

    /// No line end yet: waits, unless the line is too long already; then it is dropped as it comes.
    private mutating func unfinishedLine(_ unread: UnsafeRawBufferPointer) -> Step {
        if isSkipping {
            searched = 0
            return Step(consumed: unread.count, action: .needBytes)
        }
        guard unread.count >= lineBytesMax(unread) else { return Step(consumed: 0, action: .needBytes) }
        searched = 0
        isSkipping = true
        return Step(consumed: unread.count, action: refuse("line too long"))
    }

    private func lineBytesMax(_ unread: UnsafeRawBufferPointer) -> Int {
        let limits = settings.limits
        switch phase {
        case .sasl: return limits.authLineBytesMax
        case .authorization where settings.service == .node: return limits.openLineBytesMax
        case .authorization where unread.startsWithKeyword("AUTH"): return limits.authLineBytesMax
        default: return limits.commandLineBytesMax
        }
    }

    /// Answers -ERR and counts it: the client made a mistake. A SASL exchange ends with it. A client that makes too many
    /// is sent away.
    mutating func refuse(_ text: String, code: POP3ResponseCode? = nil) -> Action {
        errors += 1
        if case .sasl = phase { phase = .authorization }
        guard errors <= settings.limits.errorsMax else {
            output.error("too many errors", code: nil)
            phase = .closed
            return .close
        }
        output.error(text, code: code)
        return .proceed
    }

    /// A wrong user name or password (RFC 3206 §4).
    mutating func refuseLogin(_ text: String = "wrong user name or password") {
        loginFailures += 1
        candidate = nil
        user = nil
        phase = .authorization
        output.error(text, code: .authentication)
        if loginFailures >= settings.limits.loginFailuresMax {
            phase = .closed
            pending = .close
        }
    }

    /// Answers -ERR and does not count it: the fault is the server's, or nobody's.
    mutating func refuseWithoutBlame(_ text: String, code: POP3ResponseCode? = nil) {
        if case .sasl = phase { phase = .authorization }
        output.error(text, code: code)
    }

    /// What comes before a challenge was not made from it: whoever sends it guesses, or replays.
    mutating func refuseHaste() -> Action {
        output.error("nothing may be sent before the challenge", code: nil)
        phase = .closed
        return .close
    }
}
