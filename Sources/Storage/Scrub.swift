import Cluster
import CoreMetrics
import Logging
import Mail
import Maildirs
import Membership

/// Reads through this node's own messages, slowly, and compares each with what its name promises: disks lose bits without
/// a word. A damaged copy is mended.
struct Scrub {
    let replicator: Replicator
    let mender: CopyMender
    /// Bytes a second; 0: nothing is read.
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
                report.messages += 1
                replicator.metrics.messagesScrubbed.increment()
                let damage = try await mender.damage(of: index, in: snapshot) { octets in
                    report.octets += octets
                    await pace.rest(after: octets)
                }
                guard damage != nil else { continue }
                report.damaged += 1
                let suspect = CopyMender.Suspect(key: key, target: target, uidl: snapshot.uidl(at: index))
                let outcome = await mender.mend(suspect)
                if outcome == .mended { report.mended += 1 }
            }
        } catch {
            replicator.log.error("scrub", metadata: ["mailbox": "\(key.mailbox)", "error": "\(error)"])
            report.failures += 1
        }
    }
}

/// What a scrub did.
struct ScrubReport: Sendable {
    /// Read and compared, and their octets.
    var messages = 0
    var octets = 0
    var damaged = 0
    /// Of these, how many have been replaced by good ones, or are gone.
    var mended = 0
    /// Mailboxes that could not be read through, and folders of mailboxes that could not be listed.
    var failures = 0

    var metadata: Logger.Metadata {
        [
            "messages": "\(messages)", "octets": "\(octets)", "damaged": "\(damaged)", "mended": "\(mended)",
            "failures": "\(failures)",
        ]
    }
}
