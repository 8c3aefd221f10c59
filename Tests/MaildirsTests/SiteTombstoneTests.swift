import Foundation
import Mail
import Testing

@testable import Maildirs

/// Deletions that other sites are to hear of, and what becomes of what waits for a site.
@Suite(.timeLimit(.minutes(5))) struct SiteTombstoneTests {
    private let b: SpoolTarget
    private let c: SpoolTarget
    private let node: SpoolTarget

    init() throws {
        b = try #require(SpoolTarget(site: "b"))
        c = try #require(SpoolTarget(site: "c"))
        node = try #require(SpoolTarget(node: "b"))
    }

    private func tombstone(_ numbers: [Int], age: Duration = .zero, counter: UInt64 = 1) -> Tombstone {
        let name = MessageIdentity(
            seconds: Int64(time(nil)) - age.components.seconds, micros: 1, process: 1, counter: counter, random: 1,
            origin: "other")
        return Tombstone(
            name: name, lines: Array(numbers.map { MessageIdentity.numbered($0).text + "\n" }.joined().utf8))
    }

    private func path(_ text: String) throws -> SitePath { try #require(SitePath(text)) }

    // MARK: - tombstones

    @Test("A tombstone waits for the sites the first time it comes, and not when it comes again")
    func taken() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let tombstone = tombstone([1])
        for round in 0..<2 {
            try await store.take(tombstone, sites: SiteSpools([b, c]))
            #expect(folder.names(.alice, "gone") == [tombstone.name.text])
            for site in [b, c] {
                #expect(folder.spool(site, "gone") == (round == 0 ? [tombstone.name.text] : []))
                #expect(try await store.list(heldFor: site).tombstoneNames.count == 1 - round)
                try await store.release(tombstone.name, for: site)
            }
        }
    }

    @Test("A tombstone that is not durable yet hides what it names, and removes nothing")
    func notDurable() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        _ = await store.deliver("x\r\n", .numbered(1))
        faults.set { step, name in step == .syncDirectory && name == "gone" ? .fail(EIO) : nil }
        try folder.put(MessageIdentity.numbered(1).text + "\n", in: .alice, "gone", named: "1700000000.M1P1Q9R1.h")
        #expect(try await store.list().count == 0)
        #expect(folder.names(.alice, "new").count == 1)
        faults.set { _, _ in nil }
        try folder.put(MessageIdentity.numbered(2).text + "\n", in: .alice, "gone", named: "1700000000.M1P1Q9R2.h")
        #expect(try await store.list().count == 0)
        #expect(folder.names(.alice, "new").count == 0)
    }

    @Test("A tombstone that cannot wait for a site is not taken, and what it names stays")
    func notSpooled() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        _ = await store.deliver("x\r\n", .numbered(1))
        let tombstone = tombstone([1])
        let gone = folder.spoolPath(b, "gone")
        faults.set { step, name in
            step == .link && name == tombstone.name.text
                && (try? FileManager.default.contentsOfDirectory(atPath: gone).isEmpty) == true ? .fail(EIO) : nil
        }
        await #expect(throws: MaildirError.self) { try await store.take(tombstone, sites: SiteSpools([b])) }
        #expect(folder.names(.alice, "gone") == [])
        #expect(try await store.list().count == 1)
        faults.set(nil)
        try await store.take(tombstone, sites: SiteSpools([b]))
        #expect(try await store.list().count == 0)
        #expect(folder.spool(b, "gone") == [tombstone.name.text])
    }

    @Test("A tombstone is in the spool before it is in the mailbox")
    func order() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        let tombstone = tombstone([1])
        let links = Tally()
        faults.set { step, name in
            step == .link && name == tombstone.name.text && links.next() == 2 ? .fail(EIO) : nil
        }
        await #expect(throws: MaildirError.self) { try await store.take(tombstone, sites: SiteSpools([b])) }
        #expect(folder.spool(b, "gone") == [tombstone.name.text] && folder.names(.alice, "gone") == [])
        // It was not passed on for certain, so it is kept for the site when it comes again, once.
        try await store.take(tombstone, sites: SiteSpools([b]))
        #expect(folder.spool(b, "gone") == [tombstone.name.text])
        #expect(folder.names(.alice, "gone") == [tombstone.name.text])
    }

    @Test("On a full disk what a tombstone names makes room, for it and for the sites")
    func fullDisk() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        for number in 0..<3 { _ = await store.deliver("x\r\n", .numbered(number), sites: SiteSpools([b])) }
        let places = [folder.path(.alice, "new"), folder.spoolPath(b, "new")]
        faults.set { step, _ in
            guard step == .create else { return nil }
            let left = places.map { (try? FileManager.default.contentsOfDirectory(atPath: $0).count) ?? 0 }
            return left == [1, 1] ? nil : .fail(ENOSPC)
        }
        let tombstone = tombstone([0, 2])
        try await store.take(tombstone, sites: SiteSpools([b]))
        #expect(folder.names(.alice, "gone") == [tombstone.name.text])
        #expect(folder.spool(b, "gone") == [tombstone.name.text])
        #expect(try await store.list().uidls == [MessageIdentity.numbered(1).text])
        faults.set { step, _ in step == .create ? .fail(ENOSPC) : nil }
        let other = self.tombstone([1], counter: 2)
        await #expect(throws: MaildirError.self) { try await store.take(other, sites: SiteSpools([b])) }
        #expect(folder.spool(b, "gone") == [tombstone.name.text])
    }

    @Test("A deletion waits for the sites before the messages are gone, in all its parts")
    func deletion() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        for number in 0..<3 { _ = await store.deliver("x\r\n", .numbered(number)) }
        let snapshot = try await store.list()
        faults.set { step, _ in step == .link ? .fail(EIO) : nil }
        await #expect(throws: MaildirError.self) {
            try await store.delete([0, 2], of: snapshot, sites: SiteSpools([b, c]))
        }
        #expect(folder.names(.alice, "new").count == 3 && folder.spool(b, "gone") == [])
        faults.set(nil)
        let outcome = try await store.delete([0, 2], of: snapshot, sites: SiteSpools([b, c]))
        #expect(outcome.failures == 0)
        let names = outcome.tombstones.map(\.name.text)
        #expect(names.count == 1 && folder.names(.alice, "gone") == names)
        for site in [b, c] {
            #expect(folder.spool(site, "gone") == names)
            let waiting = try await store.list(heldFor: site)
            let carried = try #require(try await store.tombstone(outcome.tombstones[0].name, in: waiting))
            #expect(carried == outcome.tombstones[0])
            #expect(carried.identities == [0, 2].map { MessageIdentity.numbered($0).text })
        }
    }

    @Test("On a full disk the messages that a session deletes make room for saying so to sites")
    func deletionOnFullDisk() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        for number in 0..<2 { _ = await store.deliver("x\r\n", .numbered(number), sites: SiteSpools([b])) }
        let snapshot = try await store.list()
        let places = [folder.path(.alice, "new"), folder.spoolPath(b, "new")]
        faults.set { step, _ in
            guard step == .create else { return nil }
            let left = places.map { (try? FileManager.default.contentsOfDirectory(atPath: $0).count) ?? 0 }
            return left == [1, 1] ? nil : .fail(ENOSPC)
        }
        let outcome = try await store.delete([0], of: snapshot, sites: SiteSpools([b]))
        #expect(folder.names(.alice, "gone") == outcome.tombstones.map(\.name.text))
        #expect(folder.spool(b, "gone") == outcome.tombstones.map(\.name.text))
        #expect(try await store.list(heldFor: b).uidls == [MessageIdentity.numbered(1).text])
    }

    @Test("A message that was deleted does not wait for any site any more, whoever deleted it; a node still gets it")
    func deletedWhileWaiting() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        for number in 0..<3 {
            _ = await store.deliver("x\r\n", .numbered(number), sites: SiteSpools([b, c], path: try path("a")))
            try await store.hold(.numbered(number), heldFor: node)
        }
        _ = try await store.delete([0], of: store.list())
        try await store.take(tombstone([1]))
        for site in [b, c] {
            #expect(folder.spool(site, "new").count == 1)
            #expect(try await store.list(heldFor: site).uidls == [MessageIdentity.numbered(2).text])
        }
        #expect(folder.spool(node, "new").count == 3)
    }

    @Test("A tombstone that is kept for another node deletes nothing that waits for sites here")
    func tombstoneForNode() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver("x\r\n", .numbered(1), sites: SiteSpools([b]))
        try await store.take(tombstone([1]), heldFor: node)
        #expect(folder.spool(b, "new").count == 1 && folder.names(.alice, "new").count == 1)
    }

    // MARK: - age

    @Test("A tombstone that waited for a site longer than the grace time is still told, and kept until it was taken")
    func oldTombstone() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let old = tombstone([1], age: .seconds(60 * 86_400))
        for target in [b, node] {
            try FileManager.default.createDirectory(
                atPath: folder.spoolPath(target, "gone"), withIntermediateDirectories: true)
            let file = folder.spoolPath(target, "gone/\(old.name.text)")
            try Data(old.lines).write(to: URL(fileURLWithPath: file))
            folder.setAge(file, hours: 60 * 24)
        }
        #expect(try await store.expireTombstones(olderThan: .seconds(7 * 86_400)).removed == 1)
        #expect(folder.spool(node, "gone") == [])
        #expect(folder.spool(b, "gone") == [old.name.text])
        let waiting = try await store.list(heldFor: b)
        #expect(waiting.tombstoneNames == [old.name.text] && !waiting.isEmpty)
        #expect(try await store.tombstone(old.name, in: waiting) == old)
    }

    @Test("An old tombstone from another site is heeded and passed on; an old one of this site's is forgotten")
    func oldFromSite() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        for number in 0..<2 { _ = await store.deliver("x\r\n", .numbered(number)) }
        let old = tombstone([0], age: .seconds(60 * 86_400))
        try await store.take(old, sites: SiteSpools([b]))
        #expect(folder.names(.alice, "gone") + folder.spool(b, "gone") == [])
        #expect(try await store.list().count == 2)
        for sites in [SiteSpools([b], path: try path("c")), SiteSpools([], path: try path("c"))] {
            try await store.take(old, sites: sites)
            #expect(folder.names(.alice, "gone") == [old.name.text])
            #expect(folder.spool(b, "gone") == [old.name.text])
            #expect(try await store.list().uidls == [MessageIdentity.numbered(1).text])
        }
        // It has come now, and is remembered from now on.
        #expect(try await store.expireTombstones(olderThan: .seconds(7 * 86_400)).removed == 0)
        let again = await store.deliver("x\r\n", .numbered(0), mayBeRepeat: true, sites: SiteSpools())
        #expect(again == [.success(.alreadyThere)])
    }

    @Test("Temporary files in the spools of sites go after 36 hours, as everywhere")
    func temporaryFiles() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver("x\r\n", .numbered(1), sites: SiteSpools([b]))
        for (name, hours) in [("old", 37), ("young", 35)] {
            let file = folder.spoolPath(b, "tmp/\(name)")
            try Data("x".utf8).write(to: URL(fileURLWithPath: file))
            folder.setAge(file, hours: hours)
        }
        folder.setAge(folder.spoolPath(b, "new/\(folder.spool(b, "new")[0])"), hours: 1000)
        #expect(try await store.cleanTmp() == MaintenanceReport(mailboxes: 2, removed: 1, failures: []))
        #expect(folder.spool(b, "tmp") == ["young"] && folder.spool(b, "new").count == 1)
    }
}

