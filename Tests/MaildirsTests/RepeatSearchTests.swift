import Foundation
import Mail
import Testing

@testable import Maildirs

/// Which copies were there before, and what it costs to know.
@Suite(.timeLimit(.minutes(5))) struct RepeatSearchTests {
    private let folder: TestFolder
    private let store: MaildirStore
    private let counter = StepCounter()

    /// A store whose map of a mailbox lasts for the whole test.
    init() throws {
        folder = try TestFolder()
        store = try Self.store(folder, counter)
    }

    private static func store(
        _ folder: TestFolder, _ counter: StepCounter, isRemote: Bool = false
    ) throws -> MaildirStore {
        let faults = FaultPlan { step, _ in
            counter.count(step)
            return nil
        }
        return try folder.store(faults: faults) { options in
            options.mapLifetime = .seconds(86_400)
            options.isRemote = isRemote
        }
    }

    /// Delivers until that reads no directory. The number of the next message.
    private func warm() async -> Int {
        for number in 1... {
            let before = counter[.list]
            #expect(await store.deliver("x\r\n", .numbered(number), mayBeRepeat: true) == [.success(.stored)])
            if counter[.list] == before { return number + 1 }
        }
        return 0
    }

    @Test("Copies are stored, and found again, without reading the mailbox for each")
    func cost() async throws {
        let first = await warm()
        let before = counter[.list]
        for number in first..<first + 100 {
            #expect(await store.deliver("x\r\n", .numbered(number), mayBeRepeat: true) == [.success(.stored)])
        }
        #expect(await store.deliver("x\r\n", .numbered(1), mayBeRepeat: true) == [.success(.alreadyThere)])
        #expect(counter[.list] == before)
    }

    @Test("What this store has just linked is found by its name alone")
    func ownDelivery() async throws {
        let first = await warm()
        for mayBeRepeat in [true, false] {
            let name = MessageIdentity.numbered(first + (mayBeRepeat ? 1 : 0))
            #expect(await store.deliver("x\r\n", name, mayBeRepeat: mayBeRepeat) == [.success(.stored)])
            #expect(await store.deliver("longer\r\n", name, mayBeRepeat: true) == [.success(.alreadyThere)])
        }
    }

    @Test("What a reader has moved to cur/ and flagged is found, whoever delivered it")
    func moved() async throws {
        let first = await warm()
        let other = try folder.store()
        for deliverer in [store, other] {
            let number = deliverer === store ? first : first + 1
            #expect(await deliverer.deliver("x\r\n", .numbered(number)) == [.success(.stored)])
            let names = folder.names(.alice, "new")
            let name = try #require(names.first { $0.hasPrefix(MessageIdentity.numbered(number).text + ",") })
            try folder.move(.alice, from: "new/\(name)", to: "cur/\(name):2,S")
            #expect(
                await store.deliver("x\r\n", .numbered(number), mayBeRepeat: true) == [.success(.alreadyThere)])
            #expect(!folder.names(.alice, "new").contains(name))
        }
    }

    @Test("What another store delivered is found")
    func otherStore() async throws {
        let first = await warm()
        let other = try folder.store()
        _ = await other.deliver("x\r\n", .numbered(first))
        #expect(await store.deliver("x\r\n", .numbered(first), mayBeRepeat: true) == [.success(.alreadyThere)])
        store.shutdown()
        #expect(folder.names(.alice, "new").count == first)
        #expect(folder.names(.alice, "tmp") == [])
    }

    @Test("A foreign message that came to new/ meanwhile is found by a copy of it")
    func foreign() async throws {
        _ = await warm()
        try folder.put("foreign\n", in: .alice, "new", named: "17.foreign.host")
        let name = try #require(MessageIdentity("17.foreign.host"))
        #expect(await store.deliver("foreign\r\n", name, mayBeRepeat: true) == [.success(.alreadyThere)])
    }

    @Test("A message whose file somebody removed is stored again")
    func removed() async throws {
        _ = await warm()
        let name = try #require(folder.names(.alice, "new").first)
        try FileManager.default.removeItem(atPath: folder.path(.alice, "new/\(name)"))
        #expect(await store.deliver("x\r\n", .numbered(1), mayBeRepeat: true) == [.success(.stored)])
    }

    @Test("In a mailbox that was moved away, and another one put in its place, nothing is believed")
    func otherMailbox() async throws {
        let first = await warm()
        _ = await store.deliver("x\r\n", .numbered(first), to: [.bob])
        let name = try #require(folder.names(.bob, "new").first)
        try folder.move(.bob, from: "new/\(name)", to: "new/\(name):2,")
        try folder.move(.alice, from: "", to: "../aside")
        try FileManager.default.moveItem(atPath: folder.path(.bob, ""), toPath: folder.path(.alice, ""))
        #expect(await store.deliver("x\r\n", .numbered(first), mayBeRepeat: true) == [.success(.alreadyThere)])
        #expect(await store.deliver("x\r\n", .numbered(1), mayBeRepeat: true) == [.success(.stored)])
    }

    @Test("A remote file system is read each time: another host's clock proves nothing")
    func remote() async throws {
        let store = try Self.store(folder, counter, isRemote: true)
        for number in 1...20 {
            let before = counter[.list]
            _ = await store.deliver("x\r\n", .numbered(number), mayBeRepeat: true)
            #expect(counter[.list] == before + 4)
        }
    }
}
