/// How a storage node stands with moves, handoff and repair, as `XSTATUS` tells it.
package struct NodeStatus: Sendable, Equatable {
    /// The epoch that the node goes by.
    package var epoch: UInt64 = 0
    package var settledEpoch: UInt64 = 0
    /// The fingerprint of its ring.
    package var ring: UInt64 = 0
    /// Partitions of others that were here when the epoch began.
    package var strays = 0
    /// Those of them that still have mail here.
    package var straysLeft = 0
    /// Whether the node has not looked yet.
    package var isLooking = false
    /// Messages and octets that were moved since the node started.
    package var messagesMoved = 0
    package var octetsMoved = 0
    /// Mailboxes in which something waits for other nodes.
    package var mailboxesWaiting = 0
    /// Whether there may be more: counting them took too long, or something cannot be looked at.
    package var mayMoreWait = false
    /// The daily comparison of this node's partitions with their other owners.
    package var repairPartitions = 0
    package var repairDone = 0
    /// What was deleted before it may be forgotten as far as the node knows, in seconds since 1970; nil if it does not know.
    package var forgets: Int64?
    /// Why something is not moved, in words.
    package var obstacle: String?

    package init() {}
}

extension NodeStatus {
    private static var numbers: [(key: String, place: WritableKeyPath<NodeStatus, Int>)] {
        [
            ("strays", \.strays), ("left", \.straysLeft), ("messages", \.messagesMoved), ("octets", \.octetsMoved),
            ("waiting", \.mailboxesWaiting), ("repair", \.repairPartitions), ("repaired", \.repairDone),
        ]
    }

    /// `epoch=3 settled=2 strays=4 …`; an obstacle comes last, because it has spaces.
    package var text: String {
        var words = ["epoch=\(epoch)", "settled=\(settledEpoch)", "ring=\(ring)"]
        words += Self.numbers.map { "\($0.key)=\(self[keyPath: $0.place])" }
        if mayMoreWait { words.append("more") }
        if isLooking { words.append("looking") }
        if let forgets { words.append("forgets=\(forgets)") }
        if let obstacle { words.append("obstacle=\(obstacle)") }
        return words.joined(separator: " ")
    }

    /// Words that are not known are passed over: the node may be newer.
    package init(_ text: String) {
        self.init()
        let halves = text.split(separator: " obstacle=", maxSplits: 1)
        if halves.count == 2 { obstacle = String(halves[1]) }
        for word in (halves.first ?? "").split(separator: " ") {
            let pair = word.split(separator: "=", maxSplits: 1)
            if word == "looking" { isLooking = true }
            if word == "more" { mayMoreWait = true }
            guard pair.count == 2, let value = UInt64(pair[1]) else { continue }
            switch pair[0] {
            case "epoch": epoch = value
            case "settled": settledEpoch = value
            case "ring": ring = value
            case "forgets": forgets = Int64(clamping: value)
            default:
                guard let number = Self.numbers.first(where: { $0.key == pair[0] }) else { continue }
                self[keyPath: number.place] = Int(clamping: value)
            }
        }
    }
}
