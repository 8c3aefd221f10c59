import Cluster
import Glibc
import Logging
import Mail
import Maildirs
import Membership

/// A relay's queues as this node has them: it reads those of which it is the first owner that is there.
actor RelayQueues {
    enum Failure: Error {
        /// It was sent, or is not there any more.
        case gone
        /// Another owner sends it.
        case othersQueue
        case unreadable(String)
    }

    private struct Queue {
        /// Without what was sent again by who lost our answer.
        var shown: ShownMessages
        /// Where the next message is likely to be.
        var next = 0
        /// Sent, and to be deleted with others.
        var done: [Done] = []
        var deletion: Task<Void, Never>?

        mutating func find(_ uidl: String) -> Int? {
            for step in 0..<shown.count {
                let position = (next + step) % shown.count
                guard shown.uidl(at: position) == uidl else { continue }
                next = position + 1
                return shown.index(at: position)
            }
            return nil
        }
    }

    private struct Done {
        let snapshot: MaildropSnapshot
        let index: Int
        let finished: CheckedContinuation<Void, Never>
    }

    private let mailboxes: [MailboxName]
    private let replicator: Replicator
    private let mender: CopyMender
    private let openMailboxes: OpenMailboxes
    private var queues: [Int: Queue] = [:]
    private var isEnding = false

    init(relay: String, replicator: Replicator, mender: CopyMender, openMailboxes: OpenMailboxes) {
        mailboxes = (0..<RelayQueue.count).map { RelayQueue(relay: relay, number: $0).mailbox }
        self.replicator = replicator
        self.mender = mender
        self.openMailboxes = openMailboxes
    }

    /// Whether a queue has several owners, of which another may be sending.
    nonisolated var areShared: Bool { replicator.peers.map.ring.replicas > 1 }

    /// Whether this node sends what is in a queue.
    nonisolated func leads(_ number: Int) -> Bool {
        let peers = replicator.peers
        guard let own = peers.own else { return false }
        return peers.map.ring.owners(of: mailboxes[number]).first { $0 == own || peers.isReachable($0) } == own
    }

    /// Names begin with the second in which the message came.
    nonisolated func entry(_ number: Int, _ uidl: String, octets: Int) -> SpoolEntry {
        let birth = Int64(uidl.prefix { $0.isASCII && $0.isNumber })
        return SpoolEntry(
            name: "\(number)/\(uidl)", birth: birth ?? Int64(time(nil)), bytes: octets, mailbox: "\(number)")
    }

    private nonisolated func place(_ entry: SpoolEntry) -> (number: Int, uidl: String) {
        let parts = entry.name.split(separator: "/", maxSplits: 1)
        guard parts.count == 2, let number = Int(parts[0]) else { preconditionFailure("a message named \(entry.name)") }
        return (number, String(parts[1]))
    }

    // MARK: what waits

    /// What is in a queue, once what its other owners have and have deleted is known; empty if it is another's.
    func list(_ number: Int) async -> [SpoolEntry] {
        guard leads(number), await replicator.prepareOpening(mailboxes[number]), await refresh(number),
            let shown = queues[number]?.shown
        else { return [] }
        return (0..<shown.count).map { entry(number, shown.uidl(at: $0), octets: shown.octets(at: $0)) }
    }

    /// How much is in a queue that this node sends, and when the oldest of it came, in seconds since 1970.
    func count(_ number: Int) async -> (messages: Int, octets: Int, oldest: Int64?)? {
        guard leads(number), let snapshot = try? await replicator.store.snapshot(of: key(number)) else { return nil }
        let shown = ShownMessages(snapshot, isWhole: false)
        let oldest = shown.count > 0 ? entry(number, shown.uidl(at: 0), octets: 0).birth : nil
        return (shown.count, shown.octets, oldest)
    }

    private nonisolated func key(_ number: Int) -> MailboxKey { replicator.key(of: mailboxes[number]) }

    private func refresh(_ number: Int) async -> Bool {
        guard let snapshot = try? await replicator.store.snapshot(of: key(number)) else { return false }
        guard snapshot.count > 0 || queues[number]?.deletion != nil else {
            if queues.removeValue(forKey: number) != nil { openMailboxes.closed(mailboxes[number]) }
            return true
        }
        var queue = opened(number, snapshot)
        queue.shown = ShownMessages(snapshot, isWhole: false)
        queue.next = 0
        queues[number] = queue
        return true
    }

    /// While a queue is open here, nobody moves it away.
    private func opened(_ number: Int, _ snapshot: MaildropSnapshot) -> Queue {
        if let queue = queues[number] { return queue }
        openMailboxes.opened(mailboxes[number])
        return Queue(shown: ShownMessages(snapshot, isWhole: false))
    }

    /// A message that is to be sent; whoever gets it closes it.
    func read(_ entry: SpoolEntry) async throws(Failure) -> RelayMessage {
        let store = replicator.store
        return try await open(entry) { reader, snapshot, index async throws(MaildirError) in
            try await RelayMessage.read(reader) { () async throws(MaildirError) in
                try await store.reader(of: index, in: snapshot)
            }
        }
    }

    /// The beginning of a message.
    func read(_ entry: SpoolEntry, keeping bytesMax: Int) async throws(Failure) -> QueuedText {
        try await open(entry) { reader, _, _ async throws(MaildirError) in
            try await QueuedText(reader, keeping: bytesMax)
        }
    }

    private func open<Message: Sendable>(
        _ entry: SpoolEntry,
        _ read: @Sendable (MessageReader, MaildropSnapshot, Int) async throws(MaildirError) -> Message?
    ) async throws(Failure) -> Message {
        let (number, uidl) = place(entry)
        guard leads(number) else { throw .othersQueue }
        let (snapshot, index) = try await find(number, uidl)
        @Sendable func readOnce() async throws(MaildirError) -> Message?? {
            guard let reader = try await replicator.store.reader(of: index, in: snapshot) else { return nil }
            defer { reader.close() }
            return .some(try await read(reader, snapshot, index))
        }
        let message: Message??
        do throws(MaildirError) {
            message = try await readOnce()
        } catch {
            guard error.isDamage, await mender.mend(CopyMender.Suspect(key: key(number), uidl: uidl)) == .mended else {
                throw .unreadable("\(error)")
            }
            do throws(MaildirError) { message = try await readOnce() } catch { throw .unreadable("\(error)") }
        }
        guard let found = message else { throw .gone }
        guard let found else { throw .unreadable("the file does not begin with Return-Path: and Delivered-To:") }
        return found
    }

    private func find(_ number: Int, _ uidl: String) async throws(Failure) -> (MaildropSnapshot, Int) {
        if let place = look(number, uidl) { return place }
        // It has come since the queue was listed.
        guard await refresh(number) else { throw .unreadable("the queue cannot be listed") }
        guard let place = look(number, uidl) else { throw .gone }
        return place
    }

    private func look(_ number: Int, _ uidl: String) -> (MaildropSnapshot, Int)? {
        guard let snapshot = queues[number]?.shown.snapshot, let index = queues[number]?.find(uidl) else { return nil }
        return (snapshot, index)
    }

    // MARK: what was sent

    /// Deletes a message on all owners. Those of one queue that were sent meanwhile are deleted together.
    func delete(_ entry: SpoolEntry) async {
        let (number, uidl) = place(entry)
        guard let (snapshot, index) = try? await find(number, uidl) else { return }
        await withCheckedContinuation { finished in
            var queue = opened(number, snapshot)
            queue.done.append(Done(snapshot: snapshot, index: index, finished: finished))
            if queue.deletion == nil { queue.deletion = Task { await deleteAll(of: number) } }
            queues[number] = queue
        }
    }

    private func deleteAll(of number: Int) async {
        while let batch = queues[number]?.done, !batch.isEmpty {
            queues[number]?.done = []
            for (_, group) in Dictionary(grouping: batch, by: { ObjectIdentifier($0.snapshot) }) {
                await delete(group, of: number)
            }
        }
        queues[number]?.deletion = nil
    }

    /// Until it is done: a message that was sent must not be sent again.
    private func delete(_ group: [Done], of number: Int) async {
        while true {
            do throws(MaildirError) {
                let outcome = try await replicator.store.delete(group.map(\.index), of: group[0].snapshot)
                if await !replicator.replicate(outcome.tombstones, of: mailboxes[number]) {
                    replicator.log.error(
                        "too few nodes know what was sent", metadata: ["queue": "\(mailboxes[number])"])
                }
                break
            } catch {
                replicator.log.error(
                    "cannot remember what was sent",
                    metadata: ["queue": "\(mailboxes[number])", "messages": "\(group.count)", "reason": "\(error)"])
                if isEnding { break }
                try? await Task.sleep(for: .seconds(1))
            }
        }
        for done in group { done.finished.resume() }
    }

    /// Nothing is sent any more: waits until what was sent is deleted.
    func finish() async {
        isEnding = true
        for deletion in queues.values.compactMap(\.deletion) { await deletion.value }
        for number in queues.keys { openMailboxes.closed(mailboxes[number]) }
        queues = [:]
    }
}
