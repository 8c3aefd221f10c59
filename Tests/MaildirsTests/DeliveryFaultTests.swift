import Foundation
import Mail
import Synchronization
import Testing

@testable import Maildirs

/// Delivery when the file system fails, or says that it did.
@Suite(.timeLimit(.minutes(5))) struct DeliveryFaultTests {
    private let body = "Subject: b\r\n\r\nHello\r\n"

    /// A store whose file system begins to fail when `start` is called.
    private final class Faulty: Sendable {
        let folder: TestFolder
        let store: MaildirStore
        private let isFailing: Switch

        private final class Switch: Sendable { let isOn = Atomic(false) }

        init(
            _ fault: FaultPlan.Fault, at step: FaultPlan.Step, counter: StepCounter = StepCounter(),
            renames: Bool = true
        ) throws {
            let isFailing = Switch()
            self.isFailing = isFailing
            folder = try TestFolder()
            store = try folder.store(
                faults: FaultPlan { asked, _ in
                    counter.count(asked)
                    return asked == step && isFailing.isOn.load(ordering: .relaxed) ? fault : nil
                }
            ) { $0.renames = renames }
        }

        func start(_ isOn: Bool) { isFailing.isOn.store(isOn, ordering: .relaxed) }
    }

    @Test(
        "A failure before the link defers, says why, and leaves nothing behind",
        arguments: [FaultPlan.Step.create, .write, .syncFile, .link], [ENOSPC, EDQUOT, EIO, EROFS])
    func failures(step: FaultPlan.Step, number: Int32) async throws {
        let faulty = try Faulty(.fail(number), at: step)
        faulty.start(true)
        let outcome = await faulty.store.deliver(body, .numbered(1))
        guard case .failure(let error) = outcome[0] else {
            Issue.record("\(outcome)")
            return
        }
        #expect(error.errorNumber == number)
        #expect(error.isFull == [ENOSPC, EDQUOT].contains(number))
        faulty.start(false)
        #expect(await faulty.store.deliver(body, .numbered(1), mayBeRepeat: true) == [.success(.stored)])
        faulty.store.shutdown()
        #expect(faulty.folder.names(.alice, "tmp") == [])
        #expect(faulty.folder.names(.alice, "new").count == 1)
    }

    @Test(
        "A large message whose spilling fails is deferred for all, and leaves nothing behind",
        arguments: [
            FaultPlan.Step.create, .write, .syncFile, .link,
        ])
    func spilledFailures(step: FaultPlan.Step) async throws {
        let faulty = try Faulty(.fail(ENOSPC), at: step)
        let writer = faulty.store.writer(
            identity: .numbered(1), mayBeRepeat: false, recipients: [.to(.alice), .to(.bob)])
        faulty.start(true)
        writer.append(String(repeating: "long\r\n", count: 50_000))
        let flushed = await writer.flush()
        #expect((flushed == nil) == (step == .syncFile || step == .link))
        writer.append(body)
        for outcome in await writer.commit() { #expect(throws: MaildirError.self) { try outcome.get() } }
        faulty.store.shutdown()
        for mailbox in [MailboxName.alice, .bob] {
            #expect(faulty.folder.names(mailbox, "tmp") == [])
            #expect(faulty.folder.names(mailbox, "new") == [])
        }
    }

    @Test("After a failed fsync the same file is never synced again")
    func fsyncOnce() async throws {
        let counter = StepCounter()
        let faulty = try Faulty(.fail(EIO), at: .syncFile, counter: counter)
        let before = counter[.syncFile]
        faulty.start(true)
        _ = await faulty.store.deliver(body, .numbered(1))
        #expect(counter[.syncFile] == before + 1)
        #expect(faulty.folder.names(.alice, "new") == [])
    }

    @Test(
        "A name that was made though failure is reported, as NFS may, is success, because it stands for our file",
        arguments: [EEXIST, EIO, ENOENT], [true, false])
    func retransmittedLink(number: Int32, renames: Bool) async throws {
        let faulty = try Faulty(.failAfterDoing(number), at: .link, renames: renames)
        faulty.start(true)
        #expect(await faulty.store.deliver(body, .numbered(1)) == [.success(.stored)])
        faulty.store.shutdown()
        #expect(faulty.folder.names(.alice, "new").count == 1)
        #expect(faulty.folder.names(.alice, "tmp") == [])
    }

    @Test(
        "By rename or by link, a message has one name in the end, and a second one of that name none",
        arguments: [true, false])
    func oneName(renames: Bool) async throws {
        let folder = try TestFolder()
        let store = try folder.store { $0.renames = renames }
        #expect(await store.deliver(body, .numbered(1)) == [.success(.stored)])
        #expect(await store.deliver(body, .numbered(1)) == [.success(.alreadyThere)])
        store.shutdown()
        #expect(folder.names(.alice, "tmp") == [])
        let names = folder.names(.alice, "new")
        #expect(names.count == 1)
        let path = folder.path(.alice, "new") + "/" + (names.first ?? "")
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.referenceCount] as? Int == 1)
        #expect(try folder.text(.alice, "new/\(names.first ?? "")").hasSuffix("\n\nHello\n"))
    }

    @Test("A link that somebody else made to our file is no delivery: a failed link without the name defers")
    func foreignLink() async throws {
        let folder = try TestFolder()
        let (tmp, copy) = (folder.path(.alice, "tmp"), folder.root + "/copy")
        let store = try folder.store(
            faults: FaultPlan { step, _ in
                guard step == .link, let name = try? FileManager.default.contentsOfDirectory(atPath: tmp).first else {
                    return nil
                }
                return link("\(tmp)/\(name)", copy) == 0 ? .fail(ENOSPC) : nil
            })
        let outcome = await store.deliver(body, .numbered(1))
        #expect(FileManager.default.fileExists(atPath: copy))
        #expect(outcome == [.failure(.failed(operation: "link", path: try name(in: outcome), errno: ENOSPC))])
        #expect(folder.names(.alice, "new") == [])
    }

    private func name(in outcome: [Outcome]) throws -> String {
        guard case .failure(.failed(_, let path, _)) = outcome[0] else { throw MaildirError.shutDown }
        return path
    }

    @Test("A name that is taken by something that is no file is neither stored nor there already")
    func takenByFolder() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver(body, .numbered(1))
        let name = folder.names(.alice, "new")[0]
        try FileManager.default.removeItem(atPath: folder.path(.alice, "new/\(name)"))
        try FileManager.default.createDirectory(
            atPath: folder.path(.alice, "new/\(name)"), withIntermediateDirectories: false)
        let outcome = await store.deliver(body, .numbered(1))
        #expect(throws: MaildirError.self) { try outcome[0].get() }
    }

    @Test("A tombstone is written only if its name stands for it")
    func tombstoneLink() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        _ = await store.deliver(body, .numbered(1))
        let snapshot = try await store.list()
        let (tmp, copy) = (folder.path(.alice, "tmp"), folder.root + "/copy")
        faults.set { step, _ in
            guard step == .link, let name = try? FileManager.default.contentsOfDirectory(atPath: tmp).first else {
                return nil
            }
            return link("\(tmp)/\(name)", copy) == 0 ? .fail(EIO) : nil
        }
        await #expect(throws: MaildirError.self) { try await store.delete([0], of: snapshot) }
        #expect(folder.names(.alice, "gone") == [])
        faults.set { step, _ in step == .link ? .failAfterDoing(EIO) : nil }
        #expect(try await store.delete([0], of: snapshot).failures == 0)
        #expect(folder.names(.alice, "gone").count == 1)
    }

    @Test("Without a synced directory nothing is acknowledged, and the name stays for whoever found it there")
    func directorySync() async throws {
        let faulty = try Faulty(.fail(EIO), at: .syncDirectory)
        faulty.start(true)
        let outcome = await faulty.store.deliver(body, .numbered(1))
        #expect(throws: MaildirError.self) { try outcome[0].get() }
        faulty.store.shutdown()
        #expect(faulty.folder.names(.alice, "new").count == 1)
        #expect(faulty.folder.names(.alice, "tmp") == [])
    }

    @Test("One message that fails does not fail those committed with it")
    func neighbours() async throws {
        let folder = try TestFolder()
        let bad = MessageIdentity.numbered(7).text
        let store = try folder.store(
            threads: 1, faults: FaultPlan { step, name in step == .write && name.hasPrefix(bad) ? .fail(EIO) : nil })
        let outcomes = await withTaskGroup(of: (Int, [Outcome]).self) { group in
            for number in 0..<20 { group.addTask { (number, await store.deliver(body, .numbered(number))) } }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        #expect(outcomes.filter { $0.value == [.success(.stored)] }.count == 19)
        #expect(outcomes[7] != [.success(.stored)])
        store.shutdown()
        #expect(folder.names(.alice, "new").count == 19)
        #expect(folder.names(.alice, "tmp") == [])
    }
}
