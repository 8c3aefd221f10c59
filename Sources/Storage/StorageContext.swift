import Cluster
import Logging
import Mail
import Maildirs
import Membership
import POP3
import SMTP
import Wire

/// What all connections of one storage node share.
final class StorageContext: Sendable {
    let log: Logger
    let metrics = StorageMetrics()
    let store: MaildirStore
    let lmtpSettings: SMTPServerSettings
    let lmtpTimes: ConnectionTimes
    let pop3Settings: POP3ServerSettings
    let pop3Times: ConnectionTimes
    private let ring: Ring

    init(_ configuration: ClusterConfiguration, node: NodeSettings, store: MaildirStore, log: Logger) {
        self.log = log
        self.store = store
        ring = configuration.ring()
        // A node takes whatever a frontend took: `Received:` comes on top of the client's own limit.
        var limits = configuration.smtp.limits
        limits.messageBytesMax += 64 << 10
        limits.receivedMax += 1
        limits.recipientsMax = 10_000
        lmtpSettings = SMTPServerSettings(hostname: node.name, service: .cluster, limits: limits)
        lmtpTimes = ConnectionTimes(idle: configuration.smtp.sessionTimeMax, total: .zero)
        var pop3 = POP3ServerSettings(hostname: node.name, service: .node)
        pop3.limits = configuration.pop3.limits
        pop3.mechanisms = configuration.authentication.mechanisms
        pop3Settings = pop3
        pop3Times = ConnectionTimes(idle: configuration.pop3.sessionTimeMax, total: .zero)
    }

    func partition(of mailbox: MailboxName) -> Int { ring.partition(of: mailbox) }
}
