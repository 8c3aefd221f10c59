import Foundation
import Mail
import Testing

@testable import Maildirs

/// What waits for a site: how it is found, let go of, and put into the mailbox that it did not get into.
@Suite(.timeLimit(.minutes(5))) struct WaitingForSiteTests {
    private let b: SpoolTarget
    private let c: SpoolTarget
    private let node: SpoolTarget

    init() throws {
        b = try #require(SpoolTarget(site: "b"))
        c = try #require(SpoolTarget(site: "c"))
        node = try #require(SpoolTarget(node: "b"))
    }

    private func tombstone(_ number: Int) -> Tombstone {
        let name = MessageIdentity(
            seconds: Int64(time(nil)), micros: 1, process: 1, counter: 1, random: 1, origin: "other")
        return Tombstone(name: name, lines: Array((MessageIdentity.numbered(number).text + "\n").utf8))
    }

    private func path(_ text: String) throws -> SitePath { try #require(SitePath(text)) }

    @Test("What waits for sites is told by mailbox, and is no node's")
    func targets() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver("x\r\n", .numbered(1), sites: SiteSpools([b]))
        try await store.take(tombstone(2), sites: SiteSpools([c]))
        #expect(try await store.nodes() == [])
        try await store.hold(.numbered(1), heldFor: node)
        #expect(try await store.nodes() == [node])
        let alice = MailboxKey(mailbox: .alice, partition: 3)
        for target in [b, c, node] { #expect(try await store.waiting(for: target) == [alice]) }
        #expect(try await store.list(heldFor: node).sitePath(at: 0) == .origin)
        try await store.release(.numbered(1), for: b)
        #expect(try await store.waiting(for: b) == [])
        #expect(try await store.waiting(for: node) == [alice])
    }

    @Test("A name names a node or a site, never both, and is one component of a path")
    func names() throws {
        #expect(b != node && b.folder == "site-b" && node.folder == "handoff-b")
        for target in [b, node] { #expect(SpoolTarget(folder: target.folder) == target) }
        #expect(SpoolTarget(folder: "site-x-y.z")?.name == "x-y.z")
        let odd = [
            "site", "site-", "site-.", "site--a", "other-a", "", "-a", "site-a/b", "Site-a", "sitea", "site-a+b",
        ]
        for folder in odd { #expect(SpoolTarget(folder: folder) == nil) }
        for name in ["..", "", "a/b", "a,b", String(repeating: "a", count: 65)] {
            #expect(SpoolTarget(site: name) == nil && SpoolTarget(node: name) == nil)
        }
    }

    @Test("What another node has brought to the site is let go of, by any path it came; what is not there is no error")
    func letGo() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        try await store.release(.numbered(1), for: b)
        for path in ["-", "a", "a,d"] {
            _ = await store.deliver("x\r\n", .numbered(1), sites: SiteSpools([b, c], path: try self.path(path)))
        }
        _ = await store.deliver("x\r\n", .numbered(2), sites: SiteSpools([b]))
        let tombstone = tombstone(7)
        try await store.take(tombstone, sites: SiteSpools([b]))
        #expect(folder.spool(b, "new").count == 4 && folder.spool(b, "gone").count == 1)
        for _ in 0..<2 {
            for name in [MessageIdentity.numbered(1), tombstone.name] { try await store.release(name, for: b) }
        }
        #expect(try await store.list(heldFor: b).uidls == [MessageIdentity.numbered(2).text])
        #expect(folder.spool(b, "new").count == 1 && folder.spool(b, "gone") == [])
        #expect(folder.spool(c, "new").count == 3)
        #expect(try await store.list().count == 2 && folder.names(.alice, "gone").count == 1)
    }

    @Test("What cannot be let go of is told, and stays")
    func letGoFails() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        _ = await store.deliver("x\r\n", .numbered(1), sites: SiteSpools([b]))
        faults.set { step, name in step == .unlink && name.hasPrefix("new/") ? .fail(EROFS) : nil }
        await #expect(throws: MaildirError.self) { try await store.release(.numbered(1), for: b) }
        #expect(folder.spool(b, "new").count == 1)
    }

    @Test("A message that waits and is not in the mailbox comes back there as the same file, under its own name")
    func restore() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver("x\r\n", .numbered(1), sites: SiteSpools([b], path: try path("a,d")))
        let name = folder.names(.alice, "new")[0]
        #expect(unlink(folder.path(.alice, "new/\(name)")) == 0)
        let waiting = try await store.list(heldFor: b)
        for _ in 0..<2 {
            try await store.restore(0, of: waiting, heldFor: b)
            #expect(folder.names(.alice, "new") == [name])
            #expect(folder.inode("new/\(name)") == folder.inode(b, "new/\(name),P=a+d"))
        }
        #expect(try await store.list().uidls == [MessageIdentity.numbered(1).text])
        #expect(folder.spool(b, "new") == [name + ",P=a+d"])
    }

    @Test("What is restored waits for the other sites too, before it shows: a repeat would not be passed on")
    func restoreForOthers() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        let c = try #require(SpoolTarget(site: "c"))
        _ = await store.deliver("x\r\n", .numbered(1), sites: SiteSpools([b], path: try path("a")))
        let name = folder.names(.alice, "new")[0]
        #expect(unlink(folder.path(.alice, "new/\(name)")) == 0)
        let waiting = try await store.list(heldFor: b)
        let sites = SiteSpools([b, c], path: try path("a"))
        #expect(try await store.restore(0, of: waiting, heldFor: b, sites: sites))
        #expect(folder.spool(c, "new") == ["\(name),P=a"] && folder.spool(b, "new") == ["\(name),P=a"])
        #expect(folder.names(.alice, "new") == [name])
        #expect(try await !store.restore(0, of: waiting, heldFor: b, sites: sites), "it is there")
    }

    @Test("What was sent again and deleted by its content is not restored")
    func restoreRepeat() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let text = "Message-ID: <a@b>\r\n\r\nx\r\n"
        for number in 1...2 { _ = await store.deliver(text, .numbered(number), sites: SiteSpools([b])) }
        let waiting = try await store.list(heldFor: b)
        let shown = try await store.list()
        _ = try await store.delete(Array(0..<shown.count), of: shown)
        for name in folder.names(.alice, "new") { #expect(unlink(folder.path(.alice, "new/\(name)")) == 0) }
        for index in 0..<waiting.count { #expect(try await !store.restore(index, of: waiting, heldFor: b)) }
        #expect(folder.names(.alice, "new") == [])
    }

    @Test("A mailbox of which nothing but the spool is there is made again")
    func restoreMailbox() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver("x\r\n", .numbered(1), sites: SiteSpools([b]))
        try FileManager.default.removeItem(atPath: "\(folder.root)/mail")
        try await store.restore(0, of: store.list(heldFor: b), heldFor: b)
        #expect(try await store.list().count == 1)
    }

    @Test("What is in the mailbox, with flags or without, is not put there once more")
    func restoreFlagged() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver("x\r\n", .numbered(1), sites: SiteSpools([b]))
        let name = folder.names(.alice, "new")[0]
        try folder.move(.alice, from: "new/\(name)", to: "cur/\(name):2,S")
        try await store.restore(0, of: store.list(heldFor: b), heldFor: b)
        #expect(folder.names(.alice, "new") == [] && folder.names(.alice, "cur") == ["\(name):2,S"])
    }

    @Test("A spooled message that somebody gave flags comes back without them")
    func restoreWithFlags() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver("x\r\n", .numbered(1), sites: SiteSpools([b], path: try path("a")))
        let name = folder.names(.alice, "new")[0]
        #expect(rename(folder.spoolPath(b, "new/\(name),P=a"), folder.spoolPath(b, "cur/\(name),P=a:2,FS")) == 0)
        #expect(unlink(folder.path(.alice, "new/\(name)")) == 0)
        let waiting = try await store.list(heldFor: b)
        #expect(waiting.sitePath(at: 0).text == "a")
        try await store.restore(0, of: waiting, heldFor: b)
        #expect(folder.names(.alice, "new") == [name])
    }

    @Test("A message that was deleted stays away, and one that does not wait any more is no error")
    func restoreDeleted() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        for number in 1...2 { _ = await store.deliver("x\r\n", .numbered(number), sites: SiteSpools([b])) }
        let waiting = try await store.list(heldFor: b)
        try folder.put(MessageIdentity.numbered(1).text + "\n", in: .alice, "gone", named: "1700000000.M1P1Q9R1.h")
        for name in folder.names(.alice, "new") { #expect(unlink(folder.path(.alice, "new/\(name)")) == 0) }
        try await store.release(.numbered(2), for: b)
        for index in 0..<2 { try await store.restore(index, of: waiting, heldFor: b) }
        #expect(folder.names(.alice, "new") == [])
    }

    @Test("A stem that looks like a path is a stem")
    func oddStem() throws {
        let name = Array("P=a+b,S=1,W=2,P=c+d:2,S".utf8)
        #expect(SiteSpoolName.path(in: name).text == "c,d")
        #expect(String(decoding: SiteSpoolName.mailboxName(of: name), as: UTF8.self) == "P=a+b,S=1,W=2")
        #expect(SiteSpoolName.path(in: Array("P=a".utf8)) == .origin)
        #expect(SiteSpoolName.mailboxName(of: Array("P=a".utf8)) == Array("P=a".utf8))
    }

    @Test(
        "A name that tells no path, or one that is none, is taken for a client's message",
        arguments: ["", ":", ",", "n", "n,S=1", "n,P=", "n,P=a,b", "n,P=a++b", "n,P=-", "n,P=.a", "n:2,P=a", "n,XP=a"])
    func oddPaths(name: String) {
        let expected = name == "n,P=a,b" ? "a" : "-"
        #expect(SiteSpoolName.path(in: Array(name.utf8)).text == expected)
    }
}
