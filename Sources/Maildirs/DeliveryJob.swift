import Mail

/// One recipient's copy of a message on its way to `new/`.
///
/// Unchecked: it has one owner at a time: the writer, then the queue, then one worker.
final class DeliveryJob: @unchecked Sendable {
    /// Where the message's bytes are.
    enum Body {
        case memory(BodyBuffer)
        /// In this recipient's own `tmp/` file, header and all.
        case spilled(Spill)
        /// In another recipient's file, which has been synced.
        case copied(from: Spill, length: Int)
        /// Let go after it was written.
        case written
    }

    let identity: MessageIdentity
    let folder: MailboxFolder
    let fileName: String
    let mayBeRepeat: Bool
    var header: [UInt8]
    var body: Body
    /// The message's other recipients, who wait until this one's file is synced; told whether it was.
    var afterSync: ((Result<Void, MaildirError>) -> Void)?
    private var answer: ((Result<CommitOutcome, MaildirError>) -> Void)?

    init(
        identity: MessageIdentity, folder: MailboxFolder, fileName: String, mayBeRepeat: Bool, header: [UInt8],
        body: Body, answer: @escaping (Result<CommitOutcome, MaildirError>) -> Void
    ) {
        self.identity = identity
        self.folder = folder
        self.fileName = fileName
        self.mayBeRepeat = mayBeRepeat
        self.header = header
        self.body = body
        self.answer = answer
    }

    /// Whether its bytes are still here.
    var canBeWritten: Bool {
        switch body {
        case .memory, .copied: true
        case .spilled, .written: false
        }
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
