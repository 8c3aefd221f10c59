import Foundation
import Mail
import Synchronization
import Testing

@testable import Maildirs

/// Many deliveries at once, in one store and in two on one root.
@Suite(.timeLimit(.minutes(5))) struct GroupCommitTests {
    @Test("Deliveries that wait for one mailbox share the sync of its directory")
    func sharedSync() async throws {
        let folder = try TestFolder()
        let counter = StepCounter()
        let gate = DispatchSemaphore(value: 0)
        let first = MessageIdentity.numbered(0).text
        let store = try folder.store(
            threads: 1,
            faults: FaultPlan { step, name in
                counter.count(step)
                // The only worker waits with the first message until all others are queued.
                if step == .create, name.hasPrefix(first) { gate.wait() }
                return nil
            })
        let before = counter[.syncDirectory]
        let results = Mutex<[[Outcome]]>([])
        let finished = DispatchSemaphore(value: 0)
        for number in 0..<100 {
            let writer = store.writer(identity: .numbered(number), mayBeRepeat: false, recipients: [.to(.alice)])
            writer.append("x\r\n")
            writer.commit { outcomes in
                let count = results.withLock { results in
                    results.append(outcomes)
                    return results.count
                }
                if count == 100 { finished.signal() }
            }
        }
        gate.signal()
        let isOver = await withCheckedContinuation { waiting in
            DispatchQueue.global().async {
                waiting.resume(returning: finished.wait(timeout: .now() + .seconds(120)) == .success)
            }
        }
        try #require(isOver)
        #expect(results.withLock { $0.allSatisfy { $0 == [.success(.stored)] } })
        // One for the first, then 99 in batches of 32, with room for two workers' turns.
        #expect(counter[.syncDirectory] - before <= 8)
        #expect(folder.names(.alice, "new").count == 100)
    }

    @Test("Where a mailbox's folder is replaced between two of them, each is durable in the one that it came into")
    func replacedFolder() async throws {
        let folder = try TestFolder()
        let (isBusy, gate) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let count = 20
        let (first, last) = (MessageIdentity.numbered(0).text, MessageIdentity.numbered(count - 1).text)
        let place = MailboxFolder(.alice, partition: 3).path
        let hasMoved = Mutex(false)
        let synced = Mutex(0)
        let store = try folder.store(
            threads: 1,
            faults: FaultPlan { step, name in
                // The only worker waits with the first message until all others are queued.
                if step == .create, name.hasPrefix(first) {
                    isBusy.signal()
                    gate.wait()
                }
                if step == .syncDirectory, name == "\(place)/new" { synced.withLock { $0 += 1 } }
                guard step == .link, name.hasPrefix(last), hasMoved.withLock({ !$0 }) else { return nil }
                hasMoved.withLock { $0 = true }
                synced.withLock { $0 = 0 }
                let path = "\(folder.root)/\(place)"
                return rename(path, "\(path).old") == 0 ? .fail(ESTALE) : nil
            })
        let results = Mutex<[Outcome]>([])
        let finished = DispatchSemaphore(value: 0)
        for number in 0..<count {
            let writer = store.writer(identity: .numbered(number), mayBeRepeat: false, recipients: [.to(.alice)])
            writer.append("x\r\n")
            writer.commit { outcomes in
                results.withLock { $0 += outcomes }
                finished.signal()
            }
            if number == 0 { isBusy.wait() }
        }
        gate.signal()
        await withCheckedContinuation { (waiting: CheckedContinuation<Void, Never>) in
            DispatchQueue.global().async {
                for _ in 0..<count { finished.wait() }
                waiting.resume()
            }
        }
        #expect(results.withLock { $0 } == Array(repeating: .success(.stored), count: count))
        #expect(try await store.list().uidls == [last])
        let old = try FileManager.default.contentsOfDirectory(atPath: "\(folder.root)/\(place).old/new")
        #expect(old.count == count - 1)
        #expect(synced.withLock { $0 } == 2)
    }

    @Test("A thousand concurrent deliveries are all stored, once each and whole")
    func thousand() async throws {
        let folder = try TestFolder()
        let store = try folder.store(threads: 8)
        let mailboxes = (0..<10).map { MailboxName.named("user\($0)") }
        let stored = await withTaskGroup(of: [Outcome].self) { group in
            for number in 0..<1000 {
                group.addTask {
                    await store.deliver(
                        "Number: \(number)\r\n\r\nx\r\n", .numbered(number), to: [mailboxes[number % 10]])
                }
            }
            return await group.reduce(into: 0) { $0 += $1 == [.success(.stored)] ? 1 : 0 }
        }
        #expect(stored == 1000)
        for (residue, mailbox) in mailboxes.enumerated() {
            let snapshot = try await store.list(mailbox)
            #expect(snapshot.uidls == (0..<100).map { MessageIdentity.numbered($0 * 10 + residue).text })
            for index in 0..<snapshot.count {
                let text = try await store.text(index, of: snapshot)
                #expect(text?.hasSuffix("Number: \(index * 10 + residue)\n\nx\n") == true)
            }
        }
        store.shutdown()
        for mailbox in mailboxes { #expect(folder.names(mailbox, "tmp") == []) }
    }

    @Test("Two stores on one root: each message is there once, whichever store takes it, and deletions hold in both")
    func twoStores() async throws {
        let folder = try TestFolder()
        let stores = [try folder.store(), try folder.store()]
        let outcomes = await withTaskGroup(of: [Outcome].self) { group in
            for number in 0..<100 {
                for store in stores { group.addTask { await store.deliver("x\r\n", .numbered(number)) } }
            }
            return await group.reduce(into: []) { $0 += $1 }
        }
        #expect(outcomes.filter { $0 == .success(.stored) }.count == 100)
        #expect(outcomes.filter { $0 == .success(.alreadyThere) }.count == 100)
        let snapshots = [try await stores[0].list(), try await stores[1].list()]
        #expect(snapshots[0].uidls == snapshots[1].uidls)
        // Both delete overlapping halves while a third delivery goes on.
        async let more = stores[0].deliver("y\r\n", .numbered(500))
        async let left = stores[0].delete(Array(0..<60), of: snapshots[0])
        async let right = stores[1].delete(Array(40..<100), of: snapshots[1])
        #expect(try await left.failures == 0)
        #expect(try await right.failures == 0)
        #expect(await more == [.success(.stored)])
        for store in stores { #expect(try await store.list().uidls == [MessageIdentity.numbered(500).text]) }
        for number in [0, 50, 99] {
            #expect(await stores[1].deliver("x\r\n", .numbered(number), mayBeRepeat: true) == [.success(.alreadyThere)])
        }
    }
}
