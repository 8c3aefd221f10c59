import Cluster
import CoreMetrics
import Logging
import Mail
import Maildirs
import Membership

/// Reads through this node's own messages, slowly, and compares each with what its name promises: disks lose bits without
/// a word. A damaged copy is replaced by another owner's, and put into quarantine.
struct Scrub {
    let replicator: Replicator
    /// Bytes a second; 0: everything at once.
    let rate: Int
    /// From the beginning of one pass to the next.
    let interval: Duration

    /// Runs until it is cancelled. Each pass begins anywhere, so that a node that is restarted often reads all the same.
    func run() async {
        guard rate > 0 else { return }
        let clock = ContinuousClock()
        while !Task.isCancelled {
            let next = clock.now + interval
            var report = ScrubReport()
            var pace = Resting(rate: rate)
            let first = Int.random(in: 0..<replicator.peers.map.ring.partitions)
            await scrub(from: first, until: { _ in false }, &report, &pace)
            let mark = String(first)
            await scrub(from: nil, until: { String($0.partition) >= mark }, &report, &pace)
            await scrubHeld(&report, &pace)
            replicator.log.info("scrubbed", metadata: report.metadata)
            try? await Task.sleep(until: next, clock: clock)
        }
    }

    /// What waits here for other nodes: a damaged copy is not handed over.
    private func scrubHeld(_ report: inout ScrubReport, _ pace: inout Resting) async {
        for target in (try? await replicator.store.targets()) ?? [] {
            var pages = replicator.store.pages(heldFor: target)
            while !Task.isCancelled, let page = await pages.next() {
                note(page.failure, &report)
                for key in page.keys where !Task.isCancelled {
                    await scrub(key, heldFor: target, &report, &pace)
                }
            }
        }
    }

    /// In the order of their folders, from a partition on (nil: from the first) until one is reached that is not meant.
    private func scrub(
        from partition: Int?, until isEnd: (MailboxKey) -> Bool, _ report: inout ScrubReport, _ pace: inout Resting
    ) async {
        var pages = replicator.store.pages(from: partition)
        while !Task.isCancelled, let page = await pages.next() {
            note(page.failure, &report)
            for key in page.keys {
                guard !isEnd(key), !Task.isCancelled else { return }
                await scrub(key, &report, &pace)
            }
        }
    }

    private func note(_ failure: MaildirError?, _ report: inout ScrubReport) {
        guard let failure, failure != .shutDown else { return }
        replicator.log.error("scrub", metadata: ["error": "\(failure)"])
        report.failures += 1
    }

    private func scrub(
        _ key: MailboxKey, heldFor target: SpoolTarget? = nil, _ report: inout ScrubReport, _ pace: inout Resting
    ) async {
        do throws(MaildirError) {
            let snapshot = try await replicator.store.snapshot(of: key, heldFor: target)
            for index in 0..<snapshot.count {
                // A name that promises nothing is not worth reading.
                guard !Task.isCancelled else { return }
                guard snapshot.promise(at: index) != nil else { continue }
                let damage = try await damage(of: index, in: snapshot, &report, &pace)
                if let damage { await mend(DamagedCopy(key, heldFor: target, snapshot, index, damage), &report) }
            }
        } catch {
            replicator.log.error("scrub", metadata: ["mailbox": "\(key.mailbox)", "error": "\(error)"])
            report.failures += 1
        }
    }

    // MARK: comparing

    /// Nil if the copy is what its name promises, or is not there any more.
    private func damage(
        of index: Int, in snapshot: MaildropSnapshot, _ report: inout ScrubReport, _ pace: inout Resting
    ) async throws(MaildirError) -> CopyDamage? {
        do throws(MaildirError) {
            guard let reader = try await replicator.store.reader(of: index, in: snapshot) else { return nil }
            defer { reader.close() }
            report.messages += 1
            replicator.metrics.messagesScrubbed.increment()
            var octets = 0
            while case let piece = try await reader.next(), !piece.isEmpty {
                octets += piece.count
                report.octets += piece.count
                await pace.rest(after: piece.count)
            }
            return octets < reader.size ? .size(octets, reader.size) : nil
        } catch .damaged(let damage, _) {
            return damage
        } catch {
            if error.isDamage { return .unreadable("\(error)") }
            throw error
        }
    }

