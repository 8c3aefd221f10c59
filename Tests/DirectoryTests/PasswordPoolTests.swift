import Directory
import Dispatch
import Mail
import SASL
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(5))) struct PasswordPoolTests {
    @Test("No more run at once than there are threads, and all that were taken get their own answer")
    func threads() async throws {
        let pool = PasswordPool(threads: 3, queueMax: 1000)
        let gauge = Gauge()
        let sum = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<500 {
                group.addTask {
                    try await pool.run {
                        gauge.enter()
                        gauge.leave()
                        return number
                    }
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(sum == 499 * 500 / 2)
        #expect((1...3).contains(gauge.most))
    }

    @Test("Beyond the bound nobody waits: the answer is an outage at once, and room is there again later")
    func bound() async throws {
        let pool = PasswordPool(threads: 2, queueMax: 3)
        let (started, gate) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let blockers = (0..<2).map { _ in
            Task {
                try await pool.run {
                    started.signal()
                    gate.wait()
                }
            }
        }
        await withCheckedContinuation { continuation in
            Thread.detach {
                for _ in 0..<2 { started.wait() }
                continuation.resume()
            }
        }
        // Both threads are busy: of these, three may wait.
        let outcomes = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<10 {
                group.addTask {
                    do throws(DirectoryError) {
                        try await pool.run {}
                        return true
                    } catch {
                        return false
                    }
                }
            }
            var outcomes: [Bool] = []
            while let outcome = await group.next() {
                outcomes.append(outcome)
                // The seven that are refused come back while nothing else moves.
                if outcomes.count == 7 {
                    #expect(!outcomes.contains(true))
                    for _ in 0..<2 { gate.signal() }
                }
            }
            return outcomes
        }
        #expect(outcomes.filter { $0 }.count == 3)
        for blocker in blockers { try await blocker.value }
        #expect(try await pool.run { 7 } == 7)
    }

    @Test("While every password thread is busy, mail is looked up all the same")
    func lookUpsGoOn() async throws {
        let site = try await Site.withAccounts {
            $0.passwordThreads = 1
            $0.passwordCacheLifetime = .zero
            $0.passwordScheme = .yescrypt
        }
        let directory = site.frontend
        let request = AuthenticationRequest.password(user: "alice@example.test", password: "alice-password")
        let logins = (0..<16).map { _ in Task { try await directory.answer(request) } }
        for _ in 0..<100 {
            #expect(
                try await directory.resolve(address("bob@example.test"))
                    == mailboxes(("bob@example.test", "bob@example.test")))
        }
        for login in logins {
            guard case .user = try await login.value else {
                Issue.record("rejected with the right password")
                continue
            }
        }
    }
}

/// How many are inside, and how many were at most.
private final class Gauge: Sendable {
    private let counts = Mutex((inside: 0, most: 0))

    var most: Int { counts.withLock { $0.most } }

    func enter() {
        counts.withLock { counts in
            counts.inside += 1
            counts.most = max(counts.most, counts.inside)
        }
    }

    func leave() { counts.withLock { $0.inside -= 1 } }
}

/// A thread of its own, so that waiting does not hold one of the few that tasks run on.
private enum Thread {
    static func detach(_ body: @escaping @Sendable () -> Void) {
        DispatchQueue(label: "waiting").async(execute: body)
    }
}

@Suite(.timeLimit(.minutes(5))) struct RecentEntriesTests {
    @Test("It holds what a plain list in order of use would hold")
    func model() {
        for entriesMax in [0, 1, 2, 5] {
            var entries = RecentEntries<Int, Int>(entriesMax: entriesMax)
            var model: [(key: Int, value: Int)] = []
            for step in 0..<5000 {
                let key = Int.random(in: 0..<8)
                let index = model.firstIndex { $0.key == key }
                if Bool.random() {
                    #expect(entries.value(for: key) == index.map { model[$0].value })
                    if let index { model.insert(model.remove(at: index), at: 0) }
                } else {
                    entries.insert(step, for: key)
                    if let index { model.remove(at: index) }
                    model.insert((key, step), at: 0)
                    model = Array(model.prefix(entriesMax))
                }
                #expect(entries.count == model.count)
            }
        }
    }
}
