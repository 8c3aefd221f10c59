import Cluster
import Hops
import Logging
import Mail
import Maildirs
import Membership
import SMTP

/// Compares this node's mailboxes with another site, and has what the site lacks wait for it here, for `SiteDrain` to carry.
///
/// Asked first is whether the site has the same set of names; where it has not, which of the names it lacks. Nothing is ever
/// removed by it, here or there, and a repeat does nothing. What the site has deleted it does not lack; what was deleted here
/// and the site does not know of goes there as every deletion does, before any message.
struct SiteSync {
    let replicator: Replicator
    let site: SiteLink
    let target: SpoolTarget

    /// How long a step takes at most, but for what one mailbox takes.
    private static let stepTime = Duration.seconds(5)
    private static let mailboxesPerStep = 64
    static let mailboxesAtOnce = 8

    init(_ drain: SiteDrain) {
        replicator = drain.replicator
        site = drain.site
        target = drain.target
    }

    /// Compares the next mailboxes of a partition, those behind `last`.
    func step(partition: Int, after last: MailboxName?) async -> SiteSyncStep {
        var step = SiteSyncStep()
        step.last = last
        step.hasMore = true
        let end = ContinuousClock.now + Self.stepTime
        repeat {
            let page: MailboxPage
            do throws(MaildirError) {
                page = try await replicator.store.mailboxes(
                    ofPartition: partition, after: step.last.map { MailboxKey(mailbox: $0, partition: partition) },
                    count: Self.mailboxesPerStep)
            } catch {
                step.obstacle = "\(error)"
                return step
            }
            if let failure = page.failure {
                step.damaged += 1
                replicator.log.error(
                    "a folder is not compared with the site",
                    metadata: ["site": "\(target.name)", "reason": "\(failure)"])
            }
            let outcomes = await compare(page.keys)
            for (key, outcome) in zip(page.keys, outcomes) {
                step.obstacle = step.obstacle ?? outcome.obstacle
                // Behind an obstacle everything is compared once more.
                step += step.obstacle == nil ? outcome : outcome.unfinished
                if step.obstacle == nil { step.last = key.mailbox }
            }
            if step.obstacle != nil { return step }
            guard let last = page.last else {
                step.hasMore = false
                return step
            }
            step.last = last.mailbox
        } while ContinuousClock.now < end && !Task.isCancelled
        return step
    }

    private func isShared(_ mailbox: MailboxName) -> Bool {
        replicator.sites.spools(mailbox, at: .origin).targets.contains(target)
    }

    private func compare(_ keys: [MailboxKey]) async -> [SiteSyncStep] {
        await withTaskGroup(of: (Int, SiteSyncStep).self) { group in
            var outcomes = Array(repeating: SiteSyncStep(), count: keys.count)
            var running = 0
            for (index, key) in keys.enumerated() where isShared(key.mailbox) {
                if running >= Self.mailboxesAtOnce, let (index, outcome) = await group.next() {
                    outcomes[index] = outcome
                    running -= 1
                }
                group.addTask { (index, await MailboxSync(key: key, sync: self).run()) }
                running += 1
            }
            for await (index, outcome) in group { outcomes[index] = outcome }
            return outcomes
        }
    }
}

/// Compares one mailbox with another site.
struct MailboxSync {
    let key: MailboxKey
    let sync: SiteSync

    /// Questions that are under way at the same time.
    private static let questionsAtOnce = 8
    /// Messages that are linked together.
    private static let messagesAtOnce = 256

    private var store: MaildirStore { sync.replicator.store }
    private var log: Logger { sync.replicator.log }

    /// Why a mailbox is not compared to its end.
    private enum End: Error {
        /// The site does not take the mailbox, and will not.
        case strange(Reason)
        /// Not now.
        case obstacle(String)
    }

    /// An outcome with an obstacle counts what was done; the mailbox is compared anew later.
    func run() async -> SiteSyncStep {
        var step = SiteSyncStep()
        do {
            try await run(&step)
            step.mailboxes = 1
        } catch End.strange(let reason) {
            step.mailboxes = 1
            step.strange = 1
            log.warning(
                "the site does not take a mailbox",
                metadata: ["site": "\(sync.target.name)", "mailbox": "\(key.mailbox)", "reason": "\(reason)"])
        } catch End.obstacle(let why) {
            step.obstacle = why
        } catch {
            step.obstacle = "\(error)"
        }
        return step
    }

