import Foundation
import Glibc
import Mail
import Testing

@testable import Maildirs

/// What the kernel has in memory is read where it is asked for. Only a file system on a disk can forget what it has in memory.
@Suite(
    "Reads from memory", .timeLimit(.minutes(5)),
    .enabled(if: TestFolder.isOnDisk, "the folder for temporary files is on no block device"))
struct CachedReadsTests {
    private let text = "Subject: x\n\nline\n"

    private func folderWithMail(_ text: String) async throws -> (TestFolder, MaildirStore, MaildropSnapshot) {
        let folder = try TestFolder()
        let store = try folder.store { $0.isRemote = false }
        try folder.put("", in: .alice, "cur", named: "x")
        try FileManager.default.removeItem(atPath: folder.path(.alice, "cur/x"))
        try folder.put(text, in: .alice, "new", named: "1.a")
        return (folder, store, try await store.list())
    }

    private func cached(_ store: MaildirStore, _ snapshot: MaildropSnapshot) async throws -> String? {
        try await store.readCached(0, of: snapshot)?.text()
    }

    @Test("A message that was just written is read at once")
    func fresh() async throws {
        let (folder, store, snapshot) = try await folderWithMail(text)
        #expect(try await cached(store, snapshot) == text)
        #expect(folder.names(.alice, "new") == ["1.a"])
    }

    @Test("Of a large message the first piece is read at once, and the rest in the usual way")
    func large() async throws {
        let long = String(repeating: "a line of some length\n", count: 20_000)
        let (folder, store, snapshot) = try await folderWithMail(long)
        #expect(try await cached(store, snapshot) == long)
        #expect(folder.names(.alice, "new") == ["1.a"])
    }

    @Test(
        "Reading and listing leave no time behind that would have to be written to the disk", arguments: [true, false])
    func noTrace(isCached: Bool) async throws {
        let (folder, store, _) = try await folderWithMail(text)
        let paths = ["new/1.a", "new", "cur"].map { folder.path(.alice, $0) }
        for path in paths { folder.setAge(path, hours: 1) }
        func readTimes() throws -> [Int] {
            try paths.map { path in
                var status = stat()
                try #require(stat(path, &status) == 0)
                return status.st_atim.tv_sec
            }
        }
        let before = try readTimes()
        let snapshot = try await store.list()
        #expect(try await (isCached ? cached(store, snapshot) : store.text(0, of: snapshot)) == text)
        #expect(try readTimes() == before)
    }

    @Test("An empty file is a message too")
    func empty() async throws {
        let (folder, store, snapshot) = try await folderWithMail("")
        #expect(try await cached(store, snapshot) == "")
        #expect(folder.names(.alice, "new") == ["1.a"])
    }

    @Test("What is not in memory is not waited for, and is found in memory once it has been read")
    func evicted() async throws {
        let (folder, store, snapshot) = try await folderWithMail(text)
        try await evict(folder.path(.alice, "new/1.a"))
        #expect(store.readCached(0, of: snapshot) == nil)
        #expect(try await store.text(0, of: snapshot) == text)
        #expect(try await cached(store, snapshot) == text)
    }

    /// Has the kernel forget a file, which it does not do while it is busy with it elsewhere.
    private func evict(_ path: String) async throws {
        let file = open(path, O_RDONLY)
        defer { close(file) }
        try #require(file >= 0 && fsync(file) == 0)
        let page = try #require(mmap(nil, 1, PROT_READ, MAP_SHARED, file, 0))
        defer { munmap(page, 1) }
        var isThere: UInt8 = 1
        for _ in 0..<200 where isThere & 1 != 0 {
            try #require(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0 && mincore(page, 1, &isThere) == 0)
            if isThere & 1 != 0 { try await Task.sleep(for: .milliseconds(50)) }
        }
        try #require(isThere & 1 == 0)
    }

    @Test("What was moved, removed, or is no file is left to the usual way")
    func elsewhere() async throws {
        let (folder, store, snapshot) = try await folderWithMail(text)
        try folder.move(.alice, from: "new/1.a", to: "cur/1.a:2,S")
        #expect(store.readCached(0, of: snapshot) == nil)
        #expect(try await store.text(0, of: snapshot) == text)
        symlink("../cur/1.a:2,S", folder.path(.alice, "new/1.a"))
        #expect(store.readCached(0, of: snapshot) == nil)
        unlink(folder.path(.alice, "new/1.a"))
        mkfifo(folder.path(.alice, "new/1.a"), 0o600)
        #expect(store.readCached(0, of: snapshot) == nil)
        unlink(folder.path(.alice, "new/1.a"))
        mkdir(folder.path(.alice, "new/1.a"), 0o700)
        #expect(store.readCached(0, of: snapshot) == nil)
    }

