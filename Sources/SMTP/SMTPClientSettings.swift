package import Mail
package import SASL

/// How a client session behaves: everything that it is told once and for all.
package struct SMTPClientSettings: Hashable, Sendable {
    /// Which dialect is spoken.
    package enum Mode: Hashable, Sendable {
        case smtp
        /// One verdict per recipient (RFC 2033).
        case lmtp
    }

    /// Whether STARTTLS is used.
    package enum StartTLS: Hashable, Sendable {
        case never, ifOffered, required
    }

    /// Who logs in, and how (RFC 4954).
    package struct Credentials: Hashable, Sendable {
        package var user: String
        package var password: String
        /// The strongest of them that the server offers is used.
        package var mechanisms: Set<SASLClientMechanism>
        /// Whether the password itself may cross the wire without TLS.
        package var allowsPlainWithoutTLS: Bool

        package init(
            user: String, password: String, mechanisms: Set<SASLClientMechanism> = Set(SASLClientMechanism.allCases),
            allowsPlainWithoutTLS: Bool = false
        ) {
            self.user = user
            self.password = password
            self.mechanisms = mechanisms
            self.allowsPlainWithoutTLS = allowsPlainWithoutTLS
        }
    }

    package var mode: Mode
    /// What EHLO or LHLO says.
    package var clientName: String
    package var startTLS: StartTLS
    package var credentials: Credentials?
    /// Whether BDAT is used where the server offers CHUNKING; DATA otherwise.
    package var usesChunks: Bool
    /// Whether commands are sent in groups where the server offers PIPELINING.
    package var pipelines: Bool
    /// Transactions that are sent before the outcome of the first is known, where the server offers PIPELINING. With
    /// DATA there are never more than two: the next one's envelope follows a text, whose own text awaits a reply.
    package var transactionsInFlightMax: Int

    package init(
        mode: Mode, clientName: String, startTLS: StartTLS = .never, credentials: Credentials? = nil,
        usesChunks: Bool = true, pipelines: Bool = true, transactionsInFlightMax: Int = 1
    ) {
        self.mode = mode
        self.clientName = clientName
        self.startTLS = startTLS
        self.credentials = credentials
        self.usesChunks = usesChunks
        self.pipelines = pipelines
        self.transactionsInFlightMax = max(1, transactionsInFlightMax)
    }
}

/// What a server offered in its answer to EHLO or LHLO.
package struct SMTPCapabilities: Hashable, Sendable {
    package var pipelining = false
    package var chunking = false
    package var eightBit = false
    package var utf8 = false
    package var startTLS = false
    /// Whether it is a storage node of a cluster (XHAUBERK).
    package var isStorageNode = false
    /// Whether it takes copies of messages and deletions from other sites (XSITE).
    package var isSite = false
    /// Whether it answers another site's questions.
    package var answersSites = false
    /// Whether a message can have a name there.
    var takesNames: Bool { isStorageNode || isSite }
    /// The largest message it takes, if it said SIZE with a number that is not 0 (RFC 1870 §3).
    package var messageBytesMax: Int?
    /// RFC 9422: recipients of one message.
    package var recipientsMax: Int?
    /// Whether it sends what waits for a site when asked (RFC 1985).
    package var etrn = false
    /// Whether it sends what waits for a site on the same connection (RFC 2645).
    package var atrn = false
    /// In upper case.
    package var mechanisms: [String] = []
    /// Every keyword in upper case, with its parameters as they came.
    package var keywords: [String: String] = [:]

    private static let keywordsMax = 64
    private static let keywordBytesMax = 64
    private static let parameterBytesMax = 1024

    package init() {}

    mutating func read(_ line: Substring) {
        remember(line)
        let words = line.uppercased().split(separator: " ")
        switch words.first {
        case "PIPELINING": pipelining = true
        case "CHUNKING": chunking = true
        case "8BITMIME": eightBit = true
        case "SMTPUTF8": utf8 = true
        case "STARTTLS": startTLS = true
        case "XHAUBERK": isStorageNode = true
        case "XSITE":
            isSite = true
            answersSites = words.contains("DIGEST") && words.contains("OFFER")
        case "ETRN": etrn = true
        case "ATRN": atrn = true
        case "SIZE": messageBytesMax = words.dropFirst().first.flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
        case "AUTH": mechanisms = words.dropFirst().map(String.init)
        case "LIMITS":
            for word in words where word.hasPrefix("RCPTMAX=") { recipientsMax = Int(word.dropFirst(8)) }
        default: break
        }
    }

    /// Keeps what a later extension may want to read; bounded, whatever the server says.
    private mutating func remember(_ line: Substring) {
        let halves = line.split(separator: " ", maxSplits: 1)
        guard let keyword = halves.first?.uppercased(), keyword.utf8.count <= Self.keywordBytesMax else { return }
        let parameters = halves.count > 1 ? String(halves[1]) : ""
        guard parameters.utf8.count <= Self.parameterBytesMax, keywords.count < Self.keywordsMax else { return }
        keywords[keyword] = parameters
    }
}

/// One message to be sent: its envelope and its size. The bytes stay with the driver.
package final class SMTPClientTransaction: Sendable {
    /// Chosen by the driver, different for all transactions of one session.
    package let id: SMTPTransactionID
    package let sender: ReversePath
    package let recipients: [SMTPRecipient]
    /// Octets of the message with CRLF line ends, without dot-stuffing; nil if not known yet (streaming only).
    package let byteCount: Int?
    package let utf8: Bool
    /// Whether the message holds bytes above 127.
    package let eightBit: Bool
    /// The message's name, for a storage node; each recipient then has its mailbox.
    package let name: MessageIdentity?
    /// Whether this name may have been delivered before.
    package let isRepeat: Bool
    /// Whether a storage node puts no `Delivered-To:` on top, so that all copies are the same.
    package let isAlike: Bool
    /// What the text is, for a storage node or another site.
    package let content: HopContent
    /// The sites that it has been at; nil for what the receiver is not to pass on to sites.
    package let sitePath: SitePath?
    /// Whether the text is sent only when a recipient was accepted, also where it could be sent without asking: for one that is
    /// so large that it would cost more than to wait for the answer.
    package let asksFirst: Bool

    package init(
        id: SMTPTransactionID, sender: ReversePath, recipients: [SMTPRecipient], byteCount: Int?, utf8: Bool = false,
        eightBit: Bool = true, name: MessageIdentity? = nil, isRepeat: Bool = false, isAlike: Bool = false,
        content: HopContent = .message, sitePath: SitePath? = nil, asksFirst: Bool = false
    ) {
        self.id = id
        self.sender = sender
        self.recipients = recipients
        self.byteCount = byteCount
        self.utf8 = utf8
        self.eightBit = eightBit
        self.name = name
        self.isRepeat = isRepeat
        self.isAlike = isAlike
        self.content = content
        self.sitePath = sitePath
        self.asksFirst = asksFirst
    }
}
