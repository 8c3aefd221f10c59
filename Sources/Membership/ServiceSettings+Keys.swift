import POP3
import SASL
import SMTP

private let moment = Duration.milliseconds(1)
private let day = Duration.seconds(86_400)
private let countMax = 10_000_000
private let gibibyte = 1 << 30

extension DirectorySettings: ConfigurationSection {
    static var defaults: Self { Self() }
    static var keys: [SectionKey<Self>] {
        [
            .value("kind", \.kind, .choice, "What keeps accounts"),
            .value("path", \.path, .path, "The database's file"),
            .value(
                "cacheEntriesMax", \.cacheEntriesMax, .integer(0...countMax), "Addresses that a frontend remembers"),
            .value(
                "cacheLifetime", \.cacheLifetime, .duration(.zero...day),
                "How long it remembers an address, but at most 5s that there is none; 0s for never"),
            .value(
                "passwordCacheLifetime", \.passwordCacheLifetime, .duration(.zero...day),
                "How long it remembers that a password was right; 0s for never"),
            .value(
                "defaultDomain", \.defaultDomain, .optional(.domain, "none"),
                "Domain of users who log in without one"),
            .value(
                "subaddressDelimiter", \.subaddressDelimiter, .delimiter,
                "`alice+lists@` is `alice@`; `none` switches that off"),
            .value(
                "passwordScheme", \.passwordScheme, .choice,
                "How new passwords are hashed, by crypt(3); hashes that are there stay valid"),
            .value(
                "scramIterations", \.scramIterations, .integer(4096...10_000_000),
                "Iterations of SCRAM-SHA-256 for new passwords (RFC 7677 §4 asks for at least 4096)"),
        ]
    }
}

extension AuthenticationSettings: ConfigurationSection {
    static var defaults: Self { Self() }
    static var keys: [SectionKey<Self>] {
        [
            .list(
                "mechanisms", \.mechanisms, .choice(of: [.scramSHA256, .plain, .login]),
                "What AUTH offers (POP3 leaves out LOGIN)", isLive: true),
            .value("apop", \.apop, .bool, "POP3 offers APOP, for accounts that have a secret for it", isLive: true),
            .value(
                "cramMD5", \.cramMD5, .bool,
                """
                AUTH offers CRAM-MD5 too, for accounts with the secret that APOP has (`account add --apop`); clients \
                that prefer it fail for others
                """,
                isLive: true),
            .value(
                "requireTLS", \.requireTLS, .bool, "No password crosses the wire without TLS: USER, PASS, PLAIN, LOGIN",
                isLive: true),
            .section("throttle", \.throttle),
        ]
    }
}

extension ThrottleSettings: ConfigurationSection {
    static var defaults: Self { Self() }
    static var keys: [SectionKey<Self>] {
        [
            .value(
                "delay", \.delay, .duration(.zero...day),
                "After a failed login, per address and per account; each further failure doubles it"),
            .value("delayMax", \.delayMax, .duration(.zero...day), "The longest delay"),
            .value(
                "forgetting", \.forgetting, .duration(moment...day), "One failure is forgotten after each such time"),
            .value(
                "entriesMax", \.entriesMax, .integer(1...countMax), "Addresses and accounts that are remembered"),
        ]
    }
}

