package import Mail

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

    /// For AUTH PLAIN (RFC 4616).
    package struct Credentials: Hashable, Sendable {
        package var user: String
        package var password: String

        package init(user: String, password: String) {
            self.user = user
            self.password = password
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
    /// Transactions that are sent before the outcome of the first is known. More than 1 only towards servers that end
    /// a transaction with its last chunk even if they refuse it, as ours do.
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
    /// The largest message it takes, if it said SIZE with a number that is not 0 (RFC 1870 §3).
    package var messageBytesMax: Int?
    /// RFC 9422: recipients of one message.
    package var recipientsMax: Int?
    /// In upper case.
    package var mechanisms: [String] = []

    package init() {}

    mutating func read(_ line: Substring) {
        let words = line.uppercased().split(separator: " ")
        switch words.first {
        case "PIPELINING": pipelining = true
        case "CHUNKING": chunking = true
        case "8BITMIME": eightBit = true
        case "SMTPUTF8": utf8 = true
        case "STARTTLS": startTLS = true
        case "XHAUBERK": isStorageNode = true
        case "SIZE": messageBytesMax = words.dropFirst().first.flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
        case "AUTH": mechanisms = words.dropFirst().map(String.init)
        case "LIMITS":
            for word in words where word.hasPrefix("RCPTMAX=") { recipientsMax = Int(word.dropFirst(8)) }
        default: break
        }
    }
}

/// One message to be sent: its envelope and its size. The bytes stay with the driver.
package struct SMTPClientTransaction: Hashable, Sendable {
    /// Chosen by the driver, different for all transactions of one session.
    package var id: SMTPTransactionID
    package var sender: ReversePath
    package var recipients: [SMTPRecipient]
    /// Octets of the message with CRLF line ends, without dot-stuffing; nil if not known yet (streaming only).
    package var byteCount: Int?
    package var utf8: Bool
    /// Whether the message holds bytes above 127.
    package var eightBit: Bool
    /// The message's name, for a storage node; each recipient then has its mailbox.
    package var name: MessageIdentity?
    /// Whether this name may have been delivered before.
    package var isRepeat: Bool
    /// What the text is, for a storage node.
    package var content: HopContent

    package init(
        id: SMTPTransactionID, sender: ReversePath, recipients: [SMTPRecipient], byteCount: Int?, utf8: Bool = false,
        eightBit: Bool = true, name: MessageIdentity? = nil, isRepeat: Bool = false, content: HopContent = .message
    ) {
        self.id = id
        self.sender = sender
        self.recipients = recipients
        self.byteCount = byteCount
        self.utf8 = utf8
        self.eightBit = eightBit
        self.name = name
        self.isRepeat = isRepeat
        self.content = content
    }
}
