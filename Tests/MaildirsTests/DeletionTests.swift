import Foundation
import Mail
import Synchronization
import Testing

@testable import Maildirs

/// Reading and deleting: what is gone is gone for good, and nothing else is.
@Suite(.timeLimit(.minutes(5))) struct DeletionTests {
    private func filled(_ folder: TestFolder, _ store: MaildirStore, _ count: Int) async throws -> MaildropSnapshot {
        for number in 0..<count { _ = await store.deliver("\(number)\r\n", .numbered(number)) }
        return try await store.list()
    }

    @Test("Deleting unlinks the files and leaves one tombstone file that lists them")
    func tombstone() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let snapshot = try await filled(folder, store, 4)
        #expect(try await store.delete([1, 3], of: snapshot).failures == 0)
        #expect(try await store.list().uidls == [0, 2].map { MessageIdentity.numbered($0).text })
        store.shutdown()
        #expect(folder.names(.alice, "new").count == 2)
        #expect(folder.names(.alice, "tmp") == [])
        let files = folder.names(.alice, "gone")
        #expect(files.count == 1)
        #expect(MessageIdentity(try #require(files.first)) != nil)
        let lines = [1, 3].map { MessageIdentity.numbered($0).text + "\n" }.joined()
        #expect(try folder.text(.alice, "gone/\(files[0])") == lines)
    }

    @Test("Deleting nothing writes nothing")
    func nothing() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let snapshot = try await filled(folder, store, 1)
        #expect(try await store.delete([], of: snapshot).failures == 0)
        #expect(folder.names(.alice, "gone") == [])
    }

    @Test("A crash between tombstone and unlink: the message is not shown, and its file goes with the next listing")
    func crashAfterTombstone() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let snapshot = try await filled(folder, store, 3)
        try folder.put(snapshot.uidl(at: 1) + "\n", in: .alice, "gone", named: "1700000000.M1P1Q1R1.host")
        #expect(try await store.list().uidls == [0, 2].map { snapshot.uidl(at: $0) })
        #expect(folder.names(.alice, "new").count == 2)
    }

    @Test("A crash before the tombstone's link deletes nothing")
    func crashBeforeTombstone() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let snapshot = try await filled(folder, store, 3)
        try folder.put(snapshot.uidl(at: 1) + "\n", in: .alice, "tmp", named: "1700000000.M1P1Q1R1.host")
        #expect(try await store.list().count == 3)
    }

    @Test("What was deleted stays away when it is delivered again without a look")
    func deliveredAgain() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let snapshot = try await filled(folder, store, 2)
        _ = try await store.delete([0], of: snapshot)
        _ = await store.deliver("0\r\n", .numbered(0))
        #expect(try await store.list().uidls == [snapshot.uidl(at: 1)])
        #expect(folder.names(.alice, "new").count == 1)
    }

    @Test("A deletion whose tombstone cannot be written deletes nothing", arguments: [EIO, EROFS])
    func failingTombstone(number: Int32) async throws {
        let folder = try TestFolder()
        let isFailing = Mutex(false)
        let store = try folder.store(
            faults: FaultPlan { step, _ in step == .create && isFailing.withLock { $0 } ? .fail(number) : nil })
        let snapshot = try await filled(folder, store, 3)
        isFailing.withLock { $0 = true }
        await #expect(throws: MaildirError.self) { try await store.delete([0, 1], of: snapshot) }
        #expect(try await store.list().count == 3)
    }

    @Test("On a full disk the messages' own room is used for the tombstone")
    func fullDisk() async throws {
        let folder = try TestFolder()
        let isFailing = Mutex(false)
        let path = folder.path(.alice, "new")
        let store = try folder.store(
            faults: FaultPlan { step, _ in
                guard step == .create, isFailing.withLock({ $0 }) else { return nil }
                let left = (try? FileManager.default.contentsOfDirectory(atPath: path).count) ?? 0
                return left > 1 ? .fail(ENOSPC) : nil
            })
        let snapshot = try await filled(folder, store, 3)
        isFailing.withLock { $0 = true }
        #expect(try await store.delete([0, 1], of: snapshot).failures == 0)
        #expect(try await store.list().uidls == [snapshot.uidl(at: 2)])
        #expect(folder.names(.alice, "gone").count == 1)
    }

    @Test("What another session deleted, or a tool removed, is deleted without complaint")
    func deletedTwice() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let snapshot = try await filled(folder, store, 3)
        #expect(try await store.delete([0, 1], of: snapshot).failures == 0)
        #expect(try await store.delete([1, 2], of: snapshot).failures == 0)
        #expect(try await store.list().count == 0)
    }

    @Test("A message that a tool moved and flagged since the snapshot is deleted where it is now")
    func deletedAfterMove() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let snapshot = try await filled(folder, store, 1)
        let name = folder.names(.alice, "new")[0]
        try folder.move(.alice, from: "new/\(name)", to: "cur/\(name):2,RS")
        #expect(try await store.delete([0], of: snapshot).failures == 0)
        #expect(folder.names(.alice, "cur") == [])
    }

    @Test("However many messages another session deleted, their deletion reads the mailbox a few times")
    func deletedByAnother() async throws {
        let folder = try TestFolder()
        let counter = StepCounter()
        let store = try folder.store(faults: counter.plan)
        for number in 0..<300 {
            try folder.put("x\n", in: .alice, "new", named: "\(MessageIdentity.numbered(number).text),S=2,W=3")
        }
        let snapshot = try await store.list()
        #expect(try await store.delete(Array(0..<200), of: snapshot).failures == 0)
        let names = folder.names(.alice, "new")
        for name in names.prefix(50) { try folder.move(.alice, from: "new/\(name)", to: "cur/\(name):2,S") }
        let before = counter[.list]
        #expect(try await store.delete(Array(0..<300), of: snapshot).failures == 0)
        #expect(counter[.list] - before <= 8)
        #expect(folder.names(.alice, "new") + folder.names(.alice, "cur") == [])
    }

    @Test("However many messages a tool moved since the snapshot, reading them reads the directories a few times")
    func readAfterMove() async throws {
        let folder = try TestFolder()
        let counter = StepCounter()
        let store = try folder.store(faults: counter.plan)
        let snapshot = try await filled(folder, store, 60)
        let names = folder.names(.alice, "new")
        for name in names.dropLast(20) { try folder.move(.alice, from: "new/\(name)", to: "cur/\(name):2,S") }
        for name in names.suffix(20) { try FileManager.default.removeItem(atPath: folder.path(.alice, "new/\(name)")) }
        let before = counter[.list]
        for index in 0..<60 { #expect((try await store.reader(index, of: snapshot) != nil) == (index < 40)) }
        #expect(counter[.list] - before <= 12)
    }

    @Test("A deletion that takes long keeps no delivery waiting")
    func ownThreads() async throws {
        let folder = try TestFolder()
        let gate = DispatchSemaphore(value: 0)
        let isHeld = Mutex(false)
        let store = try folder.store(
            threads: 1,
            faults: FaultPlan { step, _ in
                if step == .unlink, isHeld.withLock({ $0 }) { gate.wait() }
                return nil
            })
        let snapshot = try await filled(folder, store, 1)
        isHeld.withLock { $0 = true }
        async let deletion = store.delete([0], of: snapshot)
        #expect(await store.deliver("y\r\n", .numbered(9)) == [.success(.stored)])
        isHeld.withLock { $0 = false }
        gate.signal()
        #expect(try await deletion.failures == 0)
    }

    @Test("Reading: moved is found, flagged is found, gone is nil, begun goes on")
    func reading() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let snapshot = try await filled(folder, store, 1)
        let name = folder.names(.alice, "new")[0]
        let text = try await store.text(0, of: snapshot)
        #expect(text?.hasSuffix("\n0\n") == true)
        try folder.move(.alice, from: "new/\(name)", to: "cur/\(name):2,")
        #expect(try await store.text(0, of: snapshot) == text)
        try folder.move(.alice, from: "cur/\(name):2,", to: "cur/\(name):2,FS")
        let begun = try #require(try await store.reader(0, of: snapshot))
        try FileManager.default.removeItem(atPath: folder.path(.alice, "cur/\(name):2,FS"))
        #expect(try await begun.text() == text)
        #expect(try await store.reader(0, of: snapshot) == nil)
        try FileManager.default.removeItem(atPath: folder.path(.alice, ""))
        #expect(try await store.reader(0, of: snapshot) == nil)
    }

    @Test("A large message is read in pieces of at most 64 KiB or as small as asked, and closing ends it")
    func pieces() async throws {
        let folder = try TestFolder()
        let text = String(repeating: "0123456789abcde\n", count: 60_000)
        try folder.put(text, in: .alice, "new", named: "1.h")
        let store = try folder.store()
        let snapshot = try await store.list()
        #expect(snapshot.octets == text.utf8.count + 60_000)
        let reader = try #require(try await store.reader(0, of: snapshot))
        #expect(reader.size == text.utf8.count)
        let first = try await withCheckedContinuation { waiting in reader.read { waiting.resume(returning: $0) } }.get()
        #expect(first.count == 64 << 10)
        let small = try await withCheckedContinuation { waiting in
            reader.read(bytesMax: 1000) { waiting.resume(returning: $0) }
        }.get()
        #expect(small.count == 1000)
        #expect(try await reader.text() == String(text.dropFirst(first.count + small.count)))
        let closed = try #require(try await store.reader(0, of: snapshot))
        closed.close()
        #expect(try await closed.text() == "")
    }
}
