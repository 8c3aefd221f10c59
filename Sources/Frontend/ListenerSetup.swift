import Mail
import Membership
import POP3
import QMTP
import SASL
import SMTP
import Wire

/// What one SMTP or LMTP listener tells its conversations.
struct SMTPListenerSettings: Sendable {
    let session: SMTPServerSettings
    let times: ConnectionTimes
    /// Clients that may send to the whole world without a login.
    let relayFrom: [AddressRange]
    /// How long the greeting is held back, to catch clients that do not wait for it.
    let greetingDelay: Duration
}

/// What one QMTP or QMQP listener tells its conversations.
struct QMTPListenerSettings: Sendable {
    let hostname: String
    let limits: SMTPLimits
    /// Clients that may send to the whole world.
    let relayFrom: [AddressRange]
    let times: ConnectionTimes

    var sessionLimits: QMTPLimits {
        QMTPLimits(
            messageBytesMax: limits.messageBytesMax, recipientsMax: limits.recipientsMax,
            textLineBytesMax: limits.textLineBytesMax)
    }
}

/// What one POP3 listener tells its conversations.
struct POP3ListenerSettings: Sendable {
    let session: POP3ServerSettings
    /// Until the login.
    let times: ConnectionTimes
    /// From the login on.
    let sessionTimes: ConnectionTimes
}

/// From the configuration's keys to what sessions and listeners are told.
struct ListenerSetup {
    let configuration: ClusterConfiguration
    let hostname: String
    let hasCertificate: Bool
    let turns: TurnRequests

    func smtp(_ listener: Membership.ListenerSettings) -> SMTPListenerSettings {
        let smtp = configuration.smtp
        let service = Self.service(listener.service)
        let session = SMTPServerSettings(
            hostname: hostname, service: service, limits: smtp.limits,
            offersStartTLS: listener.tlsMode == .starttls && hasCertificate,
            startsWithTLS: listener.tlsMode == .implicit,
            mechanisms: service == .submission ? configuration.authentication.offered : [],
            requiresTLSForAuthentication: configuration.authentication.requireTLS,
            takesSites: !configuration.sites.isEmpty, offersETRN: turns.offersETRN, offersATRN: turns.offersATRN,
            postmasterDomain: configuration.directory.defaultDomain)
        return SMTPListenerSettings(
            session: session, times: ConnectionTimes(idle: smtp.idleTimeout, total: smtp.sessionTimeMax),
            relayFrom: smtp.relayFrom,
            greetingDelay: service == .mx ? smtp.greetingDelay : .zero)
    }

    func qmtp() -> QMTPListenerSettings {
        let smtp = configuration.smtp
        return QMTPListenerSettings(
            hostname: hostname, limits: smtp.limits, relayFrom: smtp.relayFrom,
            times: ConnectionTimes(idle: smtp.idleTimeout, total: smtp.sessionTimeMax))
    }

    func pop3(_ listener: Membership.ListenerSettings) -> POP3ListenerSettings {
        let pop3 = configuration.pop3
        var session = POP3ServerSettings(hostname: hostname, service: .frontend)
        session.limits = pop3.limits
        session.offersStartTLS = listener.tlsMode == .starttls && hasCertificate
        session.startsWithTLS = listener.tlsMode == .implicit
        session.requiresTLSForPlaintext = configuration.authentication.requireTLS
        session.mechanisms = configuration.authentication.offered.filter { $0 != .login }
        session.offersAPOP = configuration.authentication.apop
        return POP3ListenerSettings(
            session: session, times: ConnectionTimes(idle: pop3.loginTimeout, total: pop3.loginTimeout * 2),
            sessionTimes: ConnectionTimes(idle: pop3.idleTimeout, total: pop3.sessionTimeMax))
    }

    func limits(_ service: Membership.ListenerSettings.Service) -> ConnectionLimits {
        service.isPOP3
            ? ConnectionLimits(
                connectionsMax: configuration.pop3.connectionsMax,
                perAddressMax: configuration.pop3.connectionsPerAddressMax)
            : ConnectionLimits(
                connectionsMax: configuration.smtp.connectionsMax,
                perAddressMax: configuration.smtp.connectionsPerAddressMax)
    }

    private static func service(_ service: Membership.ListenerSettings.Service) -> SMTPService {
        switch service {
        case .submission, .submissions: .submission
        case .lmtp: .lmtp
        case .smtp, .qmtp, .qmqp, .pop3, .pop3s: .mx
        }
    }

    /// What a client is told that is turned away.
    static func refusal(_ reason: ConnectionRefusal, _ service: Membership.ListenerSettings.Service) -> String {
        let (status, text) =
            switch reason {
            case .tooManyConnections: ("4.3.2", "too many connections, try again later")
            case .tooManyFromAddress: ("4.7.0", "too many connections from your address")
            case .noClient: ("4.7.1", "your address is not served here")
            }
        switch service {
        case .pop3, .pop3s: return reason == .noClient ? "-ERR [SYS/PERM] \(text)\r\n" : "-ERR [SYS/TEMP] \(text)\r\n"
        case .qmtp, .qmqp:
            // Never for good: a client that is not in the list yet keeps its mail.
            return String(decoding: QMTPReply(.deferred(Reason(421, status, text))).bytes, as: UTF8.self)
        case .smtp, .submission, .submissions, .lmtp: return "421 \(status) \(text)\r\n"
        }
    }
}
