import Bounces
import Glibc
import Logging
import Mail

/// Tells senders of mail that could not be relayed, through the cluster's own front door: it knows who has a mailbox here, and
/// whose mail goes elsewhere.
struct RelayBouncer: Sendable {
    enum Outcome {
        /// Somebody has been told, or there is nobody to tell.
        case told
        case later(Reason)
    }

    let plan: BouncePlan
    let door: any RelayCarrier
    let log: Logger

    /// A notice that is refused becomes one to the postmaster, and that is the last.
    func tell(_ failed: FailedMessage, of name: String) async -> Outcome {
        var failed = failed
        while true {
            let id = "\(UInt64.random(in: 0 ... .max)).\(time(nil)).bounce@\(plan.reportingHost)"
            switch plan.decide(failed, messageID: id, now: Int64(time(nil))) {
            case .nothing(let why):
                log.warning("nobody is told of a failed message", metadata: ["message": "\(name)", "reason": "\(why)"])
                return .told
            case .send(let notice):
                guard case .answered(let verdict, _) = await door.carry(RelayMessage(notice)) else {
                    return .later(Reason(451, "4.4.1", "the server for notices does not answer"))
                }
                switch verdict {
                case .accepted:
                    log.info(
                        "bounced",
                        metadata: ["message": "\(name)", "to": "\(notice.recipient)", "notice": "\(id)"])
                    return .told
                case .deferred(let reason):
                    return .later(reason)
                case .refused:
                    failed = FailedMessage(
                        sender: notice.sender,
                        recipients: [
                            FailedRecipient(
                                address: notice.recipient, verdict: verdict, remoteHost: door.server,
                                lastAttempt: Int64(time(nil)))
                        ], arrival: Int64(time(nil)), content: notice.bytes, isWhole: true)
                }
            }
        }
    }
}
