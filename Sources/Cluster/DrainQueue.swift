/// What is to be drained, in the order in which that was found, and what is being drained: nothing is drained twice at a time.
package struct DrainQueue<Key: Hashable & Sendable>: Sendable {
    /// From `head` on.
    private var waiting: [Key] = []
    private var head = 0
    private var isWaiting: Set<Key> = []
    private var inHand: Set<Key> = []
    /// Something came there after its draining began.
    private var again: Set<Key> = []

    package init() {}

    /// Those that wait for their turn.
    package var count: Int { waiting.count - head }
    /// Those that are being drained.
    package var running: Int { inHand.count }

    /// Something new came there.
    package mutating func came(_ keys: some Sequence<Key>) {
        for key in keys {
            if inHand.contains(key) { again.insert(key) } else { append(key) }
        }
    }

    /// Something was found there, which may be what is being drained.
    package mutating func found(_ keys: some Sequence<Key>) {
        for key in keys where !inHand.contains(key) { append(key) }
    }

    /// The next one is being drained from now on; `ended` follows.
    package mutating func next() -> Key? {
        guard head < waiting.count else { return nil }
        let key = waiting[head]
        head += 1
        if head * 2 >= waiting.count {
            waiting.removeFirst(head)
            head = 0
        }
        isWaiting.remove(key)
        inHand.insert(key)
        return key
    }

    package mutating func ended(_ key: Key) {
        guard inHand.remove(key) != nil else { return }
        if again.remove(key) != nil { append(key) }
    }

    private mutating func append(_ key: Key) {
        if isWaiting.insert(key).inserted { waiting.append(key) }
    }
}
