/// The messages of one listing that are to be sent next: the oldest ones, a bounded number, and of one mailbox no more
/// than its share while others need the room. Mailboxes take turns; each one's messages stay in their order.
struct SpoolWindow: Sendable {
    private let max: Int
    /// What a listing has found so far, in no order.
    private var found: [SpoolEntry] = []
    /// Whether something was found that has no room.
    private(set) var isCut = false
    /// Oldest last.
    private var queues: [String: [SpoolEntry]] = [:]
    /// Mailboxes in the order of their turns, from `turn` on.
    private var turns: [String] = []
    private var turn = 0
    private(set) var count = 0

    init(max: Int) { self.max = max }

    /// Names in memory.
    var held: Int { count + found.count }

    /// Whether it has a message of that name: what else is said of it may differ.
    func contains(_ entry: SpoolEntry) -> Bool { queues[entry.mailbox]?.contains { $0.name == entry.name } ?? false }

    mutating func clear() { self = SpoolWindow(max: max) }

    mutating func find(_ entry: SpoolEntry, inTurns: Bool) {
        found.append(entry)
        if found.count >= 2 * max { cut(inTurns: inTurns) }
    }

    /// - Returns: the youngest message that has room; nil if there is none.
    mutating func arrange(inTurns: Bool) -> SpoolEntry? {
        cut(inTurns: inTurns)
        let youngest = found.last
        for entry in found { append(entry) }
        for mailbox in queues.keys { queues[mailbox]?.reverse() }
        found = []
        return youngest
    }

    private mutating func append(_ entry: SpoolEntry) {
        if queues[entry.mailbox] == nil { turns.append(entry.mailbox) }
        queues[entry.mailbox, default: []].append(entry)
        count += 1
    }

    mutating func next() -> SpoolEntry? {
        guard turn < turns.count, let entry = queues[turns[turn]]?.popLast() else { return nil }
        let mailbox = turns[turn]
        turn += 1
        count -= 1
        if queues[mailbox]?.isEmpty ?? true { queues[mailbox] = nil } else { turns.append(mailbox) }
        if turn > 64, turn > turns.count / 2 {
            turns.removeFirst(turn)
            turn = 0
        }
        return entry
    }

    /// Adds a message at its place among its mailbox's others.
    mutating func insert(_ entry: SpoolEntry) {
        if queues[entry.mailbox] == nil { turns.append(entry.mailbox) }
        var queue = queues[entry.mailbox] ?? []
        var place = queue.count
        while place > 0, queue[place - 1] < entry { place -= 1 }
        queue.insert(entry, at: place)
        queues[entry.mailbox] = queue
        count += 1
    }

    /// Takes out all that `isOver`.
    mutating func removeAll(where isOver: (SpoolEntry) -> Bool) {
        for (mailbox, queue) in queues {
            let kept = queue.filter { !isOver($0) }
            count -= queue.count - kept.count
            queues[mailbox] = kept.isEmpty ? nil : kept
        }
        turns = turns[turn...].filter { queues[$0] != nil }
        turn = 0
    }

    /// Keeps the oldest: first each mailbox's share, then what else has room. Sorted, oldest first.
    private mutating func cut(inTurns: Bool) {
        found.sort()
        guard found.count > max else { return }
        isCut = true
        guard inTurns else {
            found.removeLast(found.count - max)
            return
        }
        let share = Swift.max(1, max / 4)
        var shares: [String: Int] = [:]
        var (first, others): ([SpoolEntry], [SpoolEntry]) = ([], [])
        for entry in found {
            shares[entry.mailbox, default: 0] += 1
            if shares[entry.mailbox, default: 0] <= share { first.append(entry) } else { others.append(entry) }
        }
        found = Array((first.prefix(max) + others.prefix(Swift.max(0, max - first.count)))).sorted()
    }
}