extension SMTPSettings: ConfigurationSection {
    static var defaults: Self { Self() }
    static var keys: [SectionKey<Self>] {
        [
            .section("limits", \.limits),
            .value(
                "connectionsMax", \.connectionsMax, .integer(1...countMax), "Connections of one frontend: 421 4.3.2",
                isLive: true),
            .value(
                "connectionsPerAddressMax", \.connectionsPerAddressMax, .integer(1...countMax),
                "Connections of one client address: 421 4.7.0", isLive: true),
            .value(
                "idleTimeout", \.idleTimeout, .duration(moment...day), "Silence that ends a session: 421 4.4.2",
                isLive: true),
            .value(
                "sessionTimeMax", \.sessionTimeMax, .duration(moment...day), "A session's whole time: 421 4.4.2",
                isLive: true),
            .value(
                "bodyBufferBytesMax", \.bodyBufferBytesMax, .size(4_096...gibibyte),
                "Of one message in memory; a larger one streams to its nodes while it comes in"),
            .list(
                "relayFrom", \.relayFrom, .addressRange,
                "Clients whose mail for the whole world goes to the relay of `*` without a login; storage nodes, which send "
                    + "notices to senders elsewhere, should be among them", isLive: true),
            .value(
                "qmtpBufferBytesMax", \.qmtpBufferBytesMax, .size(1 << 20...64 * gibibyte),
                "Of all QMTP and QMQP messages in memory, whose recipients come behind the text: Z 452 4.3.1"),
            .value(
                "greetingDelay", \.greetingDelay, .duration(.zero ... .seconds(60)),
                "Holds the greeting of `smtp` back; who talks before it is refused (554 5.5.0)", isLive: true),
        ]
    }
}

extension SMTPLimits: ConfigurationSection {
    static var defaults: Self { Self() }
    static var keys: [SectionKey<Self>] {
        [
            .value(
                "messageBytesMax", \.messageBytesMax, .size(1_024...64 * gibibyte), "A message: 552 5.3.4",
                isLive: true),
            count("recipientsMax", \.recipientsMax, "Recipients of one message: 452 4.5.3"),
            size("commandLineBytesMax", \.commandLineBytesMax, "A command line: 500 5.5.2"),
            size("authenticationLineBytesMax", \.authenticationLineBytesMax, "A line of an AUTH exchange: 500 5.5.6"),
            .value(
                "textLineBytesMax", \.textLineBytesMax, .size(1_000...gibibyte),
                "A line of a message: 500 5.6.0 (RFC 5321 §4.5.3.1.6 asks for at least 1000)", isLive: true),
            count("commandsWithoutMailMax", \.commandsWithoutMailMax, "Commands since the last message: 421 4.7.0"),
            count("errorsMax", \.errorsMax, "Refused commands since the last message: 421 4.7.0"),
            count(
                "refusedRecipientsMax", \.refusedRecipientsMax, "Refused recipients since the last message: 421 4.7.0"),
            count("authenticationFailuresMax", \.authenticationFailuresMax, "Failed logins of one session: 421 4.7.0"),
            count("transactionsMax", \.transactionsMax, "Messages of one session: 421 4.7.0"),
            count("receivedMax", \.receivedMax, "`Received:` fields of one message: 554 5.4.6"),
            count(
                "transactionsInFlightMax", \.transactionsInFlightMax,
                "On a storage node: messages of one connection that are being stored"),
        ]
    }

    private static func count(_ name: String, _ place: WritableKeyPath<Self, Int>, _ meaning: String) -> SectionKey<
        Self
    > {
        .value(name, place, .integer(1...countMax), meaning, isLive: true)
    }

    private static func size(_ name: String, _ place: WritableKeyPath<Self, Int>, _ meaning: String) -> SectionKey<Self>
    {
        .value(name, place, .size(512...1 << 20), meaning, isLive: true)
    }
}

extension POP3Settings: ConfigurationSection {
    static var defaults: Self { Self() }
    static var keys: [SectionKey<Self>] {
        [
            .section("limits", \.limits),
            .value(
                "connectionsMax", \.connectionsMax, .integer(1...countMax), "Connections of one frontend", isLive: true),
            .value(
                "connectionsPerAddressMax", \.connectionsPerAddressMax, .integer(1...countMax),
                "Connections of one client address", isLive: true),
            .value(
                "idleTimeout", \.idleTimeout, .duration(moment...day),
                "Silence that ends a session without deleting (RFC 1939 §3 asks for at least 10m)", isLive: true),
            .value("sessionTimeMax", \.sessionTimeMax, .duration(moment...day), "A session's whole time", isLive: true),
            .value(
                "loginTimeout", \.loginTimeout, .duration(moment...day),
                "Silence that ends a connection before its login", isLive: true),
        ]
    }
}

