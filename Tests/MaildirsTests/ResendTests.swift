import Cluster
import Foundation
import Mail
import SeededRandom
import Testing

@testable import Maildirs

/// A message that its sender sent again is in the mailbox twice, and shows once.
@Suite(.timeLimit(.minutes(5))) struct ResendTests {
    private static func text(_ number: Int = 1, received: String = "one") -> String {
        "Received: from \(received)\r\n\tby mx\r\nMessage-ID: <\(number)@client.test>\r\n\r\nHello\r\n"
    }

    private func shown(_ snapshot: MaildropSnapshot) -> [String] {
        let shown = ShownMessages(snapshot, isWhole: false)
        return (0..<shown.count).map { shown.uidl(at: $0) }
    }

    private func ids(_ numbers: Int...) -> [String] { numbers.map { MessageIdentity.numbered($0).text } }

    /// As another replica would make it now, of messages with this text.
    private func tombstone(_ numbers: [Int], like name: String?) throws -> Tombstone {
        let digest = try name.map { try #require(MessageFileName(fileName: $0)?.digest) }
        var lines: [UInt8] = []
        for number in numbers { TombstoneLine.append(MessageIdentity.numbered(number).text.utf8, digest, to: &lines) }
        let name = MessageIdentity(
            seconds: Int64(time(nil)), micros: 1, process: 1, counter: UInt64(numbers[0]), random: 1, origin: "other")
        return Tombstone(name: name, lines: lines)
    }

    @Test("The first shows; the replica holds both, and a session that sees all of it does too")
    func once() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver(Self.text(received: "two"), .numbered(20))
        #expect(shown(try await store.list()) == ids(20))
        _ = await store.deliver(Self.text(), .numbered(10))
        _ = await store.deliver(Self.text(2), .numbered(15))
        let snapshot = try await store.list()
        #expect(snapshot.uidls == ids(10, 15, 20))
        #expect(snapshot.digest.messages == 3)
        #expect(shown(snapshot) == ids(10, 15))
        let (some, all) = (ShownMessages(snapshot, isWhole: false), ShownMessages(snapshot, isWhole: true))
        #expect(all.count == 3 && all.octets == snapshot.octets)
        #expect(some.octets == snapshot.octets - snapshot.octets(at: 2))
        #expect((0..<3).map(all.index) == [0, 1, 2])
    }

    @Test("A tombstone deletes whom it names, and who repeats one within the window, and nobody else")
    func deletes() async throws {
        let folder = try TestFolder()
        let store = try folder.store { $0.resendWindow = ResendWindow(.seconds(60)) }
        _ = await store.deliver(Self.text(), .numbered(100))
        _ = await store.deliver(Self.text(2), .numbered(200))
        let names = folder.names(.alice, "new")
        let snapshot = try await store.list()
        #expect(snapshot.uidls == ids(100, 200))
        for (numbers, like, deleted) in [
            ([100], nil, [true, false]), ([7, 200], nil, [false, true]), ([7], nil, [false, false]),
            ([101], names[0], [true, false]), ([101], names[1], [false, false]), ([140], names[1], [false, true]),
            ([400], names[0], [false, false]),
        ] as [([Int], String?, [Bool])] {
            let tombstone = try tombstone(numbers, like: like)
            #expect((0..<2).map { store.deletes(tombstone, $0, of: snapshot) } == deleted, "\(numbers) \(like ?? "")")
        }
    }

    @Test("Positions skip what is hidden, wherever that is")
    func positions() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        for number in 0..<30 { _ = await store.deliver(Self.text(number % 7 == 0 ? number : 1), .numbered(number)) }
        let snapshot = try await store.list()
        let some = ShownMessages(snapshot, isWhole: false)
        // One of the many equal ones, and those that are unlike any other.
        let expected = [0, 1, 7, 14, 21, 28]
        #expect((0..<some.count).map(some.index) == expected)
        #expect((0..<some.count).map(some.octets) == expected.map(snapshot.octets))
    }

    @Test("A message without a Message-ID, of another sender or with another text is another message")
    func others() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        for number in 1...2 { _ = await store.deliver("Subject: x\r\n\r\nHello\r\n", .numbered(number)) }
        _ = await store.deliver(Self.text(), .numbered(3))
        _ = await store.deliver(Self.text() + "more\r\n", .numbered(4))
        let recipient = DeliveryRecipient(
            mailbox: .alice, partition: 3, header: Array("Return-Path: <t@example.test>\n".utf8))
        let writer = store.writer(identity: .numbered(5), mayBeRepeat: false, recipients: [recipient])
        writer.append(Self.text())
        #expect(await writer.commit() == [.success(.stored)])
        #expect(shown(try await store.list()) == ids(1, 2, 3, 4, 5))
    }

    @Test("Outside the window, and without one, both show")
    func window() async throws {
        let folder = try TestFolder()
        let store = try folder.store { $0.resendWindow = ResendWindow(.seconds(60)) }
        for number in [0, 60, 121] { _ = await store.deliver(Self.text(), .numbered(number)) }
        #expect(shown(try await store.list()) == ids(0, 121))
        let without = try folder.store { $0.resendWindow = ResendWindow(.zero) }
        #expect(shown(try await without.list()) == ids(0, 60, 121))
        _ = try await without.delete([0], of: try await without.list())
        #expect(try await without.list().uidls == ids(60, 121))
    }

    @Test("A large message, and one for several mailboxes, has the sums of its file like any other")
    func large() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let body = Self.text() + String(repeating: "0123456789abcde\r\n", count: 20_000)
        for number in 1...2 {
            let writer = store.writer(
                identity: .numbered(number), mayBeRepeat: number == 2, recipients: [.to(.alice), .to(.bob)])
            writer.append(body)
            if number == 1 { #expect(await writer.flush() == nil) }
            writer.append("end\r\n")
            #expect(await writer.commit() == [.success(.stored), .success(.stored)])
        }
        for mailbox in [MailboxName.alice, .bob] {
            let names = folder.names(mailbox, "new")
            #expect(names.count == 2)
            for name in names {
                let known = try #require(MessageFileName(fileName: name))
                let text = try folder.text(mailbox, "new/\(name)")
                #expect(known.checksum == StableHash.xxh64(text))
                #expect(known.diskOctets == text.utf8.count)
                var scanner = ContentScanner()
                Array(text.utf8).withUnsafeBytes { scanner.add($0) }
                let digest = scanner.finish()
                #expect(known.digest == digest && digest != nil)
            }
            #expect(shown(try await store.list(mailbox)) == ids(1))
        }
    }

    @Test("What other tools deliver is never taken for a repeat: other replicas cannot tell it by its name")
    func foreign() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let recipient = DeliveryRecipient(mailbox: .alice, partition: 3, header: [])
        for name in ["1700000001.foreign.host", "1700000002.foreign.host"] {
            let identity = try #require(MessageIdentity(name))
            let writer = store.writer(identity: identity, mayBeRepeat: true, recipients: [recipient])
            writer.append(Self.text())
            #expect(await writer.commit() == [.success(.stored)])
        }
        #expect(shown(try await store.list()).count == 2)
    }

    @Test("Deleted once, it is gone: what was hidden behind it goes too, and what comes later or came earlier")
    func deletion() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        for number in [10, 20] { _ = await store.deliver(Self.text(), .numbered(number)) }
        let snapshot = try await store.list()
        let digest = try #require(MessageFileName(fileName: folder.names(.alice, "new")[0])?.digest)
        let outcome = try await store.delete([0], of: snapshot)
        #expect(outcome.failures == 0)
        let lines = String(decoding: try #require(outcome.tombstones.first).lines, as: UTF8.self)
        #expect(lines == ids(10, 20).map { "\($0),D=\(digest)\n" }.joined())
        #expect(outcome.tombstones.first?.identities == ids(10, 20))
        #expect(folder.names(.alice, "new") == [])
        #expect(await store.deliver(Self.text(), .numbered(30), mayBeRepeat: true) == [.success(.alreadyThere)])
        #expect(folder.names(.alice, "new") == [])
        for number in [5, 40] { _ = await store.deliver(Self.text(), .numbered(number)) }
        #expect(try await store.list().count == 0)
        #expect(folder.names(.alice, "new") == [])
        #expect(await store.deliver(Self.text(2), .numbered(50), mayBeRepeat: true) == [.success(.stored)])
        #expect(try await store.list().uidls == ids(50))
    }

    @Test("A run that is longer than the window ends with its first message: nothing begins to show")
    func longRun() async throws {
        let folder = try TestFolder()
        let store = try folder.store { $0.resendWindow = ResendWindow(.seconds(60)) }
        for number in [0, 50, 100, 150] { _ = await store.deliver(Self.text(), .numbered(number)) }
        let snapshot = try await store.list()
        #expect(shown(snapshot) == ids(0))
        _ = try await store.delete([0], of: snapshot)
        #expect(try await store.list().count == 0)
    }

    @Test("A tombstone of another replica takes with it what has the content that it tells; without it, its own only")
    func taken() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        for number in [10, 20] { _ = await store.deliver(Self.text(), .numbered(number)) }
        _ = await store.deliver(Self.text(2), .numbered(15))
        let name = folder.names(.alice, "new")[0]
        try await store.take(tombstone([99], like: nil))
        #expect(folder.names(.alice, "new").count == 3)
        try await store.take(tombstone([12], like: name))
        #expect(try await store.list().uidls == ids(15))
        #expect(folder.names(.alice, "new").count == 1)
    }

    @Test("Before a tombstone expires, what it deletes by content is removed; it lives for the window, too")
    func expiry() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        _ = await store.deliver(Self.text(), .numbered(10))
        let old = MessageIdentity.numbered(0).text
        let line =
            "\(MessageIdentity.numbered(5).text),D=\(try #require(MessageFileName(fileName: folder.names(.alice, "new")[0])?.digest))\n"
        try folder.put(line, in: .alice, "gone", named: old)
        folder.setAge(folder.path(.alice, "gone/\(old)"), hours: 30)
        // One day of grace and one of the window: not yet.
        #expect(try await store.expireTombstones(olderThan: .seconds(86_400)).removed == 0)
        faults.set { step, name in step == .unlink && name.hasPrefix("new/") ? .fail(EROFS) : nil }
        #expect(try await store.expireTombstones(olderThan: .seconds(3600)).removed == 0)
        #expect(folder.names(.alice, "gone") == [old])
        faults.set(nil)
        #expect(try await store.expireTombstones(olderThan: .seconds(3600)).removed == 1)
        #expect(folder.names(.alice, "new") + folder.names(.alice, "gone") == [])
    }

    @Test(
        "Arrivals, deletions and tombstones in any order leave two stores with one digest, and show the same",
        arguments: 0..<6)
    func converge(seed: UInt64) async throws {
        var random = SplitMix(seed: seed &* 977 &+ 5)
        let folders = [try TestFolder(), try TestFolder()]
        let stores = try folders.map { try $0.store { $0.resendWindow = ResendWindow(.seconds(20)) } }
        let arrivals = (0..<16).map { (number: $0 * 4, text: Int.random(in: 0..<3, using: &random)) }
        let first = arrivals.shuffled(using: &random)
        for arrival in first { _ = await stores[0].deliver(Self.text(arrival.text), .numbered(arrival.number)) }
        let before = try await stores[0].list()
        let shown = ShownMessages(before, isWhole: false)
        var told: [Tombstone] = []
        for position in 0..<shown.count where Bool.random(using: &random) {
            told += try await stores[0].delete([shown.index(at: position)], of: before).tombstones
        }
        var steps: [() async throws -> Void] = []
        for arrival in arrivals {
            steps.append {
                _ = await stores[1].deliver(
                    Self.text(arrival.text), .numbered(arrival.number), mayBeRepeat: arrival.number % 8 == 0)
            }
        }
        for tombstone in told { steps.append { try await stores[1].take(tombstone) } }
        for step in steps.shuffled(using: &random) { try await step() }
        let (one, other) = (try await stores[0].list(), try await stores[1].list())
        #expect(one.digest == other.digest)
        #expect(self.shown(one) == self.shown(other))
        #expect(Set(self.shown(one)).isSubset(of: self.shown(before)))
    }
}
