import Mail

/// What became of a message on its way to a relay's server.
enum RelayOutcome: Sendable {
    /// - Parameter sends: how often its text was sent: again, if a connection broke before the answer came.
    case answered(Verdict, sends: Int)
    /// No answer came. The server may have it as often as its text was sent (RFC 1047).
    case lost(sends: Int)
}

/// A way to a server that takes messages.
protocol RelayCarrier: Sendable {
    func carry(_ message: RelayMessage) async -> RelayOutcome
    /// Whether it is worth a try.
    var isReachable: Bool { get }
    /// Why the last connection failed; nil if one has come up since.
    var lastFailure: String? { get }
    /// Who answered last, for the notice to a sender.
    var server: String { get }
    /// What has no answer yet is lost at once, and so is all that comes.
    func abandon()
}