    @Test(
        "A file that is not as long as its name says, or is none, is left to the usual way", arguments: [true, false])
    func notAsPromised(fromItsFolder: Bool) async throws {
        let (folder, store) = try await storeWithMail()
        let snapshot = try await store.list()
        let open = fromItsFolder ? store.openMailbox(of: snapshot) : nil
        #expect((open != nil) == fromItsFolder)
        #expect(try await store.readCached(0, of: snapshot, in: open)?.text().hasSuffix(text) == true)
        let name = try #require(folder.names(.alice, "new").first)
        let whole = try folder.text(.alice, "new/\(name)")
        for changed in [whole + "x", String(whole.dropLast()), ""] {
            try folder.put(changed, in: .alice, "new", named: name)
            #expect(store.readCached(0, of: snapshot, in: open) == nil)
        }
        let path = folder.path(.alice, "new/\(name)")
        unlink(path)
        #expect(store.readCached(0, of: snapshot, in: open) == nil)
        mkfifo(path, 0o600)
        #expect(store.readCached(0, of: snapshot, in: open) == nil)
        unlink(path)
        mkdir(path, 0o700)
        #expect(store.readCached(0, of: snapshot, in: open) == nil)
    }

    @Test("A folder on the way that is a symbolic link is left to the usual way")
    func linkedFolder() async throws {
        let (folder, store, snapshot) = try await folderWithMail(text)
        try folder.move(.alice, from: "new", to: "elsewhere")
        symlink("elsewhere", folder.path(.alice, "new"))
        #expect(store.readCached(0, of: snapshot) == nil)
    }

    /// Lists until the mailbox is provably as it was: once its last change is older than the granularity of file times.
    private func rested(_ store: MaildirStore) async throws -> MaildropSnapshot? {
        for _ in 0..<2000 {
            let listed = try await store.list()
            if let kept = store.openCached(.alice, partition: 3) { return kept === listed ? kept : nil }
            try await Task.sleep(for: .milliseconds(1))
        }
        return nil
    }

    private func storeWithMail() async throws -> (TestFolder, MaildirStore) {
        let folder = try TestFolder()
        let store = try folder.store { $0.isRemote = false }
        _ = await store.deliver(text, .numbered(1))
        return (folder, store)
    }

    @Test("A mailbox that rests is listed at once, and in the usual way after each change")
    func listing() async throws {
        let (folder, store) = try await storeWithMail()
        #expect(try await rested(store)?.count == 1)
        _ = await store.deliver(text, .numbered(2))
        #expect(store.openCached(.alice, partition: 3) == nil)
        #expect(try await rested(store)?.count == 2)
        _ = try await store.delete([0], of: store.list())
        #expect(store.openCached(.alice, partition: 3) == nil)
        #expect(try await rested(store)?.count == 1)
        try folder.put(text, in: .alice, "new", named: "2.a")
        #expect(store.openCached(.alice, partition: 3) == nil)
        #expect(try await store.list().count == 2)
    }

    @Test("A young file that another program put there may still change, and is looked at each time")
    func foreignFile() async throws {
        let (folder, store, _) = try await folderWithMail(text)
        for _ in 0..<50 {
            #expect(try await store.list().count == 1)
            #expect(store.openCached(.alice, partition: 3) == nil)
            try await Task.sleep(for: .milliseconds(1))
        }
        #expect(folder.names(.alice, "new") == ["1.a"])
    }

    @Test("A mailbox that nobody listed, or that is a symbolic link, is listed in the usual way")
    func unknownListing() async throws {
        let (folder, store) = try await storeWithMail()
        #expect(store.openCached(.bob, partition: 3) == nil)
        #expect(try await rested(store) != nil)
        #expect(try folder.store { $0.isRemote = false }.openCached(.alice, partition: 3) == nil)
        try folder.move(.alice, from: "new", to: "elsewhere")
        symlink("elsewhere", folder.path(.alice, "new"))
        #expect(store.openCached(.alice, partition: 3) == nil)
    }

    @Test("Whether something waits for another node is seen at once")
    func waiting() async throws {
        let (folder, store, _) = try await folderWithMail(text)
        let spool = folder.root + "/spool"
        // The kernel remembers what is not there once somebody looked.
        #expect(access(spool, F_OK) != 0)
        #expect(store.holdsNothing)
        try FileManager.default.createDirectory(atPath: spool, withIntermediateDirectories: true)
        #expect(store.holdsNothing)
        try FileManager.default.createDirectory(atPath: spool + "/handoff-b", withIntermediateDirectories: true)
        #expect(!store.holdsNothing)
    }

    @Test("On a file system that may be a server's nothing is read so")
    func remote() async throws {
        let (folder, _, snapshot) = try await folderWithMail(text)
        let remote = try folder.store { $0.isRemote = true }
        #expect(remote.readCached(0, of: snapshot) == nil)
        #expect(!remote.holdsNothing)
        _ = try await remote.list()
        #expect(remote.openCached(.alice, partition: 3) == nil)
        #expect(try await remote.text(0, of: snapshot) == text)
    }
}
