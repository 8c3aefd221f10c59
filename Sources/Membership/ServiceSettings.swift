package import POP3
package import SASL
package import SMTP

/// Where accounts are kept, and how long frontends remember what they were told.
package struct DirectorySettings: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
        case sqlite
    }

    /// What new passwords are hashed with.
    package enum PasswordScheme: String, Sendable, CaseIterable {
        case yescrypt, bcrypt, sha512
    }

    package var kind = Kind.sqlite
    package var path = "directory.sqlite"
    package var cacheEntriesMax = 100_000
    package var cacheLifetime = Duration.seconds(30)
    package var passwordCacheLifetime = Duration.seconds(60)
    /// Stands for the domain when a client logs in without one.
    package var defaultDomain: String?
    /// `alice+lists@…` reaches `alice@…`.
    package var subaddressDelimiter: Character? = "+"
    package var passwordScheme = PasswordScheme.yescrypt
    package var scramIterations = 4096
}

/// How clients log in, and how failures are slowed down.
package struct AuthenticationSettings: Sendable, Equatable {
    package var mechanisms: [SASLMechanism] = [.scramSHA256, .plain, .login]
    package var apop = false
    package var cramMD5 = false
    package var requireTLS = true
    package var throttle = ThrottleSettings()

    /// What AUTH offers; CRAM-MD5 last, because not every account can use it.
    package var offered: [SASLMechanism] { mechanisms + (cramMD5 ? [.cramMD5] : []) }
}

/// How failed logins are slowed down, per client address and per account.
package struct ThrottleSettings: Sendable, Equatable {
    package var delay = Duration.seconds(1)
    package var delayMax = Duration.seconds(30)
    package var forgetting = Duration.seconds(60)
    package var entriesMax = 100_000
}

/// What SMTP, submission and LMTP clients may do.
package struct SMTPSettings: Sendable, Equatable {
    package var limits = SMTPLimits()
    package var connectionsMax = 10_000
    package var connectionsPerAddressMax = 200
    package var idleTimeout = Duration.seconds(300)
    package var sessionTimeMax = Duration.seconds(3600)
    /// Of one message in memory: a larger one streams to its nodes while it comes in.
    package var bodyBufferBytesMax = 128 << 10
    /// Clients that may send to the whole world without a login.
    package var relayFrom: [AddressRange] = []
    /// Of all QMTP and QMQP messages of a frontend in memory.
    package var qmtpBufferBytesMax = 256 << 20
    /// How long the greeting of port 25 is held back, to catch clients that do not wait for it.
    package var greetingDelay = Duration.zero
}

/// What POP3 clients may do.
package struct POP3Settings: Sendable, Equatable {
    package var limits = POP3Limits()
    package var connectionsMax = 10_000
    package var connectionsPerAddressMax = 200
    /// RFC 1939 §3 asks for at least ten minutes.
    package var idleTimeout = Duration.seconds(600)
    package var sessionTimeMax = Duration.seconds(4 * 3600)
    /// Until the login.
    package var loginTimeout = Duration.seconds(60)
}

/// How frontends hand messages and sessions to storage nodes.
package struct DeliverySettings: Sendable, Equatable {
    /// Which messages tell in `Delivered-To:` what address they came for.
    package enum DeliveredTo: String, Sendable, CaseIterable {
        case always
        /// Those to one mailbox. Copies of others are the same, so that a node keeps one file of them.
        case single
    }

    package var timeout = Duration.seconds(30)
    /// Less than `timeout`: who has not answered by then has its copy kept by another node.
    package var handoffAfter = Duration.seconds(1)
    package var connectTimeout = Duration.seconds(3)
    package var connectionsPerNode = 4
    package var inFlightPerConnectionMax = 64
    package var idleTimeout = Duration.seconds(60)
    package var reconnectDelay = Duration.milliseconds(100)
    package var reconnectDelayMax = Duration.seconds(10)
    /// Within this time a message with the same sender and bytes is the same one, sent again; zero: never.
    package var resendWindow = Duration.seconds(86_400)
    package var deliveredTo = DeliveredTo.always
}

/// How a storage node works.
package struct StorageSettings: Sendable, Equatable {
    package var threads = 32
    package var tmpAge = Duration.seconds(36 * 3600)
    package var tombstoneGrace = Duration.seconds(7 * 86_400)
    package var listingCacheBytesMax = 64 << 20
    /// Octets a second that are moved to new owners; 0 for no bound.
    package var moveRate = 32 << 20
    package var connectionsMax = 20_000
    package var drainTimeout = Duration.seconds(20)
    /// Bytes per second that the scrub reads; 0: it does not run.
    package var scrubRate = 8 << 20
    /// From the beginning of one pass of the scrub to the next.
    package var scrubInterval = Duration.seconds(30 * 86_400)
}
