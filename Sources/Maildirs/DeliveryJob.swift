import Mail

/// One recipient's copy of a message on its way to `new/`.
///
/// Unchecked: it has one owner at a time: the writer, then the queue, then one worker.
final class DeliveryJob: @unchecked Sendable {
    /// Where the message's bytes are.
    enum Body {
        case memory(BodyBuffer)
        /// In this recipient's own `tmp/` file, header and all; shared if other recipients have that file too.
        case spilled(Spill, isShared: Bool)
        /// In another recipient's file, which has been synced, and is this one's too.
        case shared(Spill, length: Int)
        /// In another recipient's file, which has been synced.
        case copied(from: Spill, length: Int)
        /// Let go after it was written.
        case written
    }

    let identity: MessageIdentity
    let recipient: DeliveryRecipient
    /// Where it waits for other sites.
    let spools: [MailboxFolder]
    let size: DeliverySize
    let mayBeRepeat: Bool
    var body: Body
    /// The message's other recipients, who wait until this one's file is synced; told whether it was.
    var afterSync: ((Result<Void, MaildirError>) -> Void)?
    /// Of its file, when they are known.
    private var sums: FileSums?
    private var answer: ((Result<CommitOutcome, MaildirError>) -> Void)?

    init(
        identity: MessageIdentity, recipient: DeliveryRecipient, size: DeliverySize, mayBeRepeat: Bool, body: Body,
        answer: @escaping (Result<CommitOutcome, MaildirError>) -> Void
    ) {
        self.identity = identity
        self.recipient = recipient
        spools = recipient.sites.folders(of: MailboxKey(mailbox: recipient.mailbox, partition: recipient.partition))
        self.size = size
        self.mayBeRepeat = mayBeRepeat
        self.body = body
        self.answer = answer
    }

    var folder: MailboxFolder { recipient.folder }
    private var header: [UInt8] { recipient.header }

    /// Whether its bytes are still here.
    var canBeWritten: Bool {
        switch body {
        case .memory, .copied: true
        case .spilled, .shared, .written: false
        }
    }

    /// The name of its file in `new/`, once that has been written.
    var fileName: String {
        guard let sums else { preconditionFailure("\(identity): named before it was written") }
        return MessageFileName(
            identity: identity, diskOctets: size.disk, wireOctets: size.wire, checksum: sums.checksum,
            digest: sums.digest
        ).text
    }

    /// The message as tombstones may name it. A copy of another recipient's file has the same content as that.
    var named: NamedMessage {
        if case .memory(let buffer) = body, sums == nil { sums = sums(of: buffer) }
        let digest =
            switch body {
            case .copied(let spill, _), .shared(let spill, _): digest(from: spill)
            default: sums?.digest
            }
        let text = Array(identity.text.utf8)
        guard let digest, let seconds = text.withUnsafeBytes(MessageNameBytes.mintedSeconds) else {
            return NamedMessage(identity: text, content: nil)
        }
        return NamedMessage(identity: text, content: MessageContent(digest: digest, seconds: seconds))
    }

    /// Nil where each recipient's is another.
    private func digest(from spill: Spill) -> ContentDigest? {
        spill.countsRecipient || recipient.isQueued ? nil : spill.finishSums().digest
    }

    /// Its bytes go to `file` now.
    func fill(_ file: OpenFile, _ name: String) throws(MaildirError) {
        switch body {
        case .memory(let buffer):
            try file.write(header, buffer.bytes, name: name)
            sums = sums ?? sums(of: buffer)
        case .copied(let spill, let length):
            var running = RunningFileSums(countsRecipient: recipient.isQueued)
            try file.write(header, name: name)
            running.add(header)
            try spill.copyBody(length: length, to: file, name: name, &running)
            sums = running.finish()
        case .spilled, .shared, .written:
            preconditionFailure("\(name): nothing to write")
        }
    }

    /// The whole of it is in its file.
    func finish(_ spill: Spill) { sums = spill.finishSums() }

    private func sums(of buffer: BodyBuffer) -> FileSums {
        var running = RunningFileSums(countsRecipient: recipient.isQueued)
        running.add(header)
        running.add(buffer.bytes)
        return running.finish()
    }

    /// Tells the outcome, once; what is told later is not heard.
    func finish(_ outcome: Result<CommitOutcome, MaildirError>) {
        synced(outcome.map { _ in })
        body = .written
        guard let answer else { return }
        self.answer = nil
        answer(outcome)
    }

    func synced(_ result: Result<Void, MaildirError>) {
        guard let afterSync else { return }
        self.afterSync = nil
        afterSync(result)
    }
}

/// The octets of a delivered file, on disk and as POP3 sends them.
struct DeliverySize: Sendable {
    let disk: Int
    let wire: Int
}
