import Bounces
import Mail
import Testing

let postmaster = EmailAddress(local: "postmaster", domain: "example.test")
let plan = BouncePlan(reportingHost: "mx.example.test", postmaster: postmaster)
let sender = EmailAddress(local: "s", domain: "example.test")
let unknownUser = Verdict.refused(Reason(550, "5.1.1", "no such user"))

func failed(
    _ sender: ReversePath = .address(sender), _ content: String = "Subject: hello\n\nbody\n", isWhole: Bool = false,
    recipients: [FailedRecipient] = [
        FailedRecipient(
            address: EmailAddress(local: "r", domain: "far.test"), verdict: unknownUser, remoteHost: "mx.far.test",
            lastAttempt: 1_000_000_000)
    ]
) -> FailedMessage {
    FailedMessage(
        sender: sender, recipients: recipients, arrival: 999_999_999, content: Array(content.utf8), isWhole: isWhole)
}

/// The notice that is sent; nil if there is none.
func notice(_ failed: FailedMessage, plan: BouncePlan = plan, messageID: String = "n1@mx.example.test")
    -> BounceMessage?
{
    guard case .send(let message) = plan.decide(failed, messageID: messageID, now: 1_000_000_001) else { return nil }
    return message
}

/// A notice taken apart by its lines alone.
struct Parsed {
    let header: [String]
    /// Each part's fields and body.
    let parts: [(fields: [String], body: String)]

    init?(_ message: BounceMessage) {
        let text = String(decoding: message.bytes, as: UTF8.self)
        let halves = text.split(separator: "\r\n\r\n", maxSplits: 1).map(String.init)
        header = halves[0].replacing("\r\n\t", with: " ").split(separator: "\r\n").map(String.init)
        guard let type = header.first(where: { $0.hasPrefix("Content-Type: ") }),
            let boundary = type.split(separator: "boundary=\"").last?.dropLast()
        else { return nil }
        let pieces = ("\r\n" + halves[1]).split(separator: "\r\n--\(boundary)", omittingEmptySubsequences: false)
        guard pieces.first == "", pieces.last == "--\r\n" else { return nil }
        parts = pieces.dropFirst().dropLast().map { piece in
            let parts = piece.dropFirst(1).split(separator: "\r\n\r\n", maxSplits: 1).map(String.init)
            return (parts[0].split(separator: "\r\n").map(String.init), parts.count > 1 ? parts[1] : "")
        }
    }
}

/// The notice that is sent, taken apart.
func takenApart(_ failed: FailedMessage, plan: BouncePlan = plan) throws -> Parsed {
    let message = try #require(notice(failed, plan: plan))
    return try #require(Parsed(message))
}
