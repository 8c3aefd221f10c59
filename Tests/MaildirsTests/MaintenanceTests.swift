import FileTimes
import Foundation
import Mail
import Synchronization
import Testing

@testable import Maildirs

/// What is tidied up in all mailboxes: old temporary files and expired tombstones.
@Suite(.timeLimit(.minutes(5))) struct MaintenanceTests {
    @Test("Files in tmp/ go after 36 hours, not before; everything else stays")
    func tmp() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        for mailbox in [MailboxName.alice, .bob] {
            _ = await store.deliver("x\r\n", .numbered(1), to: [mailbox])
            for (name, hours) in [("old", 37), ("young", 35), ("fresh", 0)] {
                try folder.put("x", in: mailbox, "tmp", named: name)
                folder.setAge(folder.path(mailbox, "tmp/\(name)"), hours: hours)
            }
            folder.setAge(folder.path(mailbox, "new/\(folder.names(mailbox, "new")[0])"), hours: 100)
        }
        let report = try await store.cleanTmp()
        #expect(report == MaintenanceReport(mailboxes: 2, removed: 2, failures: []))
        for mailbox in [MailboxName.alice, .bob] {
            #expect(folder.names(mailbox, "tmp") == ["fresh", "young"])
            #expect(folder.names(mailbox, "new").count == 1)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.root).sorted() == ["hauberk-store", "mail"])
    }

    @Test("Foreign things between the mailboxes are passed over, and told")
    func foreignThings() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver("x\r\n", .numbered(1))
        try folder.put("x", in: .bob, "", named: "tmp")
        try folder.put("x", in: .alice, "../..", named: "stray")
        let report = try await store.cleanTmp()
        #expect(report.mailboxes == 2)
        #expect(report.failures.count == 1)
    }

    @Test("Tombstones go after the grace time by name and by file; a file left behind one goes with it")
    func tombstones() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        for number in 0..<3 { _ = await store.deliver("x\r\n", .numbered(number)) }
        let stems = try await store.list().uidls
        try folder.put(stems[0] + "\n", in: .alice, "gone", named: "1500000000.M1P1Q1R1.h")
        folder.setAge(folder.path(.alice, "gone/1500000000.M1P1Q1R1.h"), hours: 1000)
        try folder.put(stems[1] + "\n", in: .alice, "gone", named: "1500000000.M1P1Q2R1.h")
        let young = "\(time(nil)).M1P1Q3R1.h"
        try folder.put(stems[1] + "\n", in: .alice, "gone", named: young)
        folder.setAge(folder.path(.alice, "gone/\(young)"), hours: 1000)
        let report = try await store.expireTombstones(olderThan: .seconds(500 * 3600))
        #expect(report.removed == 1)
        #expect(folder.names(.alice, "gone") == ["1500000000.M1P1Q2R1.h", young])
        #expect(try await store.list().uidls == [stems[2]])
    }

    @Test("What other nodes may not have heard of is kept, told and heeded, however old it is")
    func keptTombstones() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        for number in 0..<2 { _ = await store.deliver("x\r\n", .numbered(number)) }
        let stems = try await store.list().uidls
        let names = ["1500000000.M1P1Q1R1.h", "1500090000.M1P1Q1R1.h"]
        for (name, stem) in zip(names, stems) {
            try folder.put(stem + "\n", in: .alice, "gone", named: name)
            folder.setAge(folder.path(.alice, "gone/\(name)"), hours: 1000)
        }
        store.forget(onlyBefore: .min)
        #expect(try await store.expireTombstones(olderThan: .seconds(3600)).removed == 0)
        #expect(try await store.list().tombstoneNames == names)
        store.forget(onlyBefore: 1_500_050_000)
        #expect(try await store.expireTombstones(olderThan: .seconds(3600)).removed == 1)
        #expect(try await store.list().tombstoneNames == [names[1]])
        let old = Tombstone(
            name: try #require(MessageIdentity(names[0])), lines: Array((MessageIdentity.numbered(2).text + "\n").utf8))
        try await store.take(old)
        #expect(folder.names(.alice, "gone") == [names[1]])
        store.forget(onlyBefore: .min)
        try await store.take(old)
        #expect(folder.names(.alice, "gone") == names)
        _ = await store.deliver("x\r\n", .numbered(2), mayBeRepeat: true)
        #expect(try await store.list().uidls == [])
    }

    @Test(
        "A folder that cannot be read keeps no other from being tidied, and is told; only partitions are visited")
    func unreadableFolders() async throws {
        let folder = try TestFolder()
        let asked = Mutex<[String]>([])
        let store = try folder.store(
            faults: FaultPlan { step, name in
                guard step == .list else { return nil }
                asked.withLock { $0.append(name) }
                return name == "mail/2" || name == "mail/3/bad.test" ? .fail(EACCES) : nil
            })
        _ = await store.deliver("x\r\n", .numbered(1))
        for other in ["mail/lost+found/x/y/tmp", "mail/2/x/y/tmp", "mail/3/bad.test/y/tmp"] {
            try FileManager.default.createDirectory(
                atPath: "\(folder.root)/\(other)", withIntermediateDirectories: true)
        }
        try folder.put("x", in: .alice, "tmp", named: "old")
        folder.setAge(folder.path(.alice, "tmp/old"), hours: 37)
        let report = try await store.cleanTmp()
        #expect(report.mailboxes == 1)
        #expect(report.removed == 1)
        #expect(report.failures.map(\.errorNumber) == [EACCES, EACCES])
        #expect(!asked.withLock { $0 }.contains { $0.contains("lost+found") })
    }

    @Test("A store that is put aside has no mail and nothing for sites, which are marked; what waits for nodes stays")
    func putAside() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let (b, c) = (try #require(SpoolTarget(site: "b")), try #require(SpoolTarget(site: "c")))
        let node = try #require(SpoolTarget(node: "n"))
        _ = await store.deliver("x\r\n", .numbered(1), sites: SiteSpools([b]))
        for target in [node, c] {
            try FileManager.default.createDirectory(
                atPath: folder.spoolPath(target, "new"), withIntermediateDirectories: true)
        }
        let name = MessageIdentity.numbered(2).text
        try Data("x\n".utf8).write(to: URL(fileURLWithPath: folder.spoolPath(node, "new/\(name)")))
        let (mail, spooled) = (folder.names(.alice, "new"), folder.spool(b, "new"))
        #expect(mail.count == 1 && spooled.count == 1)
        store.shutdown()
        let aside = try MaildirStore.putAside(root: folder.root, cluster: "test", node: "a", partitions: 8)
        let parts = MailboxFolder(.alice, partition: 3).path.split(separator: "/").dropFirst().joined(separator: "/")
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(aside)/\(parts)/new") == mail)
        let spool = aside.replacing("/mail.", with: "/spool.")
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(spool)/site-b/\(parts)/new") == spooled)
        let next = try folder.store()
        #expect(try next.timeOutOfService() == nil)
        #expect(try await next.list().count == 0)
        #expect(folder.spool(b, "new") == [] && folder.spool(node, "new") == [name])
        #expect(try await next.siteState(b).needsSync != nil)
        #expect(try await next.siteState(c).needsSync == nil)
    }

    @Test("What the store makes in its root for a moment goes after 36 hours too")
    func leftovers() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let names = [".clock-1-2", ".hauberk-store.1.2", ".probe-1-2/a", ".other"]
        for name in names {
            let path = URL(fileURLWithPath: "\(folder.root)/\(name)")
            try FileManager.default.createDirectory(
                at: path.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data().write(to: path)
        }
        #expect(try await store.cleanTmp().removed == 0)
        for name in names + [".probe-1-2"] { folder.setAge("\(folder.root)/\(name)", hours: 37) }
        #expect(try await store.cleanTmp().removed == 3)
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.root).sorted()
        #expect(left == [".other", "hauberk-store"])
    }

    /// A mailbox with one message that a tombstone older than the grace time deletes.
    private func expired(_ folder: TestFolder, _ store: MaildirStore) async throws {
        _ = await store.deliver("x\r\n", .numbered(1))
        try folder.put(MessageIdentity.numbered(1).text + "\n", in: .alice, "gone", named: Self.old)
        folder.setAge(folder.path(.alice, "gone/\(Self.old)"), hours: 1000)
    }

    private static let old = "1500000000.M1P1Q1R1.h"

    @Test("A tombstone stays while a file that it names cannot be removed, and that is told")
    func expiryNeedsRemoval() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        try await expired(folder, store)
        faults.set { step, name in step == .unlink && name.hasPrefix("new/") ? .fail(EROFS) : nil }
        let failed = try await store.expireTombstones(olderThan: .seconds(3600))
        #expect(failed.removed == 0)
        #expect(failed.failures.map(\.errorNumber) == [EROFS])
        #expect(folder.names(.alice, "gone") == [Self.old])
        #expect(try await store.list().count == 0)
        faults.set(nil)
        #expect(try await store.expireTombstones(olderThan: .seconds(3600)).removed == 1)
        #expect(folder.names(.alice, "new") + folder.names(.alice, "gone") == [])
    }

    @Test("A tombstone stays while its message is moved to and fro, and never shows it again")
    func expiryNeedsRest() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        try await expired(folder, store)
        let name = folder.names(.alice, "new")[0]
        let (new, cur) = (folder.path(.alice, "new/\(name)"), folder.path(.alice, "cur/\(name):2,"))
        // Always where the pass does not look.
        faults.set { step, part in
            if step == .list, part == "new" { rename(new, cur) }
            if step == .list, part == "cur" { rename(cur, new) }
            return nil
        }
        let report = try await store.expireTombstones(olderThan: .seconds(3600))
        #expect(report.removed == 0)
        #expect(report.failures.map(\.errorNumber) == [EBUSY])
        #expect(folder.names(.alice, "gone") == [Self.old])
        faults.set(nil)
        #expect(try await store.expireTombstones(olderThan: .seconds(3600)).removed == 1)
        #expect(try await store.list().count == 0)
    }

    @Test("Tombstones that wait for another node expire too")
    func spooledTombstones() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let gone = "\(folder.root)/spool/handoff-b/3/example.test/alice/gone"
        try FileManager.default.createDirectory(atPath: gone, withIntermediateDirectories: true)
        try Data("1.x\n".utf8).write(to: URL(fileURLWithPath: "\(gone)/\(Self.old)"))
        folder.setAge("\(gone)/\(Self.old)", hours: 1000)
        #expect(try await store.expireTombstones(olderThan: .seconds(3600)).removed == 1)
    }

    @Test("A clock that jumped by eight days makes nothing old: neither tombstones nor temporary files go")
    func clockJump() async throws {
        let folder = try TestFolder()
        let jump = Mutex<Int64>(0)
        let store = try folder.store {
            $0.serverTime = { FileTime(seconds: FileTime.now().seconds + jump.withLock { $0 }, nanoseconds: 0) }
        }
        for name in ["\(time(nil) - 60).M1P1Q1R1.h"] { try folder.put("1.x\n", in: .alice, "gone", named: name) }
        try folder.put("x", in: .alice, "tmp", named: "fresh")
        jump.withLock { $0 = 8 * 86_400 }
        for _ in 0..<2 {
            await #expect(throws: MaildirError.clockChanged(root: folder.root)) {
                try await store.expireTombstones(olderThan: .seconds(7 * 86_400))
            }
            await #expect(throws: MaildirError.clockChanged(root: folder.root)) { try await store.cleanTmp() }
        }
        #expect(folder.names(.alice, "gone").count == 1)
        #expect(folder.names(.alice, "tmp") == ["fresh"])
        jump.withLock { $0 = 30 }
        #expect(try await store.expireTombstones(olderThan: .seconds(7 * 86_400)).failures == [])
    }

    @Test("A clock that was set is believed again when it is back, or when the age itself has gone by since")
    func ageClock() {
        var clock = AgeClock()
        func trusts(_ wall: Int64, at hour: Int64) -> Bool {
            let reading = AgeClock.Reading(
                wall: FileTime(seconds: wall * 3600, nanoseconds: 0), monotonic: .seconds(hour * 3600))
            return clock.isTrustworthy(reading, age: .seconds(36 * 3600))
        }
        #expect(trusts(1000, at: 0))
        #expect(trusts(1001, at: 1))
        #expect(!trusts(1200, at: 2))
        #expect(!trusts(1201, at: 3))
        #expect(trusts(1004, at: 4))
        #expect(!trusts(1205, at: 5))
        #expect(!trusts(1240, at: 40))
        #expect(trusts(1241, at: 41))
        #expect(!trusts(900, at: 42))
        #expect(!trusts(1000, at: 43))
    }

    @Test("A store without mail has nothing to tidy")
    func nothing() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        #expect(try await store.cleanTmp() == MaintenanceReport())
    }
}