    // MARK: mending

    private struct DamagedCopy {
        let key: MailboxKey
        let target: SpoolTarget?
        let snapshot: MaildropSnapshot
        let index: Int
        let damage: CopyDamage
        let name: MessageIdentity?

        init(
            _ key: MailboxKey, heldFor target: SpoolTarget?, _ snapshot: MaildropSnapshot, _ index: Int,
            _ damage: CopyDamage
        ) {
            self.key = key
            self.target = target
            self.snapshot = snapshot
            self.index = index
            self.damage = damage
            name = MessageIdentity(snapshot.uidl(at: index))
        }
    }

    private func mend(_ copy: DamagedCopy, _ report: inout ScrubReport) async {
        var log = replicator.log
        log[metadataKey: "mailbox"] = "\(copy.key.mailbox)"
        log[metadataKey: "message"] = "\(copy.snapshot.uidl(at: copy.index))"
        replicator.metrics.damagedCopies.increment()
        report.damaged += 1
        log.error("a copy is damaged", metadata: ["damage": "\(copy.damage)"])
        for peer in replicator.peers.owners(of: copy.key.mailbox) {
            switch await replace(copy, from: peer, log) {
            case .replaced(let quarantine):
                replicator.metrics.damagedCopiesReplaced.increment()
                report.replaced += 1
                return log.notice(
                    "the damaged copy is replaced", metadata: ["node": "\(peer.name)", "quarantine": "\(quarantine)"])
            case .gone: return log.info("the damaged copy is gone")
            case .different, nil: continue
            }
        }
        replicator.metrics.damagedCopiesLeft.increment()
        log.error(
            "the damaged copy stays: no other owner has a good one now",
            metadata: ["file": "\(copy.snapshot.file(at: copy.index))"])
    }

    /// Nil if the node has no copy to give now.
    private func replace(_ copy: DamagedCopy, from peer: Peer, _ log: Logger) async -> ReplacementOutcome? {
        guard let name = copy.name, peer.isReachable else { return nil }
        let remote = peer.replica(of: copy.key.mailbox)
        defer { remote.quit() }
        do {
            guard let number = try await remote.contents().numbers[name.text] else { return nil }
            let recipient = DeliveryRecipient(
                mailbox: copy.key.mailbox, partition: copy.key.partition, header: [], heldFor: copy.target)
            let writer = replicator.store.writer(identity: name, mayBeRepeat: true, recipients: [recipient])
            do {
                guard try await remote.read(number, into: writer) else {
                    writer.discard()
                    return nil
                }
            } catch {
                writer.discard()
                throw error
            }
            let outcome = try await writer.commit(replacing: copy.index, of: copy.snapshot)
            if outcome == .different {
                log.warning("another node's copy is another one, too", metadata: ["node": "\(peer.name)"])
            }
            return outcome
        } catch {
            log.warning("no copy", metadata: ["node": "\(peer.name)", "reason": "\(error)"])
            return nil
        }
    }
}

/// What a scrub did.
struct ScrubReport: Sendable {
    /// Read and compared, and their octets.
    var messages = 0
    var octets = 0
    var damaged = 0
    /// Of these, how many have been replaced by good ones.
    var replaced = 0
    /// Mailboxes that could not be read through, and folders of mailboxes that could not be listed.
    var failures = 0

    var metadata: Logger.Metadata {
        [
            "messages": "\(messages)", "octets": "\(octets)", "damaged": "\(damaged)", "replaced": "\(replaced)",
            "failures": "\(failures)",
        ]
    }
}
