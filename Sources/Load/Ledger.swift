import Glibc
import Synchronization

/// The generator's account of what it sent and what was answered: a line `<token> <recipient> <outcome>` per message
/// and recipient. A file, so that a later run can check the mailboxes against it.
package final class Ledger: Sendable {
    /// What the server said last of one message for one recipient.
    package enum Outcome: Sendable, Equatable {
        /// 250, or a refusal's code.
        case replied(Int)
        /// The text went out and no answer came: it may be there, once.
        case unknown
        /// It never went out.
        case unsent

        package var text: String {
            switch self {
            case .replied(let code): "\(code)"
            case .unknown: "unknown"
            case .unsent: "unsent"
            }
        }

        package init?(_ text: some StringProtocol) {
            switch text {
            case "unknown": self = .unknown
            case "unsent": self = .unsent
            default:
                guard let code = Int(text), (200...599).contains(code) else { return nil }
                self = .replied(code)
            }
        }
    }

    private let descriptor: Int32
    private let path: String
    private let failure = Mutex<String?>(nil)

    /// Appends to `path`, which is made if it is missing.
    package init(path: String) throws(LoadError) {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        if descriptor < 0 { throw LoadError("\(path): \(String(cString: strerror(errno)))") }
    }

    deinit { close(descriptor) }

    /// Writes whole lines, at once: what is in the file stays there, whatever becomes of the run.
    func write(token: String, _ outcomes: [(recipient: String, outcome: Outcome)]) {
        var lines = ""
        for (recipient, outcome) in outcomes { lines += "\(token) \(recipient) \(outcome.text)\n" }
        lines.withUTF8 { bytes in
            if Glibc.write(descriptor, bytes.baseAddress, bytes.count) != bytes.count {
                let text = String(cString: strerror(errno))
                failure.withLock { $0 = $0 ?? "\(path): \(text)" }
            }
        }
    }

    /// Why a line could not be written.
    package var trouble: String? { failure.withLock { $0 } }
}

/// What keeps a run from being done at all.
package struct LoadError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
