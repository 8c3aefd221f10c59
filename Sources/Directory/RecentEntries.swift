/// A table with a bound: when it is full, the entry that was longest untouched makes room.
///
/// The entries stand in one array and are linked by their indices, most recently used first.
package struct RecentEntries<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Node: Sendable {
        var key: Key
        var value: Value
        var newer: Int
        var older: Int
    }

    private static var none: Int { -1 }

    private let entriesMax: Int
    private var nodes: [Node] = []
    private var indices: [Key: Int] = [:]
    private var newest = none
    private var oldest = none

    package init(entriesMax: Int) {
        self.entriesMax = max(0, entriesMax)
    }

    package var count: Int { nodes.count }

    /// Looks a value up, and makes it the most recently used.
    package mutating func value(for key: Key) -> Value? {
        guard let index = indices[key] else { return nil }
        touch(index)
        return nodes[index].value
    }

    package mutating func insert(_ value: Value, for key: Key) {
        guard entriesMax > 0 else { return }
        if let index = indices[key] {
            nodes[index].value = value
            touch(index)
        } else if nodes.count < entriesMax {
            nodes.append(Node(key: key, value: value, newer: Self.none, older: Self.none))
            indices[key] = nodes.count - 1
            pushFront(nodes.count - 1)
        } else {
            let index = oldest
            unlink(index)
            indices[nodes[index].key] = nil
            nodes[index].key = key
            nodes[index].value = value
            indices[key] = index
            pushFront(index)
        }
    }

    package mutating func removeAll() {
        self = RecentEntries(entriesMax: entriesMax)
    }

    private mutating func touch(_ index: Int) {
        guard index != newest else { return }
        unlink(index)
        pushFront(index)
    }

    private mutating func unlink(_ index: Int) {
        let (newer, older) = (nodes[index].newer, nodes[index].older)
        if newer == Self.none { newest = older } else { nodes[newer].older = older }
        if older == Self.none { oldest = newer } else { nodes[older].newer = newer }
    }

    private mutating func pushFront(_ index: Int) {
        nodes[index].newer = Self.none
        nodes[index].older = newest
        if newest == Self.none { oldest = index } else { nodes[newest].newer = index }
        newest = index
    }
}
