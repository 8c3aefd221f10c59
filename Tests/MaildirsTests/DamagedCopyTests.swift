import Foundation
import Mail
import Synchronization
import Testing

@testable import Maildirs

/// Copies that are not what their names promise: how they are found, and how a good one takes their place.
@Suite(.timeLimit(.minutes(5))) struct DamagedCopyTests {
    private static let text = "Message-ID: <1@client.test>\r\n\r\nHello\r\n"
    private static let quarantine = "quarantine/3/example.test/alice"

    /// Changes a byte of the only message in a part of alice's mailbox.
    private func damage(_ folder: TestFolder, _ part: String = "new", at offset: UInt64 = 5) throws {
        let path = folder.path(.alice, "\(part)/\(try #require(folder.names(.alice, part).first))")
        let file = try #require(FileHandle(forUpdatingAtPath: path))
        try file.seek(toOffset: offset)
        let byte = try #require(file.read(upToCount: 1)?.first)
        try file.seek(toOffset: offset)
        try file.write(contentsOf: Data([byte ^ 0x10]))
        try file.close()
    }

    private func quarantined(_ folder: TestFolder) -> [String] {
        let path = "\(folder.root)/\(Self.quarantine)"
        return ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    /// Reads the first message as one does who copies it.
    private func found(_ store: MaildirStore) async throws -> CopyDamage? {
        let snapshot = try await store.list()
        let reader = try #require(
            try await withCheckedContinuation { waiting in
                store.read(0, of: snapshot, comparing: .all) { waiting.resume(returning: $0) }
            }.get())
        do {
            _ = try await reader.text()
            #expect(reader.damage == nil)
            return nil
        } catch MaildirError.damaged(let damage, _) {
            #expect(reader.damage == damage)
            return damage
        }
    }

    private func replace(
        _ store: MaildirStore, _ snapshot: MaildropSnapshot, with text: String
    ) async throws -> ReplacementOutcome {
        let recipient = DeliveryRecipient(mailbox: .alice, partition: 3, header: [])
        let writer = store.writer(identity: .numbered(1), mayBeRepeat: true, recipients: [recipient])
        writer.append(text)
        return try await withCheckedContinuation { waiting in
            writer.commit(replacing: 0, of: snapshot) { waiting.resume(returning: $0) }
        }.get()
    }

    @Test(
        "Who is given a message hears of damage before the end, of a small one before anything; without comparing nobody does"
    )
    func given() async throws {
        for (lines, isCached) in [(1, false), (1, true), (20_000, false), (20_000, true)] {
            let folder = try TestFolder()
            let store = try folder.store()
            let text = "Subject: x\r\n\r\n" + String(repeating: "xxx\r\n", count: lines)
            _ = await store.deliver(text, .numbered(1))
            let snapshot = try await store.list()
            func reader(_ comparison: CopyComparison) async throws -> MessageReader {
                if isCached { return try #require(store.readCached(0, of: snapshot, comparing: comparison)) }
                return try #require(
                    try await withCheckedContinuation { waiting in
                        store.read(0, of: snapshot, comparing: comparison) { waiting.resume(returning: $0) }
                    }.get())
            }
            #expect(try await reader(.octets).text().hasSuffix("xxx\n"))
            try damage(folder)
            let compared = try await reader(.octets)
            #expect(compared.damage == (lines == 1 ? .checksum : nil))
            await #expect(throws: MaildirError.self) { _ = try await compared.text() }
            #expect(compared.damage == .checksum)
            #expect(try await reader(.none).text().hasSuffix("xxx\n"))
        }
    }

    @Test("A good copy can be read to its end; one byte changed, missing or added cannot, however large the file is")
    func comparison() async throws {
        for lines in [1, 20_000] {
            let folder = try TestFolder()
            let store = try folder.store()
            let text = Self.text + String(repeating: "0123456789abcde\r\n", count: lines)
            #expect(await store.deliver(text, .numbered(1)) == [.success(.stored)])
            #expect(try await found(store) == nil)
            try damage(folder)
            #expect(try await found(store) == .checksum)
            try damage(folder)
            #expect(try await found(store) == nil)
            let path = folder.path(.alice, "new/\(folder.names(.alice, "new")[0])")
            let file = try #require(FileHandle(forUpdatingAtPath: path))
            let size = Int(try file.seekToEnd())
            try file.write(contentsOf: Data("x".utf8))
            #expect(try await found(store) == .size(size + 1, size))
            try file.truncate(atOffset: 0)
            #expect(try await found(store) == .size(0, size))
        }
    }

    @Test(
        "A line end that became another byte is damage also where a name tells sizes only; a foreign name promises nothing"
    )
    func sizesOnly() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let name = "\(MessageIdentity.numbered(1).text),S=4,W=6"
        try folder.put("a\nb\n", in: .alice, "new", named: name)
        #expect(try await found(store) == nil)
        try folder.put("a\nbb", in: .alice, "new", named: name)
        #expect(try await found(store) == .wireSize(7, 6))
        try FileManager.default.removeItem(atPath: folder.path(.alice, "new/\(name)"))
        try folder.put("abc", in: .alice, "new", named: "1700000000.foreign.host,S=4,W=6")
        #expect(try await found(store) == nil)
        #expect(try await store.list().promise(at: 0) == nil)
    }

    @Test("A session of a client reads what there is: only copies must be whole")
    func clients() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver(Self.text, .numbered(1))
        try damage(folder)
        let snapshot = try await store.list()
        #expect(try await store.text(0, of: snapshot)?.isEmpty == false)
    }

    @Test("A good copy takes the damaged one's name and place, flags and all, and the damaged one is in quarantine")
    func replacement() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver(Self.text, .numbered(1))
        let name = folder.names(.alice, "new")[0]
        let good = try folder.text(.alice, "new/\(name)")
        try folder.move(.alice, from: "new/\(name)", to: "cur/\(name):2,S")
        for round in 0..<3 {
            try damage(folder, "cur")
            let bad = try folder.text(.alice, "cur/\(name):2,S")
            let snapshot = try await store.list()
            let wire = good.replacing("\n", with: "\r\n")
            let place = Self.quarantine + "/\(name):2,S" + (round == 0 ? "" : ".\(round)")
            #expect(try await replace(store, snapshot, with: wire) == .replaced(quarantine: place))
            #expect(try folder.text(.alice, "cur/\(name):2,S") == good)
            #expect(try String(contentsOfFile: "\(folder.root)/\(place)", encoding: .utf8) == bad)
            #expect(try await found(store) == nil)
            #expect(folder.names(.alice, "new") + folder.names(.alice, "tmp") == [])
        }
        #expect(quarantined(folder).count == 3)
    }

    @Test("What is not what the name promises replaces nothing, and leaves nothing")
    func different() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver(Self.text, .numbered(1))
        try damage(folder)
        let name = folder.names(.alice, "new")[0]
        let bad = try folder.text(.alice, "new/\(name)")
        let snapshot = try await store.list()
        let wire = bad.replacing("\n", with: "\r\n")
        for text in [wire, "", "other\r\n"] { #expect(try await replace(store, snapshot, with: text) == .different) }
        #expect(try folder.text(.alice, "new/\(name)") == bad)
        store.shutdown()
        #expect(quarantined(folder) + folder.names(.alice, "tmp") == [])
    }

    @Test("A message that was deleted meanwhile does not come back")
    func deleted() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver(Self.text, .numbered(1))
        let good = try folder.text(.alice, "new/\(folder.names(.alice, "new")[0])")
        try damage(folder)
        let snapshot = try await store.list()
        _ = try await store.delete([0], of: snapshot)
        #expect(try await replace(store, snapshot, with: good.replacing("\n", with: "\r\n")) == .gone)
        #expect(try await store.list().count == 0)
        #expect(folder.names(.alice, "new") + quarantined(folder) == [])
    }

    @Test("A crash after the damaged copy was put aside: the next time goes on, with one file in quarantine")
    func crash() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver(Self.text, .numbered(1))
        let name = folder.names(.alice, "new")[0]
        let good = try folder.text(.alice, "new/\(name)")
        try damage(folder)
        let place = "\(folder.root)/\(Self.quarantine)"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        try FileManager.default.linkItem(atPath: folder.path(.alice, "new/\(name)"), toPath: "\(place)/\(name)")
        let snapshot = try await store.list()
        let outcome = try await replace(store, snapshot, with: good.replacing("\n", with: "\r\n"))
        #expect(outcome == .replaced(quarantine: "\(Self.quarantine)/\(name)"))
        #expect(quarantined(folder) == [name])
        #expect(try folder.text(.alice, "new/\(name)") == good)
    }

    @Test("A good copy that cannot be synced replaces nothing")
    func unsynced() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        _ = await store.deliver(Self.text, .numbered(1))
        let name = folder.names(.alice, "new")[0]
        let good = try folder.text(.alice, "new/\(name)")
        try damage(folder)
        let snapshot = try await store.list()
        faults.set { step, _ in step == .syncFile ? .fail(EIO) : nil }
        await #expect(throws: MaildirError.self) {
            try await replace(store, snapshot, with: good.replacing("\n", with: "\r\n"))
        }
        #expect(try await found(store) == .checksum)
        #expect(quarantined(folder) == [])
    }

    @Test("A disk that does not give the bytes is damage; too many open files are not")
    func readErrors() {
        func error(_ number: Int32) -> MaildirError { .failed(operation: "read", path: "x", errno: number) }
        for number in [EIO, EBADMSG, EUCLEAN] { #expect(error(number).isDamage) }
        for number in [EMFILE, ENOMEM, ESTALE, ENOENT, EACCES] { #expect(!error(number).isDamage) }
    }

    @Test("Mailboxes are told from a partition on")
    func partitions() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        for partition in [1, 2, 4] {
            let recipient = DeliveryRecipient(mailbox: .named("user\(partition)"), partition: partition, header: [])
            let writer = store.writer(identity: .numbered(1), mayBeRepeat: false, recipients: [recipient])
            #expect(await writer.commit() == [.success(.stored)])
        }
        func told(_ partition: Int?) async throws -> [Int] {
            try await withCheckedContinuation { waiting in
                store.mailboxes(from: partition, after: nil, count: 9) { waiting.resume(returning: $0) }
            }.get().keys.map(\.partition)
        }
        #expect(try await told(nil) == [1, 2, 4])
        #expect(try await told(2) == [2, 4])
        #expect(try await told(3) == [4])
        #expect(try await told(5) == [])
    }
}
