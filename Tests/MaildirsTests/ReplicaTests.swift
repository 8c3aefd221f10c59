import FileTimes
import Foundation
import Mail
import Synchronization
import Testing

@testable import Maildirs

/// What replicas of a mailbox tell each other, and what waits here for another node.
@Suite struct ReplicaTests {
    private let other: SpoolTarget

    init() throws { other = try #require(SpoolTarget(node: "b")) }

    /// As another replica would make it now.
    private func tombstone(_ numbers: [Int], counter: UInt64 = 1) -> Tombstone {
        let name = MessageIdentity(
            seconds: Int64(time(nil)), micros: 1, process: 1, counter: counter, random: 1, origin: "other")
        return Tombstone(
            name: name, lines: Array(numbers.map { MessageIdentity.numbered($0).text + "\n" }.joined().utf8))
    }

    private func spool(_ folder: TestFolder, _ part: String, _ mailbox: MailboxName = .alice) -> [String] {
        let path = "\(folder.root)/\(MailboxFolder(mailbox, partition: 3, heldFor: other).path)/\(part)"
        return ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    @Test("A tombstone from another replica removes what it names, once or twice, and is kept under its name")
    func deliverTombstone() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        for number in 0..<4 { _ = await store.deliver("x\r\n", .numbered(number)) }
        let moved = folder.names(.alice, "new")[1]
        try folder.move(.alice, from: "new/\(moved)", to: "cur/\(moved):2,S")
        let tombstone = tombstone([1, 2, 77])
        for _ in 0..<2 {
            try await store.take(tombstone)
            #expect(folder.names(.alice, "gone") == [tombstone.name.text])
            #expect(folder.names(.alice, "cur") == [])
            #expect(try await store.list().uidls == [0, 3].map { MessageIdentity.numbered($0).text })
        }
        let snapshot = try await store.list()
        #expect(snapshot.tombstoneNames == [tombstone.name.text])
        #expect(try await store.tombstone(tombstone.name, of: snapshot) == tombstone)
        #expect(try await store.tombstone(.numbered(5), of: snapshot) == nil)
    }

    @Test("On a full disk what a tombstone from another replica names makes room for it")
    func tombstoneOnFullDisk() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        for number in 0..<3 { _ = await store.deliver("x\r\n", .numbered(number)) }
        let path = folder.path(.alice, "new")
        faults.set { step, _ in
            guard step == .create else { return nil }
            let left = (try? FileManager.default.contentsOfDirectory(atPath: path).count) ?? 0
            return left > 1 ? .fail(ENOSPC) : nil
        }
        let tombstone = tombstone([0, 2])
        try await store.take(tombstone)
        #expect(folder.names(.alice, "gone") == [tombstone.name.text])
        #expect(try await store.list().uidls == [MessageIdentity.numbered(1).text])
        faults.set { step, _ in step == .create ? .fail(ENOSPC) : nil }
        await #expect(throws: MaildirError.self) { try await store.take(self.tombstone([1], counter: 2)) }
    }

    @Test("Taking a tombstone reads the mailbox a few times, however much it names, and lists nothing")
    func tombstoneCost() async throws {
        let folder = try TestFolder()
        let counter = StepCounter()
        let store = try folder.store(faults: counter.plan)
        for number in 0..<100 { try folder.put("x\n", in: .alice, "new", named: MessageIdentity.numbered(number).text) }
        try await store.take(tombstone(Array(0..<90)))
        #expect(counter[.list] <= 8)
        #expect(counter[.read] == 0)
        #expect(folder.names(.alice, "new").count == 10)
    }

