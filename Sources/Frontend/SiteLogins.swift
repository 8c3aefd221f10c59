import Mail
import SASL

/// The other sites that may log in, with the secrets that they share with this one.
struct SiteLogins: Sendable {
    private let credentials: [String: SCRAMCredentials]
    private let seed: [UInt8]

    /// - Parameters:
    ///   - secrets: by the other site's name.
    ///   - seed: random, of this process.
    init(secrets: [String: String], seed: [UInt8]) {
        var credentials: [String: SCRAMCredentials] = [:]
        for (name, secret) in secrets {
            // As those that are invented for names that nobody has: a salt of its own for each name.
            let salt = SCRAMCredentials.invented(user: name, secret: seed).salt
            credentials[name] = SCRAMCredentials(password: secret, salt: salt)
        }
        self.credentials = credentials
        self.seed = seed
    }

    /// Whether it is a site that wants in: such a user is never an account.
    static func isSite(_ user: String) -> Bool { user.hasSuffix(suffix) }

    private static let suffix = "@\(AuthenticatedUser.siteDomain)"

    func answer(_ request: AuthenticationRequest) -> AuthenticationAnswer {
        let name = String(request.user.dropLast(Self.suffix.count))
        let known = credentials[name]
        switch request {
        case .password(_, let password):
            guard let known, let user = AuthenticatedUser(site: name) else { return .rejected }
            let given = SCRAMCredentials(password: password, salt: known.salt, iterations: known.iterations)
            return given.isSame(as: known) ? .user(user) : .rejected
        case .scramCredentials:
            guard let known else { return .credentials(.invented(user: name, secret: seed), nil) }
            return .credentials(known, AuthenticatedUser(site: name))
        case .apop, .cramMD5:
            return .rejected
        }
    }
}
