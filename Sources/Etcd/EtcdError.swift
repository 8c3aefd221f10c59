/// Why etcd did not do what it was asked.
package enum EtcdError: Error, Sendable, Equatable {
    /// No member answered as it should: what each of them did instead. A change may have come about all the same.
    case unavailable([String])
    /// A member refused; the code is gRPC's (google.rpc.Code).
    case refused(code: Int, message: String)
    /// A certificate, key, CA or endpoint that cannot be used.
    case settings(String)
    /// The task was cancelled.
    case cancelled
}

extension EtcdError {
    /// Whether a new token may help: the token is unknown (16), or none was sent, or rights changed since it was made (3).
    var asksForLogin: Bool {
        guard case .refused(let code, let message) = self else { return false }
        return code == 16
            || code == 3 && (message.contains("user name is empty") || message.contains("auth store is old"))
    }

    /// Whether the answer is that there is no such lease (5).
    var isUnknownLease: Bool {
        guard case .refused(5, _) = self else { return false }
        return true
    }
}

extension EtcdError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unavailable(let reasons): "etcd is not available: \(reasons.joined(separator: "; "))"
        case .refused(let code, let message): "etcd refused: \(message) (code \(code))"
        case .settings(let text): text
        case .cancelled: "cancelled"
        }
    }
}
