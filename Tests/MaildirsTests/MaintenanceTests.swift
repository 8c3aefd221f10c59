import Foundation
import Mail
import Testing

@testable import Maildirs

/// What is tidied up in all mailboxes: old temporary files and expired tombstones.
@Suite(.timeLimit(.minutes(5))) struct MaintenanceTests {
    private func setAge(_ path: String, hours: Int) {
        let then = time(nil) - hours * 3600
        var times = [timeval(tv_sec: then, tv_usec: 0), timeval(tv_sec: then, tv_usec: 0)]
        utimes(path, &times)
    }

    @Test("Files in tmp/ go after 36 hours, not before; everything else stays")
    func tmp() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        for mailbox in [MailboxName.alice, .bob] {
            _ = await store.deliver("x\r\n", .numbered(1), to: [mailbox])
            for (name, hours) in [("old", 37), ("young", 35), ("fresh", 0)] {
                try folder.put("x", in: mailbox, "tmp", named: name)
                setAge(folder.path(mailbox, "tmp/\(name)"), hours: hours)
            }
            setAge(folder.path(mailbox, "new/\(folder.names(mailbox, "new")[0])"), hours: 100)
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
        setAge(folder.path(.alice, "gone/1500000000.M1P1Q1R1.h"), hours: 1000)
        try folder.put(stems[1] + "\n", in: .alice, "gone", named: "1500000000.M1P1Q2R1.h")
        let young = "\(time(nil)).M1P1Q3R1.h"
        try folder.put(stems[1] + "\n", in: .alice, "gone", named: young)
        setAge(folder.path(.alice, "gone/\(young)"), hours: 1000)
        let report = try await store.expireTombstones(olderThan: .seconds(500 * 3600))
        #expect(report.removed == 1)
        #expect(folder.names(.alice, "gone") == ["1500000000.M1P1Q2R1.h", young])
        #expect(try await store.list().uidls == [stems[2]])
    }

    @Test("A store without mail has nothing to tidy")
    func nothing() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        #expect(try await store.cleanTmp() == MaintenanceReport())
    }
}
