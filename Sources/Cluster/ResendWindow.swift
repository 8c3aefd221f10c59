/// A client that lost our 250 sends its message again, and it becomes a second message under another identity. Which of
/// them shows is a pure function of what the mailbox holds, so that replicas agree without asking each other:
///
/// - A message is hidden while another one with the same content is there whose identity is earlier, by its time and then
///   by its text, and at most the window before it. So of each run of arrivals the first shows.
/// - A tombstone that tells its message's content deletes what has the same content within the window, before or after:
///   what came before it was not there when the reader saw this one, and must not be shown as a new one afterwards.
/// - The deletion of a message names what it hides as well: nothing begins to show because something was deleted.
package struct ResendWindow: Hashable, Sendable {
    /// Zero: every message shows.
    package let duration: Duration
    /// In whole seconds, as identities tell time; none if resending is not looked for.
    private let seconds: Int64?

    package init(_ duration: Duration) {
        let (whole, attoseconds) = duration.components
        self.duration = duration
        seconds = duration > .zero ? whole + (attoseconds > 0 ? 1 : 0) : nil
    }

    package var isOff: Bool { seconds == nil }

    /// A message with its content, as it was named by whoever took it in.
    package struct Arrival: Hashable, Sendable, Comparable {
        /// As the identity tells it, since 1970 in UTC.
        package let seconds: Int64
        package let identity: String

        package init(seconds: Int64, identity: String) {
            self.seconds = seconds
            self.identity = identity
        }

        package static func < (left: Arrival, right: Arrival) -> Bool {
            (left.seconds, left.identity) < (right.seconds, right.identity)
        }
    }

    /// Whether messages of these times, in seconds since 1970, can be one that was sent twice.
    package func reaches(from one: Int64, to other: Int64) -> Bool {
        guard let seconds else { return false }
        let (distance, isFar) = other.subtractingReportingOverflow(one)
        return !isFar && distance.magnitude <= seconds.magnitude
    }

    /// Of arrivals with one content: those that are hidden, each with the one that shows in its place.
    package func hidden(among arrivals: [Arrival]) -> [(hidden: Arrival, shown: Arrival)] {
        var hidden: [(Arrival, Arrival)] = []
        var run: (shown: Arrival, last: Arrival)?
        for next in arrivals.sorted() {
            if let known = run, reaches(from: known.last.seconds, to: next.seconds) {
                hidden.append((next, known.shown))
                run = (known.shown, next)
            } else {
                run = (next, next)
            }
        }
        return hidden
    }
}
