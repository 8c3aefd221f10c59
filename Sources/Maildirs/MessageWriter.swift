import Glibc
import Mail
import Synchronization

/// One message on its way to one or more mailboxes of this node. To be used from one thread, such as an event loop.
///
/// A small message stays in memory until `commit`; of a large one the caller calls `flush` when `wantsFlush` says so, and
/// stops feeding until that is done. Recipients whose copies would be the same, byte for byte, have one file together, with
/// a name in each mailbox. What is dropped without `commit` leaves nothing behind.
///
/// Unchecked: one thread uses it, and what the workers share is in `Spooled`.
package final class MessageWriter: @unchecked Sendable {
    /// How much is kept in memory before the caller should call `flush`, in bytes: what two reads of 64 KiB bring, without
    /// the CRs.
    package static let bufferBytesMax = 120 << 10

    private let core: StoreCore
    private let queue: DeliveryQueue
    private let identity: MessageIdentity
    private let mayBeRepeat: Bool
    private let recipients: [DeliveryRecipient]
    private var buffer: BodyBuffer
    private var decoder = LineEndDecoder()
    private var isOver = false
    private let spooled = Spooled(Spooled.State())

    /// What was written ahead of the commit. A failure is remembered and told by `commit`.
    private final class Spooled: Sendable {
        struct State {
            var spill: Spill?
            /// The recipient in whose `tmp/` it is.
            var index = 0
            var failure: MaildirError?
            /// The message was discarded while a worker spooled it.
            var isDiscarded = false
        }

        let state: Mutex<State>

        init(_ state: State) { self.state = Mutex(state) }
    }

    init(
        core: StoreCore, queue: DeliveryQueue, identity: MessageIdentity, mayBeRepeat: Bool,
        recipients: [DeliveryRecipient]
    ) {
        self.core = core
        self.queue = queue
        self.identity = identity
        self.mayBeRepeat = mayBeRepeat
        self.recipients = recipients
        buffer = BodyBuffer(capacity: 8 << 10)
    }

    /// Takes the next bytes of the message as they came over the wire, with CRLF line ends.
    package func append(_ bytes: UnsafeRawBufferPointer) {
        precondition(!isOver, "\(identity): append after the message's end")
        decoder.append(bytes, to: buffer)
    }

    /// Octets taken so far, without the recipients' headers, as they will lie on disk and as POP3 will send them.
    package var octets: (disk: Int, wire: Int) { (decoder.size.diskOctets, decoder.size.wireOctets) }

    /// Whether so much is buffered that the caller should stop feeding, and call `flush`.
    package var wantsFlush: Bool { buffer.count >= Self.bufferBytesMax }

    /// Writes what is buffered to a file in `tmp/`, on a worker; nothing may be appended until `then` is called, there.
    /// After an error the message can only be discarded, or committed to hear the error again.
    package func flush(then: @escaping @Sendable (MaildirError?) -> Void) {
        precondition(!isOver, "\(identity): flush after the message's end")
        let (core, spooled, recipients, identity, full) = (core, spooled, recipients, identity, buffer)
        core.write(then: { (result: Result<Void, MaildirError>) in
            full.removeAll()
            guard case .failure(let error) = result else { return then(nil) }
            spooled.state.withLock { $0.failure = $0.failure ?? error }
            then(error)
        }) { () throws(MaildirError) in
            try Self.spool(full, to: spooled, recipients, identity, core)
        }
    }

    /// Has the message delivered, and tells `then` on a worker what became of it, one outcome for each recipient in their
    /// order: once all are known.
    package func commit(then: @escaping @Sendable ([Result<CommitOutcome, MaildirError>]) -> Void) {
        precondition(!isOver, "\(identity): commit after the message's end")
        isOver = true
        decoder.finish(buffer)
        let (body, state) = (buffer, spooled.state.withLock { $0 })
        let size = decoder.size
        buffer = BodyBuffer(capacity: 0)
        spooled.state.withLock { $0 = Spooled.State() }
        guard !recipients.isEmpty else { return then([]) }
        let commit = MessageCommit(
            identity: identity, recipients: recipients, mayBeRepeat: mayBeRepeat, size: size,
            outcomes: CommitOutcomes(count: recipients.count, then: then), queue: queue)
        if let failure = core.isShutDown.load(ordering: .relaxed) ? .shutDown : state.failure {
            return commit.fail(failure)
        }
        if state.spill == nil, !MessageCommit.canShare(recipients) { return commit.deliver(body) }
        let isAccepted = core.deliveries.submit { [spooled = Spooled(state), core] in
            do throws(MaildirError) {
                try Self.spool(body, to: spooled, commit.recipients, commit.identity, core)
                let state = spooled.state.withLock { $0 }
                guard let spill = state.spill else { throw .shutDown }
                commit.deliver(spill, of: state.index)
            } catch {
                commit.fail(error)
            }
        }
        if !isAccepted { commit.fail(.shutDown) }
    }

    /// Puts the message in the place of a damaged copy, and tells `then` on a worker what became of that. The message must be
    /// what the copy's name promises, and go to its mailbox.
    package func commit(
        replacing index: Int, of snapshot: MaildropSnapshot,
        then: @escaping @Sendable (Result<ReplacementOutcome, MaildirError>) -> Void
    ) {
        precondition(!isOver, "\(identity): commit after the message's end")
        precondition(recipients.map(\.folder) == [snapshot.folder], "\(identity): a copy of another mailbox's")
        isOver = true
        decoder.finish(buffer)
        let rest = buffer
        buffer = BodyBuffer(capacity: 0)
        let (core, spooled, recipients, identity) = (core, spooled, recipients, identity)
        core.remove(then: then) { () throws(MaildirError) in
            try Self.spool(rest, to: spooled, recipients, identity, core)
            guard let spill = spooled.state.withLock({ $0.spill.take() }) else { throw .shutDown }
            return try Replacement(core: core, snapshot: snapshot, index: index, spill: spill).run()
        }
    }

    /// Forgets the message; nothing stays on disk.
    package func discard() {
        isOver = true
        buffer = BodyBuffer(capacity: 0)
        let spill = spooled.state.withLock { state in
            state.isDiscarded = true
            return state.spill.take()
        }
        _ = consume spill  // Removed on a worker by the last who holds it.
    }

    /// Appends to the spill, which is made with the first piece: in the `tmp/` of the first recipient whose mailbox works.
    private static func spool(
        _ buffer: BodyBuffer, to spooled: Spooled, _ recipients: [DeliveryRecipient], _ identity: MessageIdentity,
        _ core: StoreCore
    ) throws(MaildirError) {
        let known = spooled.state.withLock { $0 }
        if let failure = known.failure { throw failure }
        if let spill = known.spill { return try spill.append(buffer) }
        var failure: MaildirError?
        for (index, recipient) in recipients.enumerated() {
            do throws(MaildirError) {
                let spill = try start(recipient, identity, core)
                spooled.state.withLock { state in
                    if state.isDiscarded { return }
                    state.spill = spill
                    state.index = index
                }
                return try spill.append(buffer)
            } catch {
                failure = failure ?? error
                if spooled.state.withLock({ $0.spill != nil }) || error.isFull { throw error }
            }
        }
        if let failure { throw failure }
    }

    private static func start(
        _ recipient: DeliveryRecipient, _ identity: MessageIdentity, _ core: StoreCore
    ) throws(MaildirError) -> Spill {
        do throws(MaildirError) {
            return try spill(recipient, identity, core)
        } catch {
            guard error.isFolderGone else { throw error }
            core.folders.close(recipient.folder)
            return try spill(recipient, identity, core)
        }
    }

    private static func spill(
        _ recipient: DeliveryRecipient, _ identity: MessageIdentity, _ core: StoreCore
    ) throws(MaildirError) -> Spill {
        let folder = recipient.folder
        let home = try core.root.withDirectory { root throws(MaildirError) in
            try core.folders.open(folder, in: root)
        }
        let name = core.names.temporary(for: identity)
        let file = try Delivery.create(name, in: home, faults: core.options.faults)
        let spill = Spill(
            core: core, home: home, name: name, file: file, bodyOffset: recipient.header.count,
            countsRecipient: recipient.isQueued)
        try spill.begin(recipient.header)
        return spill
    }
}