    @Test("A message that comes after its tombstone never shows, repeated or not")
    func afterTombstone() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        try await store.take(tombstone([1, 2]))
        #expect(await store.deliver("x\r\n", .numbered(1), mayBeRepeat: true) == [.success(.alreadyThere)])
        _ = await store.deliver("x\r\n", .numbered(2))
        #expect(try await store.list().count == 0)
        #expect(folder.names(.alice, "new") == [])
    }

    @Test("A tombstone older than the grace time is taken and forgotten, but not by a clock that was set")
    func oldTombstone() async throws {
        let folder = try TestFolder()
        let jump = Mutex<Int64>(0)
        let store = try folder.store {
            $0.localTime = { FileTime(seconds: FileTime.now().seconds + jump.withLock { $0 }, nanoseconds: 0) }
        }
        for number in 0..<2 { _ = await store.deliver("x\r\n", .numbered(number)) }
        let old = Tombstone(name: .numbered(9), lines: Array((MessageIdentity.numbered(0).text + "\n").utf8))
        try await store.take(old)
        #expect(folder.names(.alice, "gone") == [])
        #expect(try await store.list().count == 2)
        jump.withLock { $0 = 8 * 86_400 }
        try await store.take(tombstone([1]))
        #expect(try await store.list().uidls == [MessageIdentity.numbered(0).text])
    }

    @Test("A message is held for another node by a link to the same file, however often, and wherever it is")
    func hold() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        for number in 1...2 { _ = await store.deliver("x\r\n", .numbered(number)) }
        let names = folder.names(.alice, "new")
        try folder.move(.alice, from: "new/\(names[0])", to: "cur/\(names[0]):2,S")
        for _ in 0..<2 { for number in 1...2 { try await store.hold(.numbered(number), for: other) } }
        #expect(spool(folder, "new") == names)
        let links = try FileManager.default.attributesOfItem(atPath: folder.path(.alice, "cur/\(names[0]):2,S"))
        #expect(links[.referenceCount] as? Int == 2)
        let waiting = try await store.list(.alice, heldFor: other)
        #expect(waiting.uidls == [1, 2].map { MessageIdentity.numbered($0).text })
        #expect(try await store.text(0, of: waiting)?.hasSuffix("\nx\n") == true)
        await #expect(throws: MaildirError.self) { try await store.hold(.numbered(3), for: other) }
    }

    @Test("What waits for one node is held for another one too, and each gets it")
    func holdWaiting() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let third = try #require(SpoolTarget(node: "c"))
        let recipient = DeliveryRecipient(mailbox: .alice, partition: 3, header: [], heldFor: other)
        let writer = store.writer(identity: .numbered(1), mayBeRepeat: false, recipients: [recipient])
        Array("x\r\n".utf8).withUnsafeBytes { writer.append($0) }
        let outcomes = await withCheckedContinuation { done in writer.commit { done.resume(returning: $0) } }
        #expect(outcomes == [.success(.stored)])
        for _ in 0..<2 { try await store.hold(.numbered(1), for: third) }
        let waiting = "\(folder.root)/\(MailboxFolder(.alice, partition: 3, heldFor: third).path)/new"
        #expect(try FileManager.default.contentsOfDirectory(atPath: waiting) == spool(folder, "new"))
        #expect(spool(folder, "new").count == 1)
    }

    @Test("A foreign name that is no text is held by its bytes, under the identity that replicas know")
    func holdForeign() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        try folder.put("x\n", in: .alice, "new", named: "placeholder")
        let odd = Array(folder.path(.alice, "new/1.").utf8CString.dropLast()) + [CChar(bitPattern: 0xFF), 0]
        #expect(rename(folder.path(.alice, "new/placeholder"), odd) == 0)
        let identity = try #require(MessageIdentity(try await store.list().uidl(at: 0)))
        try await store.hold(identity, for: other)
        #expect(try await store.list(.alice, heldFor: other).uidls == [identity.text])
        #expect(try await store.list().digest == store.list(.alice, heldFor: other).digest)
    }

    @Test("A tombstone is held by its name; a message that was deleted meanwhile need not be held")
    func holdTombstone() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver("x\r\n", .numbered(1))
        let tombstone = tombstone([1])
        try await store.take(tombstone)
        for _ in 0..<2 { try await store.hold(tombstone.name, for: other) }
        #expect(spool(folder, "gone") == [tombstone.name.text])
        try await store.hold(.numbered(1), for: other)
        #expect(spool(folder, "new") == [])
    }

    @Test("A folder in the place of a held copy is no success")
    func holdOverFolder() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver("x\r\n", .numbered(1))
        let name = folder.names(.alice, "new")[0]
        let path = "\(folder.root)/\(MailboxFolder(.alice, partition: 3, heldFor: other).path)/new/\(name)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        await #expect(throws: MaildirError.self) { try await store.hold(.numbered(1), for: other) }
    }

    @Test("Mailboxes in which something waits are told page by page, in order, each once")
    func paging() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let mailboxes = (0..<7).map { MailboxName.named("user\($0)") }
        for (number, mailbox) in mailboxes.enumerated().reversed() {
            _ = await store.deliver("x\r\n", .numbered(number), to: [mailbox])
            try await store.hold(.numbered(number), of: mailbox, for: other)
        }
        #expect(try await store.targets() == [other])
        var told: [MailboxKey] = []
        var pages = 0
        while case let page = try await store.heldMailboxes(for: other, after: told.last, count: 3), !page.isEmpty {
            #expect(page.count <= 3)
            told += page
            pages += 1
        }
        #expect(told == mailboxes.map { MailboxKey(mailbox: $0, partition: 3) })
        #expect(pages == 3)
    }

    @Test("What the other node has taken is let go of, and nothing else; this node's own copy stays")
    func release() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        for number in 1...2 { _ = await store.deliver("x\r\n", .numbered(number)) }
        let tombstone = tombstone([7])
        try await store.take(tombstone)
        for name in [MessageIdentity.numbered(1), .numbered(2), tombstone.name] {
            try await store.hold(name, for: other)
        }
        let waiting = try await store.list(.alice, heldFor: other)
        for _ in 0..<2 { try await store.release([0], [tombstone.name], of: waiting) }
        #expect(try await store.list(.alice, heldFor: other).uidls == [MessageIdentity.numbered(2).text])
        #expect(spool(folder, "gone") == [])
        #expect(try await store.list().count == 2)
        #expect(folder.names(.alice, "gone").count == 1)
    }

    @Test("Digests are equal exactly when messages and tombstones have the same names")
    func digests() async throws {
        let folders = [try TestFolder(), try TestFolder()]
        let stores = try folders.map { try $0.store() }
        for number in 0..<3 { _ = await stores[0].deliver("x\r\n", .numbered(number)) }
        for number in (0..<3).reversed() { _ = await stores[1].deliver("other\r\n", .numbered(number)) }
        let name = folders[1].names(.alice, "new")[1]
        try folders[1].move(.alice, from: "new/\(name)", to: "cur/\(name):2,S")
        #expect(try await stores[0].list().digest == stores[1].list().digest)
        _ = await stores[0].deliver("x\r\n", .numbered(3))
        #expect(try await stores[0].list().digest != stores[1].list().digest)
        _ = await stores[1].deliver("x\r\n", .numbered(3))
        let tombstone = tombstone([0])
        try await stores[0].take(tombstone)
        #expect(try await stores[0].list().digest != stores[1].list().digest)
        try await stores[1].take(tombstone)
        #expect(try await stores[0].list().digest == stores[1].list().digest)
        try await stores[0].take(self.tombstone([0], counter: 2))
        #expect(try await stores[0].list().digest != stores[1].list().digest)
    }

    @Test("Repeats that wait for one mailbox are looked for together, and one identity twice is stored once")
    func repeats() async throws {
        let folder = try TestFolder()
        let counter = StepCounter()
        let gate = DispatchSemaphore(value: 0)
        let first = MessageIdentity.numbered(0).text
        let store = try folder.store(
            threads: 1,
            faults: FaultPlan { step, name in
                counter.count(step)
                if step == .create, name.hasPrefix(first) { gate.wait() }
                return nil
            })
        for number in 1..<30 {
            try folder.put("x\n", in: .alice, "cur", named: MessageIdentity.numbered(number).text + ":2,S")
        }
        let before = counter[.list]
        let done = DispatchSemaphore(value: 0)
        // The last two have the same name, and differ in size.
        for number in [0] + Array(1...30) + [30] {
            let writer = store.writer(identity: .numbered(number), mayBeRepeat: number > 0, recipients: [.to(.alice)])
            writer.append(counter[.open] == 0 && number == 30 ? "longer\r\n" : "x\r\n")
            counter.count(number == 30 ? .open : .write)
            writer.commit { _ in done.signal() }
        }
        gate.signal()
        await withCheckedContinuation { (waiting: CheckedContinuation<Void, Never>) in
            DispatchQueue.global().async {
                for _ in 0..<32 { done.wait() }
                waiting.resume()
            }
        }
        #expect(counter[.list] - before <= 12)
        #expect(folder.names(.alice, "new").count == 2)
        #expect(try await store.list().count == 31)
    }

    @Test("A tombstone of any length is read, without being held in memory")
    func largeTombstone() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        for number in 0..<2 { _ = await store.deliver("x\r\n", .numbered(number)) }
        let name = tombstone([]).name.text
        try folder.put(MessageIdentity.numbered(0).text + "\n", in: .alice, "gone", named: name)
        let file = try #require(FileHandle(forWritingAtPath: folder.path(.alice, "gone/\(name)")))
        try file.truncate(atOffset: 65 << 20)
        try file.seekToEnd()
        try file.write(contentsOf: Data("\n\(MessageIdentity.numbered(1).text)".utf8))
        try file.close()
        #expect(try await store.list().count == 0)
    }
}

