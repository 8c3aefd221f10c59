/// What a session sees of a snapshot: all of it in another node's session, and in a client's the messages that are not
/// hidden, in their order.
package struct ShownMessages: Sendable {
    package let snapshot: MaildropSnapshot
    /// For another node, which makes a copy of what it reads.
    package let isWhole: Bool
    private let hidden: [MaildropSnapshot.Hidden]
    package let count: Int
    /// The sum of the messages' octets, as STAT tells it.
    package let octets: Int

    /// - Parameter isWhole: hidden messages too.
    package init(_ snapshot: MaildropSnapshot, isWhole: Bool) {
        self.snapshot = snapshot
        self.isWhole = isWhole
        hidden = isWhole ? [] : snapshot.hidden
        count = snapshot.count - hidden.count
        octets = hidden.reduce(snapshot.octets) { $0 &- snapshot.octets(at: Int($1.index)) }
    }

    /// The place in the snapshot of the message at this position.
    package func index(at position: Int) -> Int {
        // How many hidden ones come before it: the most that have as many shown ones before them at most.
        var (low, high) = (0, hidden.count)
        while low < high {
            let middle = (low + high) / 2
            if Int(hidden[middle].index) - middle <= position { low = middle + 1 } else { high = middle }
        }
        return position + low
    }

    package func octets(at position: Int) -> Int { snapshot.octets(at: index(at: position)) }

    package func uidl(at position: Int) -> String { snapshot.uidl(at: index(at: position)) }

    package func appendUIDL(at position: Int, to output: inout [UInt8]) {
        snapshot.appendUIDL(at: index(at: position), to: &output)
    }
}
