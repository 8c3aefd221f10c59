/// What became of a message, for one recipient: qmail's K, Z and D. Nothing else crosses a fan-out or a spool.
package enum Verdict: Hashable, Sendable {
    /// Kept for good: the one who said it answers for the message now.
    case accepted
    /// Not now: whoever holds the message keeps it and tries again.
    case deferred(Reason)
    /// Never: whoever holds the message tells its sender.
    case refused(Reason)

    package var isAccepted: Bool { self == .accepted }
}

extension Verdict: CustomStringConvertible {
    package var description: String {
        switch self {
        case .accepted: "accepted"
        case .deferred(let reason): "deferred(\(reason))"
        case .refused(let reason): "refused(\(reason))"
        }
    }
}

/// Why a message was deferred or refused, in the terms of SMTP.
package struct Reason: Hashable, Sendable {
    /// The reply code (RFC 5321 §4.2.1): 400 to 499 or 500 to 599.
    package let code: Int
    /// The enhanced status code (RFC 3463), such as "4.3.0".
    package let status: String
    /// One line for people; what the peer may see.
    package let text: String

    package init(_ code: Int, _ status: String, _ text: String) {
        self.code = code
        self.status = status
        self.text = text
    }

    /// A surprise never loses mail: anything unforeseen is this (RFC 3463 §3.4, X.3.0).
    package static let unexpected = Reason(451, "4.3.0", "temporary failure, try again later")
}

extension Reason: CustomStringConvertible {
    package var description: String { "\(code) \(status) \(text)" }

    /// Takes a description back; what does not look like one is all text.
    package init(reply: String) {
        let words = reply.split(separator: " ", maxSplits: 2)
        if words.count == 3, let code = Int(words[0]), (400...599).contains(code) {
            self.init(code, String(words[1]), String(words[2]))
        } else {
            self.init(554, "5.0.0", reply)
        }
    }
}
