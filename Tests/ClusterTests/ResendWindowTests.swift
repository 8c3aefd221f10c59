import SeededRandom
import Testing

@testable import Cluster

@Suite("What a client sends again")
struct ResendWindowTests {
    private static let window = ResendWindow(.seconds(100))

    private static func arrival(_ seconds: Int64, _ identity: String) -> ResendWindow.Arrival {
        ResendWindow.Arrival(seconds: seconds, identity: identity)
    }

    /// The hidden identities with what shows in their place.
    private static func hidden(_ arrivals: [ResendWindow.Arrival], _ window: ResendWindow = window) -> [String: String]
    {
        Dictionary(
            uniqueKeysWithValues: window.hidden(among: arrivals).map { ($0.hidden.identity, $0.shown.identity) })
    }

    @Test("The first of a run shows, and equal times are told apart by the identity's text")
    func first() {
        #expect(Self.hidden([Self.arrival(150, "b"), Self.arrival(100, "a")]) == ["b": "a"])
        #expect(
            Self.hidden([Self.arrival(100, "b"), Self.arrival(100, "a"), Self.arrival(100, "c")]) == [
                "b": "a", "c": "a",
            ])
        #expect(Self.hidden([Self.arrival(100, "a")]).isEmpty)
    }

    @Test("The window includes its end, goes from each arrival to the next, and a longer silence begins a new run")
    func edges() {
        #expect(Self.hidden([Self.arrival(0, "a"), Self.arrival(100, "b")]) == ["b": "a"])
        #expect(Self.hidden([Self.arrival(0, "a"), Self.arrival(101, "b")]).isEmpty)
        let run = [Self.arrival(0, "a"), Self.arrival(90, "b"), Self.arrival(180, "c"), Self.arrival(281, "d")]
        #expect(Self.hidden(run) == ["b": "a", "c": "a"])
    }

    @Test("A deletion reaches both ways, and times at the ends of what there is do not overflow")
    func reach() {
        #expect(Self.window.reaches(from: 200, to: 100) && Self.window.reaches(from: 100, to: 200))
        #expect(!Self.window.reaches(from: 100, to: 201) && !Self.window.reaches(from: 201, to: 100))
        #expect(!Self.window.reaches(from: .min, to: .max) && !Self.window.reaches(from: .max, to: .min))
    }

    @Test("Part of a second counts as a whole one; a window of zero hides and deletes nothing")
    func off() {
        #expect(ResendWindow(.milliseconds(1_500)).reaches(from: 0, to: 2))
        #expect(ResendWindow(.zero).isOff)
        #expect(!ResendWindow(.zero).reaches(from: 5, to: 5))
        #expect(Self.hidden([Self.arrival(0, "a"), Self.arrival(0, "b")], ResendWindow(.zero)).isEmpty)
    }

    /// A message as the property below knows it: the name tells text and time.
    private struct Message: Hashable {
        let text: Int
        let seconds: Int64
        let name: String
    }

    /// A replica in memory, as a store keeps one: what a tombstone deletes is not there any more.
    private struct Replica {
        var messages: Set<Message> = []
        var gone: [String: Set<Message>] = [:]

        func deletes(_ message: Message) -> Bool {
            gone.values.contains { lines in
                lines.contains { line in
                    line.name == message.name
                        || line.text == message.text
                            && ResendWindowTests.window.reaches(from: line.seconds, to: message.seconds)
                }
            }
        }

        var contents: ReplicaContents {
            ReplicaContents(messages: Set(messages.map(\.name)), tombstones: Set(gone.keys))
        }

        /// Each hidden message with what it is hidden behind.
        var hidden: [Message: Message] {
            var hidden: [Message: Message] = [:]
            for (_, run) in Dictionary(grouping: messages, by: \.text) {
                let named = Dictionary(uniqueKeysWithValues: run.map { ($0.name, $0) })
                let arrivals = run.map { ResendWindow.Arrival(seconds: $0.seconds, identity: $0.name) }
                for pair in ResendWindowTests.window.hidden(among: arrivals) {
                    if let one = named[pair.hidden.identity] { hidden[one] = named[pair.shown.identity] }
                }
            }
            return hidden
        }

        var shown: Set<Message> { messages.subtracting(hidden.keys) }

        mutating func add(_ message: Message) {
            if !deletes(message) { messages.insert(message) }
        }

        mutating func delete(_ message: Message, by tombstone: String) {
            gone[tombstone] = Set([message] + hidden.filter { $0.value == message }.keys)
            messages = messages.filter { !deletes($0) }
        }

        mutating func take(_ step: Merge.Step, from other: Replica) -> Set<String> {
            switch step {
            case .tombstone(let name, _):
                gone[name] = other.gone[name] ?? []
                messages = messages.filter { !deletes($0) }
                return Set((gone[name] ?? []).map(\.name))
            case .message(let name, _):
                if let message = other.messages.first(where: { $0.name == name }) { add(message) }
                return []
            }
        }

        var digest: MailboxDigest {
            var digest = MailboxDigest()
            for message in messages { Array(message.name.utf8).withUnsafeBytes { digest.add(message: $0) } }
            for name in gone.keys { Array(name.utf8).withUnsafeBytes { digest.add(tombstone: $0) } }
            return digest
        }
    }

    private static func merge(_ here: inout Replica, _ there: inout Replica, fails: () -> Bool) -> Merge {
        var merge = Merge(here: here.contents, there: there.contents)
        var steps = merge.start()
        while !steps.isEmpty {
            let step = steps.removeFirst()
            if fails() {
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
        return merge
    }

    @Test(
        "In whatever order arrivals, deletions and merges come: all replicas end equal, show no text twice within the window, and nothing that was deleted or is the same",
        arguments: 0..<300)
    func converge(seed: Int) {
        var random = SplitMix(seed: UInt64(seed) &+ 4_711)
        func below(_ count: UInt64) -> UInt64 { random.next() % count }
        var replicas = [Replica(), Replica(), Replica()]
        // What was minted and has not arrived everywhere: any replica may get any of it at any time.
        var minted: [Message] = []
        var deleted: Set<Message> = []
        for step in 0..<80 {
            let place = Int(below(3))
            switch below(4) {
            case 0:
                let seconds = Int64(below(400))
                let message = Message(text: Int(below(4)), seconds: seconds, name: "\(seconds).\(below(9))m\(step)")
                minted.append(message)
                replicas[place].add(message)
            case 1:
                guard !minted.isEmpty else { continue }
                replicas[place].add(minted[Int(below(UInt64(minted.count)))])
            case 2:
                let shown = replicas[place].shown.sorted { $0.name < $1.name }
                guard let message = shown.first else { continue }
                let before = replicas[place].shown
                replicas[place].delete(message, by: "t\(step)")
                deleted.insert(message)
                #expect(replicas[place].shown.isSubset(of: before.subtracting([message])), "a deletion shows nothing")
            default:
                let other = (place + 1) % 3
                var (here, there) = (replicas[place], replicas[other])
                _ = Self.merge(&here, &there) { below(4) == 0 }
                (replicas[place], replicas[other]) = (here, there)
            }
        }
        for (left, right) in [(0, 1), (1, 2), (2, 0), (0, 1), (1, 2)] {
            var (here, there) = (replicas[left], replicas[right])
            #expect(Self.merge(&here, &there) { false }.isComplete)
            (replicas[left], replicas[right]) = (here, there)
        }
        for replica in replicas {
            #expect(replica.digest == replicas[0].digest)
            #expect(replica.shown == replicas[0].shown)
            for message in replica.shown {
                let isTwice = replica.shown.contains { $0 != message && Self.isSame($0, message) }
                #expect(!isTwice, "shown twice: \(message)")
                #expect(!deleted.contains(message) && !deleted.contains { Self.isSame($0, message) })
            }
        }
        // Late arrivals, again and everywhere, change nothing that was deleted.
        for place in replicas.indices { for message in minted { replicas[place].add(message) } }
        for replica in replicas {
            #expect(replica.shown == replicas[0].shown)
            #expect(!replica.messages.contains { message in deleted.contains { Self.isSame($0, message) } })
        }
    }

    private static func isSame(_ one: Message, _ other: Message) -> Bool {
        one.text == other.text && window.reaches(from: one.seconds, to: other.seconds)
    }
}