extension MaildirStore {
    func take(
        _ tombstone: Tombstone, heldFor target: SpoolTarget? = nil, sites: SiteSpools = SiteSpools()
    ) async throws {
        try await withCheckedContinuation { waiting in
            deliver(tombstone, to: .alice, partition: 3, heldFor: target, sites: sites) {
                waiting.resume(returning: $0)
            }
        }.get()
    }

    func delete(
        _ indices: [Int], of snapshot: MaildropSnapshot, sites: SiteSpools
    ) async throws -> DeletionOutcome {
        try await withCheckedContinuation { waiting in
            delete(indices, of: snapshot, sites: sites) { waiting.resume(returning: $0) }
        }.get()
    }

    func tombstone(_ name: MessageIdentity, in snapshot: MaildropSnapshot) async throws -> Tombstone? {
        try await withCheckedContinuation { waiting in
            tombstone(name, of: snapshot) { waiting.resume(returning: $0) }
        }.get()
    }

    func hold(_ name: MessageIdentity, heldFor target: SpoolTarget) async throws {
        try await withCheckedContinuation { waiting in
            hold(name, of: .alice, partition: 3, for: target) { waiting.resume(returning: $0) }
        }.get()
    }

    func nodes() async throws -> [SpoolTarget] {
        try await withCheckedContinuation { waiting in handoffTargets { waiting.resume(returning: $0) } }.get()
    }

    func waiting(for target: SpoolTarget) async throws -> [MailboxKey] {
        try await withCheckedContinuation { waiting in
            heldMailboxes(for: target, after: nil, count: 10) { waiting.resume(returning: $0) }
        }.get().keys
    }
}
