import Mail
package import SASL

/// One SMTP or LMTP conversation as the server sees it (RFC 5321, RFC 2033): bytes in, actions out, no I/O.
///
/// The driver calls `opened()`, then `receive(_:)` with all unread bytes, again and again: after every action that it
/// has done, after every answer that it has given, and when bytes have come. It drops the consumed bytes and writes
/// `takeOutput()` when it has nothing else to do, at the latest before it waits.
package struct SMTPServerSession: ~Copyable, Sendable {
    /// What the driver is to do next. Large payloads are kept apart: an action is returned for every piece of a message.
    package enum Action: Equatable, Sendable {
        /// Nothing, until more bytes come; those not consumed are to be given again.
        case needBytes
        /// Write the output, then call `receive` with the rest.
        case proceed
        /// Ask the directory; `authenticationAnswered(_:)` answers.
        indirect case authenticate(AuthenticationRequest)
        /// Ask whether the recipient is to be taken; `recipientResolved(_:)` answers. Not used by `.cluster`.
        indirect case resolveRecipient(SMTPRecipientQuery)
        /// Begin to take a message; `messageStarted(_:)` answers.
        indirect case startMessage(SMTPEnvelope)
        /// Write these bytes (offsets in what `receive` was given) to the message that was started.
        case body(Range<Int>)
        /// The message is whole: store it. `messageStored(_:_:)` answers, now or (in `.cluster`) after later messages.
        indirect case endMessage(SMTPTransactionID, SMTPMessageSummary)
        /// Forget the message that was started; what to reply is the session's business.
        case abandonMessage
        /// The client wants TLS. `tlsRefused()` answers, or `tlsAccepted()`: then write the output and begin TLS;
        /// `tlsStarted(_:)` follows. All bytes were consumed.
        case startTLS
        /// The client wants mail that waits here to be sent; `queueStarted(_:)` answers.
        indirect case startQueue(ETRNRequest)
        /// The client wants such mail over this connection; `turnAnswered(_:)` answers, and `receive` is called with all
        /// that has come by then.
        indirect case askTurn(ATRNRequest)
        /// The session is over: write the output, then be an SMTP client on this connection, which is first greeted by
        /// the other side (RFC 2645 §5.2.1). All bytes were consumed.
        indirect case turn(ATRNRequest)
        /// Nothing is read until `messageStored(_:_:)` has been called once more.
        case waitForStorage
        /// Write the output and end the connection. A message that was started is to be forgotten.
        case close
    }

    /// What `receive` did.
    package struct Step: Equatable, Sendable {
        /// How many bytes at the head of the input are done with. A `body` range lies within them.
        package var consumed: Int
        package var action: Action
    }

    enum Phase: Equatable {
        case new, command, saslResponse
        /// The rest of a refused line, up to its CRLF.
        case discardingLine(afterCR: Bool)
        case data, chunk
        case awaitingAuthentication, awaitingRecipient, awaitingStart, awaitingTLS
        case awaitingQueue, awaitingTurn, turnGranted, turned
    }

    /// How the client has greeted (RFC 5321 §4.1.1.1).
    struct Hello: Equatable {
        let isExtended: Bool
        let name: String
    }

    /// A BDAT command whose octets are being read (RFC 3030 §2).
    struct Chunk: Equatable {
        var remaining = 0
        var isLast = false
        /// Why the chunk is thrown away, if it is.
        var refusal: Reason?
    }

    package let settings: SMTPServerSettings
    package internal(set) var peer: SMTPPeer
    /// Who the client is, once AUTH has succeeded.
    package internal(set) var user: AuthenticatedUser?
    let nonce: String
    var challenges: CRAMMD5.Challenges?
    var phase = Phase.new
    var hello: Hello?
    var envelope: SMTPEnvelope?
    var recipientInQuestion: SMTPRecipient?
    var queueInQuestion: ETRNRequest.Target?
    var turnInQuestion: ATRNRequest?
    var message: IncomingMessage
    var chunk = Chunk()
    /// Whether the open message comes by BDAT.
    var hasChunks = false
    var exchange: SASLServerExchange?
    var exchangeCount = 0
    /// Whether the exchange has asked for SCRAM credentials.
    var isSCRAM = false
    var scramUser: AuthenticatedUser?
    var replies = ReplyQueue()
    var counts = Counts()
    var lastTransaction: UInt64 = 0
    /// Bytes at the head of the input in which no line end was found.
    var scanned = 0
    var progress = Progress()
    var discardedLineBytes = 0
    var isClosing = false
    /// Whether the client has said QUIT, behind which it sends nothing more.
    package internal(set) var hasQuit = false
    var isDraining = false
    /// Whether DATA was answered in output that has not been taken: bytes that are there already came too early.
    var dataAnswerIsUnread = false

    /// What the limits bound.
    struct Counts: Equatable {
        var errors = 0
        var idleCommands = 0
        var refusedRecipients = 0
        var deferredRecipients = 0
        var failedLogins = 0
        var transactions = 0
    }

    /// What came from the client since the driver has asked.
    struct Progress: Equatable {
        var isMade = false
        var textBytes = 0

        /// Single bytes are none, or a client could hold a connection open with one of them a minute.
        static let textBytesMin = 1024

        mutating func text(_ count: Int) {
            textBytes += count
            guard textBytes >= Self.textBytesMin else { return }
            textBytes = 0
            isMade = true
        }
    }

    /// - Parameters:
    ///   - nonce: at least 18 random printable characters, for SASL; different for each connection.
    ///   - challenges: needed where CRAM-MD5 is among the mechanisms.
    package init(
        settings: SMTPServerSettings, peer: SMTPPeer, nonce: String, challenges: CRAMMD5.Challenges? = nil
    ) {
        precondition(challenges != nil || !settings.mechanisms.contains(.cramMD5), "CRAM-MD5 without challenges")
        self.settings = settings
        self.peer = peer
        self.nonce = nonce
        self.challenges = challenges
        message = IncomingMessage(framing: .dots, limits: settings.limits)
    }

    var limits: SMTPLimits { user?.site == nil ? settings.limits : settings.limits.ofSite }

    /// What is to be written now.
    package mutating func takeOutput() -> [UInt8] {
        if replies.isSettled { dataAnswerIsUnread = false }
        return replies.takeOutput()
    }

    package var hasOutput: Bool { !replies.output.isEmpty }

    /// Whether a whole command, or a good piece of a message, has come since this was asked last.
    package mutating func takeProgress() -> Bool {
        defer { progress.isMade = false }
        return progress.isMade
    }

    /// What is known by now of the header of the message that is coming in.
    package var headerFindings: HeaderScanner.Findings { message.scanner.findings }

    /// Whether an AUTH exchange is under way.
    package var isAuthenticating: Bool { phase == .saslResponse || phase == .awaitingAuthentication }

    /// Whether messages that were read whole await their outcome.
    package var isStoring: Bool { !replies.isSettled }

    /// Whether a transaction is under way or awaits its outcome.
    package var isBusy: Bool { envelope != nil || phase == .chunk || !replies.isSettled }

    /// The connection stands: greets.
    package mutating func opened() {
        precondition(phase == .new, "opened twice")
        phase = .command
        let kind = settings.service.isLMTP ? "LMTP" : "ESMTP"
        replies.append(SMTPReply(220, "", "\(settings.hostname) \(kind) Hauberk"))
    }

    /// The client sent bytes before `opened()` (RFC 5321 §3.1): refuses, and ends the conversation.
    package mutating func earlyTalk() -> Action {
        phase = .command
        return end(with: .earlyTalk)
    }

    /// Takes what has come and was not consumed before, and goes as far as it can without the driver's help.
    package mutating func receive(_ unread: UnsafeRawBufferPointer) -> Step {
        var at = 0
        while true {
            if isClosing { return Step(consumed: unread.count, action: replies.isSettled ? .close : .waitForStorage) }
            if at > 0, replies.output.count > Self.outputBytesMax { return Step(consumed: at, action: .proceed) }
            if let action = advance(unread, &at) { return Step(consumed: at, action: action) }
        }
    }

    /// Output that may gather before it must be written.
    private static let outputBytesMax = 32 << 10

    /// One step; nil to go on.
    private mutating func advance(_ unread: UnsafeRawBufferPointer, _ at: inout Int) -> Action? {
        switch phase {
        case .command: readCommand(unread, &at)
        case .saslResponse: readResponse(unread, &at)
        case .discardingLine(let afterCR): discardLine(unread, &at, afterCR: afterCR)
        case .data: readData(unread, &at)
        case .chunk: readChunk(unread, &at)
        case .turnGranted: turn(unread, &at)
        case .new, .awaitingAuthentication, .awaitingRecipient, .awaitingStart, .awaitingTLS, .awaitingQueue,
            .awaitingTurn, .turned:
            preconditionFailure("receive in phase \(phase)")
        }
    }
}