extension MaildirStore {
    func take(_ tombstone: Tombstone) async throws {
        try await withCheckedContinuation { waiting in
            deliver(tombstone, to: .alice, partition: 3) { waiting.resume(returning: $0) }
        }.get()
    }

    fileprivate func tombstone(_ name: MessageIdentity, of snapshot: MaildropSnapshot) async throws -> Tombstone? {
        try await withCheckedContinuation { waiting in
            tombstone(name, of: snapshot) { waiting.resume(returning: $0) }
        }.get()
    }

    fileprivate func hold(
        _ name: MessageIdentity, of mailbox: MailboxName = .alice, for target: SpoolTarget
    ) async throws {
        try await withCheckedContinuation { waiting in
            hold(name, of: mailbox, partition: 3, for: target) { waiting.resume(returning: $0) }
        }.get()
    }

    fileprivate func list(_ mailbox: MailboxName, heldFor target: SpoolTarget) async throws -> MaildropSnapshot {
        try await withCheckedContinuation { waiting in
            open(mailbox, partition: 3, heldFor: target) { waiting.resume(returning: $0) }
        }.get()
    }

    fileprivate func targets() async throws -> [SpoolTarget] {
        try await withCheckedContinuation { waiting in handoffTargets { waiting.resume(returning: $0) } }.get()
    }

    fileprivate func heldMailboxes(
        for target: SpoolTarget, after last: MailboxKey?, count: Int
    ) async throws -> [MailboxKey] {
        try await withCheckedContinuation { waiting in
            heldMailboxes(for: target, after: last, count: count) { waiting.resume(returning: $0) }
        }.get().keys
    }

    fileprivate func release(
        _ indices: [Int], _ tombstones: [MessageIdentity], of snapshot: MaildropSnapshot
    ) async throws {
        try await withCheckedContinuation { waiting in
            release(messages: indices, tombstones: tombstones, of: snapshot) { waiting.resume(returning: $0) }
        }.get()
    }
}
