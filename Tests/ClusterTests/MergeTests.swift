import SeededRandom
import Testing

@testable import Cluster

@Suite("Merge of two replicas")
struct MergeTests {
    /// A replica in memory: what was added, and the tombstones with what they delete.
    private struct Replica {
        var added: Set<String> = []
        var gone: [String: Set<String>] = [:]

        var deleted: Set<String> { gone.values.reduce(into: []) { $0.formUnion($1) } }
        var contents: ReplicaContents {
            ReplicaContents(messages: added.subtracting(deleted), tombstones: Set(gone.keys))
        }

        mutating func take(_ step: Merge.Step, from other: Replica) -> Set<String> {
            switch step {
            case .tombstone(let name, _):
                let names = other.gone[name] ?? []
                gone[name] = names
                return names
            case .message(let name, _):
                added.insert(name)
                return []
            }
        }
    }

    private static func run(
        _ here: inout Replica, _ there: inout Replica, _ scope: Merge.Scope = .both,
        fail: (Merge.Step) -> Bool = { _ in false }
    ) -> Merge {
        var merge = Merge(here: here.contents, there: there.contents, scope: scope)
        var steps = merge.start()
        while !steps.isEmpty {
            let step = steps.removeFirst()
            if fail(step) {
                steps += merge.failed(step)
                continue
            }
            let deleted = step.destination == .here ? here.take(step, from: there) : there.take(step, from: here)
            if case .tombstone = step {
                steps += merge.tombstoneCarried(step, deletes: deleted)
            } else {
                merge.messageCarried(step)
            }
        }
        #expect(merge.isOver)
        return merge
    }

    @Test("Equal replicas have nothing to carry")
    func equal() {
        var here = Replica(added: ["a", "b"], gone: ["t": ["c"]])
        var there = here
        #expect(Self.run(&here, &there).isComplete)
    }

    @Test("Each gets what it lacks, and tombstones go before messages")
    func union() {
        var here = Replica(added: ["a", "b"], gone: ["t1": ["x"]])
        var there = Replica(added: ["b", "c", "x"], gone: ["t2": ["a"]])
        var merge = Merge(here: here.contents, there: there.contents)
        #expect(merge.start() == [.tombstone("t1", to: .there), .tombstone("t2", to: .here)])
        #expect(Self.run(&here, &there).isComplete)
        #expect(here.contents == there.contents)
        #expect(here.contents.messages == ["b", "c"])
    }

    @Test("A side that is about to lose the mailbox gives everything, and is given no message")
    func oneWay() {
        var old = Replica(added: ["a", "b"], gone: ["t1": ["x"]])
        var new = Replica(added: ["b", "c", "x"], gone: ["t2": ["a"]])
        var (from, to) = (old, new)
        #expect(Self.run(&to, &from, .here).isComplete)
        #expect(to.contents == ReplicaContents(messages: ["b", "c"], tombstones: ["t1", "t2"]))
        #expect(from.contents.messages == ["b"])
        #expect(Self.run(&old, &new, .there).isComplete)
        #expect(new.contents == to.contents)
        #expect(old.contents.messages == ["b"])
    }

    @Test("What has given everything is compared without anything to carry, and then is given no tombstone either")
    func oneWayAgain() {
        var old = Replica(added: ["a"])
        var new = Replica(added: [], gone: ["t": ["b"]])
        #expect(Self.run(&old, &new, .there).messagesCarried == 1)
        let again = Self.run(&old, &new, .there)
        #expect(again.isComplete && again.messagesCarried == 0 && again.tombstonesCarried == 0)
        old = Replica()
        #expect(Self.run(&new, &old, .here).tombstonesCarried == 0)
    }

    @Test("A tombstone that could not be carried stops the messages: one of them may be deleted")
    func failure() {
        var here = Replica(added: ["a"])
        var there = Replica(added: [], gone: ["t": ["a"]])
        let merge = Self.run(&here, &there) { $0 == .tombstone("t", to: .here) }
        #expect(!merge.isComplete)
        #expect(there.added.isEmpty)
    }

    @Test(
        "Whatever fails and in whatever order replicas meet: nothing deleted comes back, and in the end all are equal")
    func converge() {
        for seed in 0..<200 {
            var random = SplitMix(seed: UInt64(seed) &+ 77)
            var replicas = [Replica(), Replica(), Replica()]
            var added: Set<String> = []
            var deleted: Set<String> = []
            for step in 0..<60 {
                let place = Int(random.next() % 3)
                switch random.next() % 3 {
                case 0:
                    replicas[place].added.insert("m\(step)")
                    added.insert("m\(step)")
                case 1:
                    let shown = replicas[place].contents.messages.sorted().prefix(2)
                    if shown.isEmpty { continue }
                    replicas[place].gone["t\(step)"] = Set(shown)
                    deleted.formUnion(shown)
                default:
                    let other = (place + 1) % 3
                    var (here, there) = (replicas[place], replicas[other])
                    _ = Self.run(&here, &there) { _ in random.next() % 4 == 0 }
                    (replicas[place], replicas[other]) = (here, there)
                }
            }
            for (left, right) in [(0, 1), (1, 2), (2, 0), (0, 1), (1, 2)] {
                var (here, there) = (replicas[left], replicas[right])
                #expect(Self.run(&here, &there).isComplete)
                (replicas[left], replicas[right]) = (here, there)
            }
            let left = added.subtracting(deleted)
            for replica in replicas { #expect(replica.contents.messages == left, "seed \(seed)") }
        }
    }

    @Test("A digest tells names apart, whether messages or tombstones, and not their order; its text reads back")
    func digest() throws {
        func digest(_ messages: [String], _ tombstones: [String]) -> MailboxDigest {
            var digest = MailboxDigest()
            for name in messages { Array(name.utf8).withUnsafeBytes { digest.add(message: $0) } }
            for name in tombstones { Array(name.utf8).withUnsafeBytes { digest.add(tombstone: $0) } }
            return digest
        }
        let one = digest(["a", "b"], ["t"])
        #expect(one == digest(["b", "a"], ["t"]))
        #expect(one != digest(["a"], ["b", "t"]))
        #expect(one != digest(["a", "c"], ["t"]))
        #expect(digest(["a"], []) != digest([], ["a"]))
        #expect(MailboxDigest(one.description) == one)
        #expect(MailboxDigest("1 2 xyz") == nil)
        #expect(MailboxDigest("") == nil)
    }
}
