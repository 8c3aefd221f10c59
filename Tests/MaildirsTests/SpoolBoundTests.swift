import Cluster
import Foundation
import Mail
import Testing

@testable import Maildirs

/// What becomes of a site's spool that is as full as it may be.
@Suite(.timeLimit(.minutes(5))) struct SpoolBoundTests {
    private let b: SpoolTarget
    private let c: SpoolTarget
    private var sites: SiteSpools { SiteSpools([b, c]) }

    init() throws {
        b = try #require(SpoolTarget(site: "b"))
        c = try #require(SpoolTarget(site: "c"))
    }

    private func deliver(_ numbers: ClosedRange<Int>, to store: MaildirStore) async -> [Outcome] {
        var outcomes: [Outcome] = []
        for number in numbers { outcomes += await store.deliver("x\r\n", .numbered(number), sites: sites) }
        return outcomes
    }

    private func waiting(_ folder: TestFolder, _ site: SpoolTarget) -> Int {
        folder.spool(site, "new").count + folder.spool(site, "gone").count
    }

    @Test(
        "What no longer fits is delivered, waits for no such site, and it is remembered that the site must be compared")
    func bound() async throws {
        let folder = try TestFolder()
        let store = try folder.store { $0.spoolFilesMax = [b: 3] }
        #expect(await deliver(1...3, to: store) == Array(repeating: .success(.stored), count: 3))
        #expect(try await store.siteState(b).needsSync == nil)
        #expect(await deliver(4...6, to: store) == Array(repeating: .success(.stored), count: 3))
        #expect(folder.names(.alice, "new").count == 6)
        #expect(waiting(folder, b) == 3 && waiting(folder, c) == 6)
        let since = try #require(try await store.siteState(b).needsSync)
        #expect(try await store.siteState(c) == SiteState())
        #expect(store.gauge(ofSite: c) == nil)
        // The next process has counted nothing yet, and remembers all the same.
        store.shutdown()
        let next = try folder.store { $0.spoolFilesMax = [b: 3] }
        #expect(try await next.siteState(b).needsSync == since)
        try await next.countAll(b)
        #expect(await deliver(7...7, to: next) == [.success(.stored)])
        #expect(waiting(folder, b) == 3)
    }

    @Test(
        "A deletion that no longer fits deletes all the same, whether a session makes it or another replica brings it")
    func tombstones() async throws {
        let folder = try TestFolder()
        let store = try folder.store { $0.spoolFilesMax = [b: 3] }
        _ = await deliver(1...3, to: store)
        let other = try TestFolder()
        let otherStore = try other.store()
        _ = await otherStore.deliver("x\r\n", .numbered(3))
        let brought = try await otherStore.delete([0], of: otherStore.list()).tombstones[0]
        try await store.take(brought, sites: sites)
        // The message that it deletes waits no more.
        #expect(folder.spool(b, "gone") == [] && folder.spool(b, "new").count == 2)
        #expect(folder.spool(c, "gone") == [brought.name.text])
        #expect(try await store.siteState(b).needsSync != nil)
        _ = await deliver(4...4, to: store)
        #expect(folder.spool(b, "new").count == 3)
        let outcome = try await store.delete([0], of: store.list(), sites: sites)
        #expect(outcome.failures == 0 && folder.spool(c, "gone").count == 2)
        #expect(folder.spool(b, "gone") == [] && folder.spool(b, "new").count == 2)
        #expect(try await store.list().count == 2)
    }

    @Test("What went makes room: taken by the site, let go, or deleted")
    func room() async throws {
        let folder = try TestFolder()
        let store = try folder.store { $0.spoolFilesMax = [b: 10] }
        _ = await deliver(1...10, to: store)
        #expect(store.gauge(ofSite: b)?.level == .full)
        let snapshot = try await store.list(heldFor: b)
        try await store.release([0, 1], [], of: snapshot)
        #expect(store.gauge(ofSite: b)?.count == 8)
        try await store.release(.numbered(3), for: b)
        #expect(store.gauge(ofSite: b)?.count == 7 && store.gauge(ofSite: b)?.level == .roomy)
        _ = try await store.delete([4, 5], of: store.list(), sites: sites)
        // One tombstone instead of two messages.
        #expect(store.gauge(ofSite: b)?.count == 6 && waiting(folder, b) == 6)
        _ = await deliver(11...11, to: store)
        #expect(waiting(folder, b) == 7 && store.gauge(ofSite: b)?.count == 7)
    }

    @Test("A walk counts what others put there, in several steps and several mailboxes")
    func walk() async throws {
        let folder = try TestFolder()
        let store = try folder.store { $0.spoolFilesMax = [b: 1000] }
        let other = try folder.store()
        for name in ["m", "a", "z.x", "k-k"] {
            _ = await other.deliver("x\r\n", .numbered(1), [.to(.named(name), sites: sites)])
        }
        _ = try await other.delete([0], of: other.list(.named("m")), sites: sites)
        #expect(store.gauge(ofSite: b)?.count == 0)
        for mailboxes in 1...5 {
            try await store.countAll(b, mailboxes: mailboxes)
            #expect(store.gauge(ofSite: b)?.count == 4)
        }
        // Somebody removes the folder.
        try FileManager.default.removeItem(atPath: "\(folder.root)/spool/site-b")
        try await store.countAll(b)
        #expect(store.gauge(ofSite: b)?.count == 0)
    }

    @Test("Where the mark cannot be written, the spool grows beyond its bound rather than forget anything")
    func noMark() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan) { $0.spoolFilesMax = [b: 2] }
        faults.set { step, name in step == .link && name.hasSuffix("needs-sync") ? .fail(ENOSPC) : nil }
        #expect(await deliver(1...4, to: store) == Array(repeating: .success(.stored), count: 4))
        #expect(waiting(folder, b) == 4)
        #expect(try await store.siteState(b).needsSync == nil)
    }

    @Test("A mark that somebody takes away while a message is delivered is there again before the answer")
    func markTakenAway() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan) { $0.spoolFilesMax = [b: 1] }
        _ = await deliver(1...2, to: store)
        let mark = "\(folder.root)/sites/b/needs-sync"
        #expect(FileManager.default.fileExists(atPath: mark))
        let alice = folder.path(.alice, "new")
        faults.set { step, name in
            if step == .syncDirectory, alice.hasSuffix(name) { unlink(mark) }
            return nil
        }
        #expect(await deliver(3...3, to: store) == [.success(.stored)])
        #expect(FileManager.default.fileExists(atPath: mark))
        faults.set { step, name in
            if step == .link, !name.hasSuffix("needs-sync") { unlink(mark) }
            return nil
        }
        _ = try await store.delete([0], of: store.list(), sites: SiteSpools([b]))
        #expect(FileManager.default.fileExists(atPath: mark))
    }

    @Test("What a spool restores goes to the spools of other sites as far as they have room")
    func restoring() async throws {
        let folder = try TestFolder()
        let store = try folder.store { $0.spoolFilesMax = [b: 1, c: 1] }
        _ = await store.deliver("x\r\n", .numbered(1), sites: SiteSpools([b]))
        _ = await store.deliver("x\r\n", .numbered(2), sites: SiteSpools([c]))
        try FileManager.default.removeItem(atPath: folder.path(.alice, "new"))
        try FileManager.default.createDirectory(
            atPath: folder.path(.alice, "new"), withIntermediateDirectories: false)
        let snapshot = try await store.list(heldFor: b)
        #expect(try await store.restore(0, of: snapshot, heldFor: b, sites: sites))
        #expect(folder.names(.alice, "new") == folder.spool(b, "new") && waiting(folder, c) == 1)
        #expect(try await store.siteState(c).needsSync != nil)
        #expect(try await store.siteState(b).needsSync == nil)
    }
}

extension MaildirStore {
    func siteState(_ site: SpoolTarget) async throws -> SiteState {
        try await withCheckedContinuation { waiting in state(ofSite: site) { waiting.resume(returning: $0) } }.get()
    }

    /// Walks through all that waits for a site, so many mailboxes a step.
    func countAll(_ site: SpoolTarget, mailboxes: Int = 64) async throws {
        var last: MailboxKey?
        repeat {
            last = try await withCheckedContinuation { waiting in
                countWaiting(forSite: site, after: last, mailboxes: mailboxes) { waiting.resume(returning: $0) }
            }.get()
        } while last != nil
    }

    fileprivate func release(
        _ messages: [Int], _ tombstones: [MessageIdentity], of snapshot: MaildropSnapshot
    ) async throws {
        try await withCheckedContinuation { waiting in
            release(messages: messages, tombstones: tombstones, of: snapshot) { waiting.resume(returning: $0) }
        }.get()
    }
}
