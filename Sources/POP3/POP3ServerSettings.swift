package import SASL

/// Which of the two POP3 servers a session is.
package enum POP3Service: Sendable, Hashable {
    /// Faces clients: AUTHORIZATION only; a node's session goes on where it ends.
    case frontend
    /// Faces the cluster's frontends: XOPEN instead of a login, then TRANSACTION with the client itself.
    case node
}

/// What a POP3 server session offers, the same for every session of a listener.
package struct POP3ServerSettings: Sendable, Equatable {
    /// The name in the greeting and in APOP's timestamp.
    package var hostname: String
    package var service: POP3Service
    /// STLS is offered (RFC 2595); the listener has a certificate.
    package var offersStartTLS = false
    /// The connection is under TLS from its first byte (RFC 8314 §3.3).
    package var startsWithTLS = false
    /// USER, PASS and AUTH PLAIN are neither announced nor taken without TLS (RFC 2595 §4).
    package var requiresTLSForPlaintext = false
    /// For a node: what its frontends offer, because CAPA must show it after login too (RFC 2449 §5).
    package var mechanisms: [SASLMechanism] = [.scramSHA256, .plain]
    /// The greeting carries a timestamp and APOP is taken (RFC 1939 §7).
    package var offersAPOP = false
    package var limits = POP3Limits()
    /// The argument of the EXPIRE capability (RFC 2449 §6.7).
    package var expireDays = "NEVER"
    /// The argument of the LOGIN-DELAY capability, in seconds (RFC 2449 §6.5).
    package var loginDelay = 0
    /// The argument of the IMPLEMENTATION capability (RFC 2449 §6.9); empty keeps the capability out.
    package var implementation = "Hauberk"

    package init(hostname: String, service: POP3Service) {
        self.hostname = hostname
        self.service = service
    }
}

/// The bounds on what one client may send and cause.
package struct POP3Limits: Sendable, Equatable {
    /// A command line with its CRLF, in octets (RFC 2449 §4).
    package var commandLineBytesMax = 255
    /// An AUTH command line and each SASL response with its CRLF, in octets (RFC 5034 §4).
    package var authLineBytesMax = 12_288
    /// An XOPEN line with its CRLF, in octets: a mailbox name in xtext is longer than RFC 2449 foresees.
    package var openLineBytesMax = 4_096
    /// Refused commands in one session, after which it is ended.
    package var errorsMax = 50
    /// Wrong passwords in one session, after which it is ended.
    package var loginFailuresMax = 5
    /// About how much output is made before the driver must have written it, in octets.
    package var outputBytesMax = 65_536

    package init() {}
}
