import Logging
import Mail
import Maildirs

/// Whoever takes what waits in a spool: another storage node, or another site.
protocol SpoolTaker: Sendable {
    var name: String { get }
    /// - Parameter path: the sites that it has been at.
    func take(_ cargo: ReplicaPeers.Cargo, of mailbox: MailboxName, at path: SitePath) async -> Verdict
}

/// A message or tombstone that is not taken, for a reason that is its own.
struct SpoolRefusal: Hashable, Sendable {
    let name: String
    let reason: Reason
}

/// Carries what waits in one mailbox to one that takes it. Nothing is removed here.
struct SpoolCarriage {
    let snapshot: MaildropSnapshot
    let taker: any SpoolTaker
    let store: MaildirStore
    let log: Logger
    /// Messages that are on their way at the same time.
    var inFlightMax = 8
    /// Octets of these together; one message alone may be larger.
    var octetsInFlightMax = Int.max
    /// What was refused before, and is not told again.
    var known: Set<SpoolRefusal> = []
    /// Done with a message before it is carried.
    var prepare: @Sendable (Int) async throws(MaildirError) -> Void = { _ in }
    /// Done with a copy that is damaged; whether it is good then, or gone.
    var mend: @Sendable (Int) async -> Bool = { _ in false }

    /// The tombstones that were taken, those that were refused, and whether none was deferred.
    func carry(
        _ tombstones: [String]
    ) async throws(MaildirError) -> (taken: [MessageIdentity], refused: [SpoolRefusal], isWhole: Bool) {
        var taken: [MessageIdentity] = []
        var refused: [SpoolRefusal] = []
        for name in tombstones.compactMap({ MessageIdentity($0) }) {
            guard let tombstone = try await store.tombstone(name, in: snapshot) else { continue }
            switch await taker.take(.tombstone(tombstone), of: snapshot.mailbox, at: .origin) {
            case .accepted: taken.append(name)
            case .deferred: return (taken, refused, false)
            case .refused(let reason): refused.append(told(name.text, reason))
            }
        }
        return (taken, refused, true)
    }

    private func told(_ name: String, _ reason: Reason) -> SpoolRefusal {
        let refusal = SpoolRefusal(name: name, reason: reason)
        if known.contains(refusal) { return refusal }
        log.error(
            "a copy is refused",
            metadata: [
                "message": "\(name)", "mailbox": "\(snapshot.mailbox)", "to": "\(taker.name)", "reason": "\(reason)",
            ])
        return refusal
    }

    /// The messages that were taken, those that were refused, and whether none was deferred.
    func carry(_ messages: [Int]) async -> (taken: [Int], refused: [SpoolRefusal], isWhole: Bool) {
        await withTaskGroup(of: (Int, Verdict?).self) { group in
            var taken: [Int] = []
            var refused: [SpoolRefusal] = []
            var next = 0
            var answered = 0
            var octets = 0
            var hasFailed = false
            while true {
                while next < messages.count, next < answered + inFlightMax, !hasFailed {
                    let index = messages[next]
                    let size = snapshot.octets(at: index)
                    guard next == answered || size <= octetsInFlightMax - octets else { break }
                    octets += size
                    group.addTask { (index, await carryMessage(index)) }
                    next += 1
                }
                guard let (index, verdict) = await group.next() else { return (taken, refused, !hasFailed) }
                answered += 1
                octets -= snapshot.octets(at: index)
                switch verdict {
                case .accepted: taken.append(index)
                case .deferred: hasFailed = true
                case nil: break
                // One bad file never holds up those behind it.
                case .refused(let reason): refused.append(told(snapshot.uidl(at: index), reason))
                }
            }
        }
    }

    private enum Outcome {
        /// Nil if the message is gone: somebody else handed it over, or it was deleted.
        case told(Verdict?)
        case damaged(CopyDamage)
    }

    private func carryMessage(_ index: Int) async -> Verdict? {
        var outcome = await carryOnce(index)
        if case .damaged = outcome, await mend(index) { outcome = await carryOnce(index) }
        switch outcome {
        case .told(let verdict): return verdict
        case .damaged(let damage): return .refused(Reason(554, "5.6.0", "the copy is damaged: \(damage)"))
        }
    }

    private func carryOnce(_ index: Int) async -> Outcome {
        guard let name = MessageIdentity(snapshot.uidl(at: index)) else { return .told(.deferred(.unexpected)) }
        let reader: MessageReader
        do throws(MaildirError) {
            try await prepare(index)
            guard let found = try await store.reader(of: index, in: snapshot) else { return .told(nil) }
            reader = found
        } catch {
            if error.isDamage { return .damaged(.unreadable("\(error)")) }
            return .told(.deferred(Reason(451, "4.3.0", "\(error)")))
        }
        defer { reader.close() }
        if let damage = reader.damage { return .damaged(damage) }
        let verdict = await taker.take(
            .message(name, reader), of: snapshot.mailbox, at: snapshot.sitePath(at: index))
        if let damage = reader.damage { return .damaged(damage) }
        return .told(verdict)
    }
}
