import SMTP

/// How a storage node stands with another site, as `XSTATUS` with the site's name tells it, or with a relay, as `XSTATUS`
/// with `relay:` and the relay's name does.
package struct SiteStatus: Sendable, Equatable {
    /// What stands before a relay's name; no site's name has a colon.
    package static let relayMark = "relay:"

    package var name: String
    /// What waits for the site on this node; counting stops at a bound.
    package var messages = 0
    package var tombstones = 0
    package var octets = 0
    /// When the oldest of it was made, in seconds since 1970; nil if nothing waits.
    package var oldest: Int64?
    /// When the site last took something from this node, in seconds since 1970.
    package var succeeded: Int64?
    /// Why it last did not; nil if it has taken something since.
    package var error: String?
    /// Since when an operator has nothing carried there, in seconds since 1970; nil if something is.
    package var paused: Int64?
    /// Since when something may be here that the site has not, and that does not wait for it, in seconds since 1970.
    package var needsSync: Int64?
    /// How many files wait, as far as was counted, and how many may; nil if there is no bound.
    package var files: Int?
    package var filesMax: Int?

    /// The answer is one line.
    private static let errorMax = 200

    package init(name: String) { self.name = name }

    /// `NAME;messages;tombstones;octets;oldest;succeeded;error;paused;needs sync;files;most files`, without blanks.
    package var text: String {
        let numbers = [messages, tombstones, octets].map { String($0) }
        let error = error.map { String($0.prefix(Self.errorMax)).replacing(";", with: ",") }
        let words = [name] + numbers + [oldest, succeeded].map(Self.text) + [error.map(XText.encode) ?? ""]
        let more = [paused, needsSync].map(Self.text) + [files, filesMax].map(Self.text)
        return (words + more).joined(separator: ";")
    }

    private static func text(_ number: (some BinaryInteger)?) -> String { number.map { String($0) } ?? "" }

    package init?(_ text: String) {
        let parts = text.split(separator: ";", omittingEmptySubsequences: false)
        guard parts.count >= 7, let messages = Int(parts[1]), let tombstones = Int(parts[2]), let octets = Int(parts[3])
        else { return nil }
        name = String(parts[0])
        self.messages = messages
        self.tombstones = tombstones
        self.octets = octets
        oldest = Int64(parts[4])
        succeeded = Int64(parts[5])
        error = parts[6].isEmpty ? nil : XText.decode(Array(parts[6].utf8))
        // An older node does not tell.
        guard parts.count > 10 else { return }
        (paused, needsSync) = (Int64(parts[7]), Int64(parts[8]))
        (files, filesMax) = (Int(parts[9]), Int(parts[10]))
    }
}