extension POP3Limits: ConfigurationSection {
    static var defaults: Self { Self() }
    static var keys: [SectionKey<Self>] {
        [
            .value("commandLineBytesMax", \.commandLineBytesMax, .size(255...1 << 20), "A command line", isLive: true),
            .value(
                "authLineBytesMax", \.authLineBytesMax, .size(512...1 << 20), "A line of an AUTH exchange", isLive: true
            ),
            .value(
                "openLineBytesMax", \.openLineBytesMax, .size(2_048...1 << 20), "On a storage node: the XOPEN line",
                isLive: true),
            .value(
                "errorsMax", \.errorsMax, .integer(1...countMax), "Refused commands, after which the session is ended",
                isLive: true),
            .value(
                "loginFailuresMax", \.loginFailuresMax, .integer(1...1_000),
                "Wrong passwords, after which the session is ended", isLive: true),
            .value(
                "outputBytesMax", \.outputBytesMax, .size(4_096...gibibyte), "Output made before it must be written",
                isLive: true),
        ]
    }
}

extension DeliverySettings: ConfigurationSection {
    static var defaults: Self { Self() }
    static var keys: [SectionKey<Self>] {
        [
            .value(
                "timeout", \.timeout, .duration(moment...day),
                "How long a storage node may take to answer for a message"),
            .value(
                "handoffAfter", \.handoffAfter, .duration(moment...day),
                "How long it may take before another node is asked to keep its copy"),
            .value(
                "connectTimeout", \.connectTimeout, .duration(moment...day), "How long a connection to a node may take"),
            .value(
                "connectionsPerNode", \.connectionsPerNode, .integer(1...1_024), "LMTP connections to each node"),
            .value(
                "inFlightPerConnectionMax", \.inFlightPerConnectionMax, .integer(1...4_096),
                "Messages pipelined on one of these"),
            .value(
                "idleTimeout", \.idleTimeout, .duration(moment...day),
                "An unused connection to a node is closed after this"),
            .value(
                "reconnectDelay", \.reconnectDelay, .duration(moment...day),
                "After a failed connection; doubled each time"),
            .value(
                "reconnectDelayMax", \.reconnectDelayMax, .duration(moment...day), "The longest such delay"),
            .value(
                "resendWindow", \.resendWindow, .duration(.zero...day * 30),
                "A message that a client sends again within this time, because it lost our 250, is shown once; 0s shows "
                    + "both"),
            .value(
                "deliveredTo", \.deliveredTo, .choice,
                """
                Which messages have `Delivered-To:`; with `single` only those to one mailbox, and a message to several \
                is one file on each storage node, with a name in each mailbox
                """),
        ]
    }
}

extension StorageSettings: ConfigurationSection {
    static var defaults: Self { Self() }
    static var keys: [SectionKey<Self>] {
        [
            .value("threads", \.threads, .integer(1...1_024), "Threads for file operations"),
            .value(
                "tmpAge", \.tmpAge, .duration(.seconds(3600)...day * 365), "Files in `tmp/` are removed after this"),
            .value(
                "tombstoneGrace", \.tombstoneGrace, .duration(.seconds(3600)...day * 365),
                "How long a deletion is remembered at least; longer while a node may have missed it, or has something "
                    + "that could bring the message back"),
            .value(
                "listingCacheBytesMax", \.listingCacheBytesMax, .size(0...64 * gibibyte),
                "Memory for listings of mailboxes"),
            .value(
                "moveRate", \.moveRate, .size(0...64 * gibibyte),
                "Octets a second that a node gives new owners after a change of the ring; 0 for no bound"),
            .value(
                "connectionsMax", \.connectionsMax, .integer(1...countMax),
                "Connections of one node, LMTP and POP3 each; POP3 sessions that share a connection count too",
                isLive: true),
            .value(
                "drainTimeout", \.drainTimeout, .duration(.zero...day),
                "What SIGTERM leaves to sessions under way, frontends too"),
            .value(
                "scrubRate", \.scrubRate, .size(0...64 * gibibyte),
                "Bytes a second that a node reads of its own messages to find damaged ones; 0 for none"),
            .value(
                "scrubInterval", \.scrubInterval, .duration(.seconds(1)...day * 365),
                "How often it begins to read through them all"),
        ]
    }
}
