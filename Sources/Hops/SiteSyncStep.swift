package import Mail
import SMTP

/// What a storage node has done of a comparison with another site, as it answers `XSITE site SYNC`.
package struct SiteSyncStep: Sendable, Equatable {
    /// Mailboxes that were compared, also those below.
    package var mailboxes = 0
    /// Those of them in which both sites have the same.
    package var same = 0
    /// Those that the site does not take: it has no such account.
    package var strange = 0
    /// Messages and deletions of those in which they have not.
    package var offered = 0
    /// What it lacked, and what waits for it now because of that.
    package var spooled = 0
    /// Messages that it lacks, and that are not given to it because the copy here is damaged; and folders that cannot be read.
    package var damaged = 0
    /// The last mailbox that was compared; nil if that was all of the partition.
    package var last: MailboxName?
    /// Whether there is more of the partition.
    package var hasMore = false
    /// Why it went no further, in words; it may later.
    package var obstacle: String?

    package init() {}

    /// What there is of one that will be done once more.
    package var unfinished: SiteSyncStep {
        var step = SiteSyncStep()
        step.spooled = spooled
        return step
    }

    /// Adds what was done.
    package static func += (left: inout SiteSyncStep, right: SiteSyncStep) {
        for count in counts { left[keyPath: count.place] += right[keyPath: count.place] }
    }

    private static var counts: [(key: String, place: WritableKeyPath<SiteSyncStep, Int>)] {
        [
            ("mailboxes", \.mailboxes), ("same", \.same), ("strange", \.strange), ("offered", \.offered),
            ("spooled", \.spooled), ("damaged", \.damaged),
        ]
    }

    private static let obstacleMax = 100

    /// `mailboxes=3 same=2 … last=MAILBOX more`, the obstacle in xtext.
    package var text: String {
        var words = Self.counts.map { "\($0.key)=\(self[keyPath: $0.place])" }
        if let last { words.append("last=\(XText.encode(last.description))") }
        if hasMore { words.append("more") }
        if let obstacle { words.append("obstacle=\(XText.encode(String(obstacle.prefix(Self.obstacleMax))))") }
        return words.joined(separator: " ")
    }

    /// Nil for what no node answers. Words that are not known are passed over: the node may be newer.
    package init?(_ text: String) {
        var known = 0
        for word in text.split(separator: " ") {
            let pair = word.split(separator: "=", maxSplits: 1)
            guard pair.count == 2 else {
                if word == "more" { hasMore = true }
                continue
            }
            if let count = Self.counts.first(where: { $0.key == pair[0] }) {
                guard let number = Int(pair[1]), number >= 0 else { return nil }
                self[keyPath: count.place] = number
                known += 1
            }
            let value = XText.decode(Array(pair[1].utf8))
            if pair[0] == "last" {
                guard let name = value.flatMap({ MailboxName($0) }) else { return nil }
                last = name
            }
            if pair[0] == "obstacle" { obstacle = value }
        }
        guard known == Self.counts.count else { return nil }
    }
}
