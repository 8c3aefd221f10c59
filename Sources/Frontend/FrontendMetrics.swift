import Cluster
import Mail
import Metrics

/// What a frontend counts. The names are part of its interface: dashboards hang on them.
final class FrontendMetrics: Sendable {
    let smtpConnections = Counter(label: "smtp_connections")
    let qmtpConnections = Counter(label: "qmtp_connections")
    let pop3Connections = Counter(label: "pop3_connections")
    let pop3Logins = Counter(label: "pop3_logins")
    let answeredAhead = Counter(label: "pop3_answered_ahead")
    let loginFailures = Counter(label: "login_failures")
    let refusedConnections = Counter(label: "connections_refused")
    private let accepted = Counter(label: "messages", dimensions: [("verdict", "accepted")])
    private let deferred = Counter(label: "messages", dimensions: [("verdict", "deferred")])
    private let refused = Counter(label: "messages", dimensions: [("verdict", "refused")])
    private let handedOff = Counter(label: "handoffs")
    private let octets = Counter(label: "message_octets")
    private let deliveryTime = Timer(label: "delivery_seconds")

    /// A node has answered for a copy.
    func copyAnswered(_ kind: DeliveryPlan.Copy.Kind, _ verdict: Verdict) {
        if kind != .own, verdict.isAccepted { handedOff.increment() }
    }

    /// A message that was read whole has its verdicts.
    func messageEnded(_ verdicts: [Verdict], octets: Int, took: Duration) {
        for verdict in verdicts {
            switch verdict {
            case .accepted: accepted.increment()
            case .deferred: deferred.increment()
            case .refused: refused.increment()
            }
        }
        self.octets.increment(by: octets)
        deliveryTime.record(duration: took)
    }
}
