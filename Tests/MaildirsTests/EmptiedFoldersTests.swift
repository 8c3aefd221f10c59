import Foundation
import Mail
import Testing

@testable import Maildirs

/// What becomes of the folders of mailboxes in which nothing waits for a node any more.
@Suite struct EmptiedFoldersTests {
    private let folder: TestFolder
    private let store: MaildirStore
    private let other: SpoolTarget

    init() throws {
        folder = try TestFolder()
        store = try folder.store()
        other = try #require(SpoolTarget(node: "b"))
    }

    private func result<Value: Sendable>(
        _ work: (@escaping @Sendable (Result<Value, MaildirError>) -> Void) -> Void
    ) async throws -> Value {
        try await withCheckedContinuation { done in work { done.resume(returning: $0) } }.get()
    }

    private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: "\(folder.root)/\(path)") }

    private func spool(_ mailbox: MailboxName) -> String {
        MailboxFolder(mailbox, partition: 3, heldFor: other).path
    }

    private func hold(_ name: MessageIdentity, of mailbox: MailboxName) async throws {
        try await result { store.hold(name, of: mailbox, partition: 3, for: other, then: $0) }
    }

    /// Stored for the other node only.
    private func deliverHeld(_ name: MessageIdentity, to mailbox: MailboxName) async -> [Outcome] {
        let recipient = DeliveryRecipient(mailbox: mailbox, partition: 3, header: [], heldFor: other)
        let writer = store.writer(identity: name, mayBeRepeat: true, recipients: [recipient])
        writer.append("x\r\n")
        return await writer.commit()
    }

    private func takeHeld(_ tombstone: Tombstone, for mailbox: MailboxName) async throws {
        try await result { store.deliver(tombstone, to: mailbox, partition: 3, heldFor: other, then: $0) }
    }

    /// Lets go of all that waits: its names.
    private func handOver(_ mailbox: MailboxName) async throws -> [String] {
        let waiting = try await result { store.open(mailbox, partition: 3, heldFor: other, then: $0) }
        let tombstones = waiting.tombstoneNames
        try await result {
            store.release(
                messages: Array(0..<waiting.count), tombstones: tombstones.compactMap { MessageIdentity($0) },
                of: waiting, then: $0)
        }
        return waiting.uidls + tombstones
    }

    /// Behind all that has changed by now.
    private func tidy() async throws {
        try? await Task.sleep(for: .milliseconds(20))
        let report = try await result { store.removeEmptied(olderThan: .zero, then: $0) }
        #expect(report.failures == [])
    }

    @Test("They go, but for those in which something waits or is being written; what comes later makes them anew")
    func removal() async throws {
        let mailboxes = (0..<7).map { MailboxName.named("user\($0)") }
        for (number, mailbox) in mailboxes.enumerated() {
            _ = await store.deliver("x\r\n", .numbered(number), to: [mailbox])
            try await hold(.numbered(number), of: mailbox)
        }
        let unchanged = try await result { store.removeEmptied(olderThan: .seconds(60), then: $0) }
        #expect((unchanged.mailboxes, unchanged.removed) == (7, 0))
        let partial = "\(folder.root)/\(spool(mailboxes[5]))/tmp/partial"
        try Data("x".utf8).write(to: URL(fileURLWithPath: partial))
        for mailbox in mailboxes where mailbox != mailboxes[2] { _ = try await handOver(mailbox) }
        // They changed a moment ago.
        #expect(try await result { store.removeEmptied(olderThan: .seconds(60), then: $0) }.removed == 0)
        try await tidy()
        #expect(mailboxes.filter { exists(spool($0)) } == [mailboxes[2], mailboxes[5]])
        try FileManager.default.removeItem(atPath: partial)
        #expect(try await handOver(mailboxes[2]) == [MessageIdentity.numbered(2).text])
        try await tidy()
        #expect(!exists("spool/handoff-b"))
        #expect(exists("spool"))
        // Its folder is remembered as open, and as durable.
        try await hold(.numbered(2), of: mailboxes[2])
        #expect(await deliverHeld(.numbered(9), to: mailboxes[2]) == [.success(.stored)])
        #expect(try await handOver(mailboxes[2]) == [2, 9].map { MessageIdentity.numbered($0).text })
    }

    @Test("Whatever comes while they go is kept")
    func race() async throws {
        let count = 150
        let tombstones = (0..<count).map { number in
            MessageIdentity(
                seconds: Int64(time(nil)), micros: 1, process: 1, counter: UInt64(number), random: 1, origin: "other")
        }
        for number in 0..<count { _ = await store.deliver("x\r\n", .numbered(number)) }
        let drainer = Task {
            var names: Set<String> = []
            while !Task.isCancelled {
                names.formUnion(try await handOver(.alice))
                try await tidy()
            }
            return names
        }
        defer { drainer.cancel() }
        async let links: Void = holdAll(0..<count)
        async let deliveries = deliverAll(count..<2 * count)
        async let deletions: Void = takeAll(tombstones)
        _ = try await (links, deletions)
        let failures = await deliveries.filter { $0 != .success(.stored) }
        #expect(failures == [])
        drainer.cancel()
        let all = try await drainer.value.union(handOver(.alice))
        let came = Set(((0..<2 * count).map(MessageIdentity.numbered) + tombstones).map(\.text))
        #expect(came.subtracting(all) == [])
        #expect(all.subtracting(came) == [])
    }

    private func holdAll(_ numbers: Range<Int>) async throws {
        for number in numbers { try await hold(.numbered(number), of: .alice) }
    }

    private func deliverAll(_ numbers: Range<Int>) async -> [Outcome] {
        var outcomes: [Outcome] = []
        for number in numbers { outcomes += await deliverHeld(.numbered(number), to: .alice) }
        return outcomes
    }

    private func takeAll(_ tombstones: [MessageIdentity]) async throws {
        for name in tombstones { try await takeHeld(Tombstone(name: name, lines: []), for: .alice) }
    }
}
