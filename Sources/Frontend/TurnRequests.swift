import SMTP

/// What a frontend says to clients that ask for mail which waits for them (ETRN, RFC 1985; ATRN, RFC 2645).
///
/// No mail waits for clients in this cluster, so neither is offered, and who asks all the same is told so.
struct TurnRequests: Sendable {
    var offersETRN = false
    var offersATRN = false
    /// - Parameter address: the client's, as text; empty for a Unix socket.
    var startQueue: @Sendable (ETRNRequest, _ address: String) async -> ETRNAnswer = { _, _ in
        .notAllowed("nothing is kept for it here")
    }
    /// Whoever grants a turn takes the connection over when the session says `turn`.
    var askTurn: @Sendable (ATRNRequest) async -> ATRNAnswer = { _ in .noMail }
}
