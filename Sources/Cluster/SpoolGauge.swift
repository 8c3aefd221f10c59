/// How full a spool is that is not to grow without bound: what a slow walk through it has counted, and what came and went
/// since. Nothing of it is kept, so that nothing can disagree with the spool; after a start it knows as much as was counted
/// so far, and each further walk corrects what other processes did.
package struct SpoolGauge: Sendable {
    package enum Level: Sendable {
        case roomy
        /// 80 % of the bound wait.
        case nearlyFull
        /// Nothing more is to come in. Until a fifth is free again it stays full, so that the spool is not left out of every
        /// second message.
        case full
    }

    private struct Walk {
        var counted = 0
        /// The last place that was counted: what changes behind it is counted yet.
        var last = ""
    }

    /// How many files may wait.
    package let max: Int
    private var estimate = 0
    private var walk: Walk?
    private var isFull = false

    /// - Parameter max: at least 1.
    package init(max: Int) {
        precondition(max > 0, "a spool for nothing")
        self.max = max
    }

    /// How many files wait, as far as is known.
    package var count: Int { Swift.max(estimate, walk?.counted ?? 0) }

    package var level: Level {
        if isFull { return .full }
        return count >= threshold ? .nearlyFull : .roomy
    }

    /// How many more may come in before the spool is half full: for what can wait, because half of the room is for what cannot.
    package var spareRoom: Int { isFull ? 0 : Swift.max(0, (max + 1) / 2 - count) }

    private var threshold: Int { max - max / 5 }

    /// - Parameters:
    ///   - change: how many files came; negative for those that went.
    ///   - place: where, in the order in which the walk goes.
    package mutating func changed(by change: Int, at place: @autoclosure () -> String) {
        // What went had not been counted yet, if there was less.
        estimate = Swift.max(0, estimate + change)
        if let last = walk?.last, place() <= last { walk?.counted += change }
        judge()
    }

    package mutating func walkBegan() { walk = Walk() }

    /// The walk found so many files at a place.
    package mutating func counted(_ count: Int, at place: String) {
        walk?.counted += count
        walk?.last = place
        judge()
    }

    /// The walk has been everywhere.
    package mutating func walkEnded() {
        guard let walk else { return }
        estimate = walk.counted
        self.walk = nil
        judge()
    }

    private mutating func judge() {
        if count >= max { isFull = true }
        if count < threshold { isFull = false }
    }
}
