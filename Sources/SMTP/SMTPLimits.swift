/// What a client may ask of one connection; each bound has its own reply (RFC 5321 §4.5.3).
package struct SMTPLimits: Hashable, Sendable {
    /// Octets of one message as sent, without dot-stuffing; more gets 552 5.3.4 (RFC 1870).
    package var messageBytesMax: Int
    /// Recipients of one message; more get 452 4.5.3 (RFC 5321 §4.5.3.1.10).
    package var recipientsMax: Int
    /// Octets of a command line with its CRLF; longer gets 500 5.5.2 (RFC 5321 §4.5.3.1.4, with room for extensions).
    package var commandLineBytesMax: Int
    /// Octets of an AUTH command or a SASL response; longer gets 500 5.5.6 (RFC 4954 §4).
    package var authenticationLineBytesMax: Int
    /// Octets of one line of a message with its CRLF; longer gets 500 5.6.0 (RFC 5321 §4.5.3.1.6 asks for 1000).
    package var textLineBytesMax: Int
    /// Commands such as NOOP, RSET and EHLO since the last message was accepted; more get 421 4.7.0.
    package var commandsWithoutMailMax: Int
    /// Refused commands since the last message was accepted; more get 421 4.7.0.
    package var errorsMax: Int
    /// Refused recipients since the last message was accepted; more get 421 4.7.0.
    package var refusedRecipientsMax: Int
    /// Failed AUTH commands; more get 421 4.7.0.
    package var authenticationFailuresMax: Int
    /// Messages on one connection; more get 421 4.7.0. The cluster's own hops and other sites have no such bound.
    package var transactionsMax: Int
    /// `Received:` fields of one message; more get 554 5.4.6 (RFC 5321 §6.3).
    package var receivedMax: Int
    /// Messages whose storing is awaited while the next is read, in the cluster's own service.
    package var transactionsInFlightMax: Int

    /// Every bound has a default; a text line is never bounded below the 1000 octets of RFC 5321 §4.5.3.1.6.
    package init(
        messageBytesMax: Int = 50 << 20, recipientsMax: Int = 100, commandLineBytesMax: Int = 4096,
        authenticationLineBytesMax: Int = 12288, textLineBytesMax: Int = 1 << 20, commandsWithoutMailMax: Int = 100,
        errorsMax: Int = 20, refusedRecipientsMax: Int = 100, authenticationFailuresMax: Int = 5,
        transactionsMax: Int = 1000, receivedMax: Int = 100, transactionsInFlightMax: Int = 64
    ) {
        // RFC 1870 §3: a bound of 0 would be announced as none.
        self.messageBytesMax = min(max(1, messageBytesMax), 1 << 50)
        self.recipientsMax = max(1, recipientsMax)
        self.commandLineBytesMax = max(512, commandLineBytesMax)
        self.authenticationLineBytesMax = max(512, authenticationLineBytesMax)
        self.textLineBytesMax = max(1000, textLineBytesMax)
        self.commandsWithoutMailMax = max(1, commandsWithoutMailMax)
        self.errorsMax = max(0, errorsMax)
        self.refusedRecipientsMax = max(0, refusedRecipientsMax)
        self.authenticationFailuresMax = max(0, authenticationFailuresMax)
        self.transactionsMax = max(1, transactionsMax)
        self.receivedMax = max(1, receivedMax)
        self.transactionsInFlightMax = max(1, transactionsInFlightMax)
    }

    /// Octets of a refused message or chunk that are read and thrown away before the connection is ended instead.
    var discardedBytesMax: Int { messageBytesMax + (1 << 20) }

    /// Recipients put off since the last message was accepted; more get 421 4.7.0.
    var deferredRecipientsMax: Int { 100 * recipientsMax }

    /// What another site may ask. It has taken what it sends from its own clients, and put a few header fields on top; and if
    /// it carries mail of accounts that are unknown here, it guesses no addresses, and each message costs several errors.
    var ofSite: SMTPLimits {
        var limits = self
        limits.messageBytesMax += Self.traceBytesMax
        limits.refusedRecipientsMax = .max
        limits.errorsMax = max(errorsMax, Self.hopErrorsMax)
        return limits
    }

    /// Refused commands that are borne with where the client is one of ours, or another site.
    private static let hopErrorsMax = 10_000
    /// Room for what deliveries put on top of a message, in octets.
    package static let traceBytesMax = 64 << 10

    /// What a storage node takes from the cluster's own hops, whatever clients may do: what a frontend has accepted,
    /// and what lies in another copy of a mailbox, must get there.
    package static func hop(transactionsInFlightMax: Int) -> SMTPLimits {
        SMTPLimits(
            messageBytesMax: 1 << 40, recipientsMax: 10_000, commandLineBytesMax: 64 << 10,
            textLineBytesMax: 1 << 40, errorsMax: hopErrorsMax, receivedMax: .max,
            transactionsInFlightMax: transactionsInFlightMax)
    }
}
