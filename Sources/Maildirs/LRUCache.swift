/// Keeps what was used last, up to a bound on the sum of the costs.
struct LRUCache<Key: Hashable, Value> {
    private struct Slot {
        var key: Key
        var value: Value
        var cost: Int
        var newer: Int
        var older: Int
    }

    private static var none: Int { -1 }

    private var indices: [Key: Int] = [:]
    private var slots: [Slot?] = []
    private var free: [Int] = []
    private var newest = Self.none
    private var oldest = Self.none
    private(set) var cost = 0
    let costMax: Int

    init(costMax: Int) { self.costMax = costMax }

    var count: Int { indices.count }

    /// The value, which thereby becomes the newest.
    mutating func value(for key: Key) -> Value? {
        guard let index = indices[key] else { return nil }
        if index != newest {
            unlink(index)
            linkAsNewest(index)
        }
        return slots[index]?.value
    }

    /// Takes the value in, and drops the oldest while the bound is passed. What alone is over the bound is not kept.
    mutating func insert(_ value: Value, for key: Key, cost: Int) {
        remove(key)
        guard cost <= costMax else { return }
        let index: Int
        if let reused = free.popLast() {
            index = reused
        } else {
            index = slots.count
            slots.append(nil)
        }
        slots[index] = Slot(key: key, value: value, cost: cost, newer: Self.none, older: Self.none)
        indices[key] = index
        linkAsNewest(index)
        self.cost += cost
        while self.cost > costMax, oldest != Self.none, let last = slots[oldest] { remove(last.key) }
    }

    mutating func remove(_ key: Key) {
        guard let index = indices.removeValue(forKey: key) else { return }
        unlink(index)
        cost -= slots[index]?.cost ?? 0
        slots[index] = nil
        free.append(index)
    }

    private mutating func unlink(_ index: Int) {
        guard let slot = slots[index] else { return }
        if slot.newer == Self.none { newest = slot.older } else { slots[slot.newer]?.older = slot.older }
        if slot.older == Self.none { oldest = slot.newer } else { slots[slot.older]?.newer = slot.newer }
    }

    private mutating func linkAsNewest(_ index: Int) {
        slots[index]?.newer = Self.none
        slots[index]?.older = newest
        if newest != Self.none { slots[newest]?.newer = index }
        newest = index
        if oldest == Self.none { oldest = index }
    }
}
