import Cluster
import Foundation
import Mail
import Testing

@testable import Maildirs

/// Which copies were deleted before, and what it costs to know.
@Suite(.timeLimit(.minutes(5))) struct TombstoneIndexTests {
    private let folder: TestFolder
    private let store: MaildirStore
    private let counter = StepCounter()

    private static let text = "Message-ID: <1@client.test>\r\n\r\nHello\r\n"

    init() throws {
        folder = try TestFolder()
        let counter = counter
        let faults = FaultPlan { step, name in
            if name.hasPrefix("gone/") { counter.count(step) }
            return nil
        }
        store = try folder.store(faults: faults) { $0.resendWindow = ResendWindow(.seconds(60)) }
    }

    /// A tombstone of other replicas' that is called by its first message, with the content that all of them had.
    private func tombstone(_ numbers: [Int], _ digest: ContentDigest? = nil) -> Tombstone {
        var lines: [UInt8] = []
        for number in numbers { TombstoneLine.append(MessageIdentity.numbered(number).text.utf8, digest, to: &lines) }
        let name = MessageIdentity(
            seconds: Int64(time(nil)), micros: 1, process: 1, counter: UInt64(numbers[0]), random: 1, origin: "other")
        return Tombstone(name: name, lines: lines)
    }

    private func take(_ number: Int) async -> [Outcome] {
        await store.deliver("x\r\n", .numbered(number), mayBeRepeat: true)
    }

    @Test("Tombstones are read once; of those that are known only the one that names a copy, however many there are")
    func cost() async throws {
        for number in 0..<50 { try await store.take(tombstone([1000 + number, 2000 + number])) }
        #expect(await take(1) == [.success(.stored)])
        #expect(counter[.open] == 50)
        for number in 2..<50 { #expect(await take(number) == [.success(.stored)]) }
        #expect(counter[.open] == 50)
        #expect(await take(2007) == [.success(.alreadyThere)])
        #expect(counter[.open] == 51)
        #expect(folder.names(.alice, "new").count == 49)
    }

    @Test("What another store deletes meanwhile does not come back")
    func otherStore() async throws {
        try await store.take(tombstone([1000]))
        #expect(await take(1) == [.success(.stored)])
        let other = try folder.store()
        try await other.take(tombstone([2000]))
        #expect(await take(2000) == [.success(.alreadyThere)])
        #expect(await take(1000) == [.success(.alreadyThere)])
        let snapshot = try await other.list()
        _ = try await other.delete([0], of: snapshot)
        #expect(await take(1) == [.success(.alreadyThere)])
        #expect(folder.names(.alice, "new") == [])
    }

    @Test("A tombstone that has expired names nothing, and counts again if it comes again")
    func expired() async throws {
        let first = tombstone([1000])
        try await store.take(first)
        #expect(await take(1) == [.success(.stored)])
        #expect(await take(1000) == [.success(.alreadyThere)])
        let file = folder.path(.alice, "gone/\(first.name.text)")
        try FileManager.default.removeItem(atPath: file)
        try await store.take(tombstone([2000, 1001]))
        #expect(await take(1000) == [.success(.stored)])
        try await store.take(tombstone([1000]))
        #expect(try await store.list().uidls == [MessageIdentity.numbered(1).text])
        #expect(await take(1000) == [.success(.alreadyThere)])
        #expect(await take(1001) == [.success(.alreadyThere)])
    }

    @Test("Of several deleted messages with one content each is heeded, whichever tombstone was read first")
    func contents() async throws {
        _ = await store.deliver(Self.text, .numbered(0))
        let digest = try #require(MessageFileName(fileName: folder.names(.alice, "new")[0])?.digest)
        // Hours apart, and the window is a minute.
        for hours in 1...3 { try await store.take(tombstone([hours * 3600], digest)) }
        for hours in 1...3 {
            let near = MessageIdentity.numbered(hours * 3600 + 30)
            #expect(await store.deliver(Self.text, near, mayBeRepeat: true) == [.success(.alreadyThere)])
            let far = MessageIdentity.numbered(hours * 3600 + 1800)
            #expect(await store.deliver(Self.text, far, mayBeRepeat: true) == [.success(.stored)])
        }
        #expect(folder.names(.alice, "new").count == 4)
        #expect(try await store.list().count == 4)
    }

    @Test("A tombstone that cannot be read is an error, and is read the next time")
    func unreadable() async throws {
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        try await store.take(tombstone([1000]))
        faults.set { step, name in step == .open && name.hasPrefix("gone/") ? .fail(EIO) : nil }
        guard case .failure? = await store.deliver("x\r\n", .numbered(1000), mayBeRepeat: true).first else {
            Issue.record("stored what may be deleted")
            return
        }
        faults.set(nil)
        #expect(await store.deliver("x\r\n", .numbered(1000), mayBeRepeat: true) == [.success(.alreadyThere)])
    }
}
