package import SASL

/// What ETRN asks for (RFC 1985 §5): that mail which waits here begins to be sent.
package struct ETRNRequest: Equatable, Sendable {
    /// Whose mail; domains in lower case.
    package enum Target: Hashable, Sendable {
        case node(String)
        /// `@domain`: the domain and all nodes under it.
        case domain(String)
        /// `#name`: a queue, as the server calls it.
        case queue(String)
    }

    package let target: Target
    /// Who the client is, if it has authenticated: others must not start anything by the name alone (RFC 1985 §6).
    package let user: AuthenticatedUser?

    package init(target: Target, user: AuthenticatedUser?) {
        self.target = target
        self.user = user
    }
}

extension ETRNRequest.Target: CustomStringConvertible {
    package var description: String {
        switch self {
        case .node(let name): name
        case .domain(let name): "@\(name)"
        case .queue(let name): "#\(name)"
        }
    }

    /// Nil unless `bytes` are `[@]domain` or `#name`.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard let first = bytes.first else { return nil }
        let rest = bytes.slice(1..<bytes.count)
        switch first {
        case ASCII.at:
            guard let domain = PathParser.domain(rest) else { return nil }
            self = .domain(domain)
        case ASCII.hash:
            guard (1...255).contains(rest.count), rest.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
            self = .queue(String(decoding: rest, as: UTF8.self))
        default:
            guard let domain = PathParser.domain(bytes) else { return nil }
            self = .node(domain)
        }
    }
}

/// What the driver says to an `ETRNRequest` (RFC 1985 §5.2).
package enum ETRNAnswer: Equatable, Sendable {
    /// The queue is looked at; whether anything is in it was not asked.
    case started
    case nothingWaiting
    /// Messages are on their way; how many, if that is known.
    case pending(Int?)
    /// Not now, and why.
    case unable(String)
    /// Not for this client, and why.
    case notAllowed(String)
}

/// What ATRN asks for (RFC 2645 §5.2.1): that this connection be turned round, and mail that waits be sent over it.
package struct ATRNRequest: Equatable, Sendable {
    /// In lower case, none twice; empty for all to which the client has access.
    package let domains: [String]
    package let user: AuthenticatedUser

    package init(domains: [String], user: AuthenticatedUser) {
        self.domains = domains
        self.user = user
    }

    /// Nil unless `bytes` are `[domain *("," domain)]`.
    static func domains(_ bytes: UnsafeRawBufferPointer) -> [String]? {
        if bytes.isEmpty { return [] }
        var seen: Set<String> = []
        var domains: [String] = []
        for part in bytes.split(separator: ASCII.comma, omittingEmptySubsequences: false) {
            guard let domain = PathParser.domain(UnsafeRawBufferPointer(rebasing: part)) else { return nil }
            if seen.insert(domain).inserted { domains.append(domain) }
        }
        return domains
    }
}

/// What the driver says to an `ATRNRequest` (RFC 2645 §5.2.1).
package enum ATRNAnswer: Equatable, Sendable {
    /// There is mail, and it will be sent.
    case granted
    /// The client has no access to one of the domains, or asks too often; and which of them.
    case refused(String)
    /// It cannot be known now whether the client has access, or what waits.
    case unable(String)
    case noMail
}

extension SMTPReply {
    init(_ answer: ETRNAnswer, for target: ETRNRequest.Target) {
        switch answer {
        case .started: self.init(250, "2.0.0", "queuing for node \(target) started")
        case .nothingWaiting: self.init(251, "2.0.0", "no messages waiting for node \(target)")
        case .pending(nil): self.init(252, "2.0.0", "pending messages for node \(target) started")
        case .pending(let count?): self.init(253, "2.0.0", "\(count) pending messages for node \(target) started")
        case .unable(let reason): self.init(458, "4.3.0", "unable to queue messages for node \(target): \(reason)")
        case .notAllowed(let reason): self.init(459, "4.7.1", "node \(target) not allowed: \(reason)")
        }
    }

    init(_ answer: ATRNAnswer) {
        switch answer {
        case .granted: self.init(250, "2.0.0", "now reversing the connection")
        case .refused(let reason): self.init(450, "4.7.1", "ATRN request refused: \(reason)")
        case .unable(let reason): self.init(451, "4.3.0", "unable to process ATRN request now: \(reason)")
        case .noMail: self.init(453, "4.2.0", "you have no mail")
        }
    }

    static let badNode = SMTPReply(501, "5.5.4", "say ETRN domain, ETRN @domain or ETRN #queue")
    static let badTurn = SMTPReply(501, "5.5.4", "say ATRN, or ATRN domain,domain")
}