    private func run(_ step: inout SiteSyncStep) async throws {
        let snapshot = try await store.snapshot(of: key)
        if snapshot.isEmpty { return }
        let verdict = await sync.site.ask(.digest(snapshot.digest), of: key.mailbox)
        if try answer(verdict, count: 1)?.isAll ?? false {
            step.same = 1
            return
        }
        // What waits already is carried anyway.
        let waiting = try await store.snapshot(of: key, heldFor: sync.target)
        let waitingTombstones = Set(waiting.tombstoneNames)
        let tombstones = snapshot.tombstoneNames.filter { !waitingTombstones.contains($0) }
            .compactMap { MessageIdentity($0) }
        let lackingTombstones = try await lacking(Array(tombstones.indices)) { tombstones[$0] }
        try await spool([], lackingTombstones.map { tombstones[$0] }, of: snapshot, &step)
        let waitingMessages = Set((0..<waiting.count).map(waiting.uidl))
        let messages = (0..<snapshot.count).filter { !waitingMessages.contains(snapshot.uidl(at: $0)) }
        let lackingMessages = try await lacking(messages) { MessageIdentity(snapshot.uidl(at: $0)) }
        try await spoolWhole(lackingMessages, of: snapshot, &step)
        step.offered = snapshot.tombstoneNames.count + snapshot.count
    }

    // MARK: asking

    /// Nil if the site cannot be asked anything.
    private func answer(_ verdict: Verdict, count: Int) throws(End) -> SiteAnswer? {
        if let answer = SiteAnswer(verdict, count: count) { return answer }
        switch verdict {
        case .refused(.answersNothing): return nil
        case .refused(let reason): throw .strange(reason)
        case .deferred(let reason): throw .obstacle("\(reason)")
        case .accepted: throw .obstacle("no answer")
        }
    }

    /// The places of those names that the site lacks, in their order.
    private func lacking(_ places: [Int], _ name: (Int) -> MessageIdentity?) async throws -> [Int] {
        var lacking: [Int] = []
        var next = 0
        try await withThrowingTaskGroup(of: [Int].self) { group in
            var running = 0
            while next < places.count || running > 0 {
                while next < places.count, running < Self.questionsAtOnce {
                    let asked = places[next...].prefix(SiteQuestion.namesMax).compactMap { place in
                        name(place).map { (place, $0) }
                    }
                    next += SiteQuestion.namesMax
                    if asked.isEmpty { continue }
                    running += 1
                    group.addTask {
                        let verdict = await sync.site.ask(.names(asked.map(\.1)), of: key.mailbox)
                        guard let answer = try answer(verdict, count: asked.count) else { return asked.map(\.0) }
                        return zip(asked, answer.lacks).filter { $0.1 }.map { $0.0.0 }
                    }
                }
                guard let found = try await group.next() else { break }
                running -= 1
                lacking += found
            }
        }
        return lacking.sorted()
    }

    // MARK: giving

    /// What is damaged is told, and stays here.
    private func spoolWhole(_ indices: [Int], of snapshot: MaildropSnapshot, _ step: inout SiteSyncStep) async throws {
        var whole: [Int] = []
        for index in indices {
            switch try await copy(index, of: snapshot) {
            case .whole: whole.append(index)
            case .gone: break
            case .damaged: step.damaged += 1
            }
            if whole.count == Self.messagesAtOnce {
                try await spool(whole, [], of: snapshot, &step)
                whole = []
            }
        }
        try await spool(whole, [], of: snapshot, &step)
    }

    private enum Copy { case whole, damaged, gone }

    private func copy(_ index: Int, of snapshot: MaildropSnapshot) async throws -> Copy {
        do throws(MaildirError) {
            guard let reader = try await store.reader(of: index, in: snapshot) else { return .gone }
            defer { reader.close() }
            while try await !reader.next().isEmpty {}
            return .whole
        } catch {
            guard error.isDamage else { throw error }
            log.error(
                "a damaged copy is not given to the site",
                metadata: [
                    "site": "\(sync.target.name)", "file": "\(snapshot.file(at: index))", "damage": "\(error)",
                ])
            return .damaged
        }
    }

    /// As many at a time as the spool has room for; other mailboxes come at the same time.
    private func spool(
        _ messages: [Int], _ tombstones: [MessageIdentity], of snapshot: MaildropSnapshot, _ step: inout SiteSyncStep
    ) async throws {
        var (messages, tombstones) = (messages[...], tombstones[...])
        while !messages.isEmpty || !tombstones.isEmpty {
            let room = store.gauge(ofSite: sync.target)?.spareRoom ?? .max
            guard room > 0 else { throw End.obstacle(Self.isFull) }
            let share = max(1, min(room / SiteSync.mailboxesAtOnce, Self.messagesAtOnce))
            let someTombstones = tombstones.prefix(share)
            let someMessages = messages.prefix(share - someTombstones.count)
            tombstones = tombstones.dropFirst(someTombstones.count)
            messages = messages.dropFirst(someMessages.count)
            step.spooled += try await store.spool(
                messages: Array(someMessages), tombstones: Array(someTombstones), of: snapshot, for: sync.target)
            sync.replicator.noteSpooled(key, for: SiteSpools([sync.target]))
        }
    }

    private static let isFull = "half of what may wait for the site does"
}
