/// A table that holds a bounded number of entries and forgets the longest untouched ones first, half of them at once.
///
/// When the young generation is full it becomes the old one, and what was old is forgotten: the bound holds at constant
/// cost, and who floods the table keeps his own entry young.
struct TwoGenerations<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private let youngMax: Int
    private var young: [Key: Value] = [:]
    private var old: [Key: Value] = [:]

    init(entriesMax: Int) {
        youngMax = max(1, entriesMax / 2)
    }

    var count: Int { young.count + old.count }

    subscript(key: Key) -> Value? { young[key] ?? old[key] }

    mutating func remember(_ value: Value, for key: Key) {
        old[key] = nil
        if young[key] == nil, young.count >= youngMax {
            old = young
            young = [:]
        }
        young[key] = value
    }

    mutating func forget(_ key: Key) {
        young[key] = nil
        old[key] = nil
    }
}
