import Mail
import Maildirs

/// The store's operations for async code.
extension MaildirStore {
    func snapshot(
        of key: MailboxKey, heldFor target: SpoolTarget? = nil
    ) async throws(MaildirError) -> MaildropSnapshot {
        if target == nil, let known = openCached(key.mailbox, partition: key.partition) { return known }
        return try await result { open(key.mailbox, partition: key.partition, heldFor: target, then: $0) }
    }

    /// As it is for good: what it lists survives a loss of power.
    func durableSnapshot(of key: MailboxKey) async throws(MaildirError) -> MaildropSnapshot {
        try await result { openDurably(key.mailbox, partition: key.partition, then: $0) }
    }

    /// A message to be copied: a damaged one cannot be read to its end. Nil if it is gone.
    func reader(of index: Int, in snapshot: MaildropSnapshot) async throws(MaildirError) -> MessageReader? {
        try await result { read(index, of: snapshot, comparing: .all, then: $0) }
    }

    /// Nil if there is no such tombstone any more.
    func tombstone(_ name: MessageIdentity, in snapshot: MaildropSnapshot) async throws(MaildirError) -> Tombstone? {
        try await result { tombstone(name, of: snapshot, then: $0) }
    }

    /// - Parameter sites: those that are to have it too, if it is new here.
    func take(
        _ tombstone: Tombstone, for key: MailboxKey, sites: SiteSpools = SiteSpools()
    ) async throws(MaildirError) {
        try await result { deliver(tombstone, to: key.mailbox, partition: key.partition, sites: sites, then: $0) }
    }

    func keep(_ name: MessageIdentity, of key: MailboxKey, for target: SpoolTarget) async throws(MaildirError) {
        try await result { hold(name, of: key.mailbox, partition: key.partition, for: target, then: $0) }
    }

    func restore(
        _ index: Int, of snapshot: MaildropSnapshot, heldFor target: SpoolTarget, sites: SiteSpools
    ) async throws(MaildirError) -> Bool {
        try await result { restore(index, of: snapshot, heldFor: target, sites: sites, then: $0) }
    }

    func letGo(
        messages: [Int], tombstones: [MessageIdentity], of snapshot: MaildropSnapshot
    ) async throws(MaildirError) {
        try await result { release(messages: messages, tombstones: tombstones, of: snapshot, then: $0) }
    }

    func delete(_ indices: [Int], of snapshot: MaildropSnapshot) async throws(MaildirError) -> DeletionOutcome {
        try await result { delete(indices, of: snapshot, then: $0) }
    }

    func targets() async throws(MaildirError) -> [SpoolTarget] {
        if holdsNothing { return [] }
        return try await result { handoffTargets(then: $0) }
    }

    func mailboxes(
        heldFor target: SpoolTarget, after last: MailboxKey?, count: Int
    ) async throws(MaildirError) -> MailboxPage {
        try await result { heldMailboxes(for: target, after: last, count: count, then: $0) }
    }

    func mailboxes(
        from partition: Int? = nil, after last: MailboxKey?, count: Int
    ) async throws(MaildirError) -> MailboxPage {
        try await result { mailboxes(from: partition, after: last, count: count, then: $0) }
    }

    func partitionsOnDisk() async throws(MaildirError) -> [Int] {
        try await result { partitions(then: $0) }
    }

    func mailboxes(
        ofPartition partition: Int, after last: MailboxKey?, count: Int
    ) async throws(MaildirError) -> MailboxPage {
        try await result { mailboxes(ofPartition: partition, after: last, count: count, then: $0) }
    }

    /// Whether nothing is left.
    func purge(_ snapshot: MaildropSnapshot) async throws(MaildirError) -> Bool {
        try await result { purge(snapshot, then: $0) }
    }

    func state(of site: SpoolTarget) async throws(MaildirError) -> SiteState {
        try await result { state(ofSite: site, then: $0) }
    }

    func beginSync(with site: SpoolTarget, token: String) async throws(MaildirError) {
        try await result { beginSync(withSite: site, token: token, then: $0) }
    }

    func endSync(with site: SpoolTarget, token: String) async throws(MaildirError) {
        try await result { endSync(withSite: site, token: token, then: $0) }
    }

    /// How many files came to wait for the site.
    func spool(
        messages: [Int], tombstones: [MessageIdentity], of snapshot: MaildropSnapshot, for site: SpoolTarget
    ) async throws(MaildirError) -> Int {
        try await result {
            spool(messages: messages, tombstones: tombstones, of: snapshot, forSite: site, then: $0)
        }
    }

    /// The last mailbox that was counted in; nil if that was all.
    func countWaiting(
        for site: SpoolTarget, after last: MailboxKey?, mailboxes: Int
    ) async throws(MaildirError) -> MailboxKey? {
        try await result { countWaiting(forSite: site, after: last, mailboxes: mailboxes, then: $0) }
    }

    func setPaused(_ isPaused: Bool, for site: SpoolTarget) async throws(MaildirError) {
        try await result { setPaused(isPaused, forSite: site, then: $0) }
    }

    func sayInService() async throws(MaildirError) {
        try await result { beat(then: $0) }
    }

    private func result<Value: Sendable>(
        _ work: (@escaping @Sendable (Result<Value, MaildirError>) -> Void) -> Void
    ) async throws(MaildirError) -> Value {
        let result = await withCheckedContinuation { done in work { done.resume(returning: $0) } }
        return try result.get()
    }
}

extension MessageReader {
    /// The next piece; empty at the end.
    func next() async throws(MaildirError) -> [UInt8] {
        let piece: Piece = await withCheckedContinuation { done in read { done.resume(returning: $0) } }
        return try piece.get()
    }
}

extension MessageWriter {
    /// What became of the damaged copy in whose place the message was to be put.
    func commit(
        replacing index: Int, of snapshot: MaildropSnapshot
    ) async throws(MaildirError) -> ReplacementOutcome {
        let result: Result<ReplacementOutcome, MaildirError> = await withCheckedContinuation { done in
            commit(replacing: index, of: snapshot) { done.resume(returning: $0) }
        }
        return try result.get()
    }

    /// What became of the message for its only recipient.
    func commitOne() async -> Result<CommitOutcome, MaildirError> {
        await withCheckedContinuation { done in
            commit { done.resume(returning: $0.first ?? .failure(.shutDown)) }
        }
    }
}
