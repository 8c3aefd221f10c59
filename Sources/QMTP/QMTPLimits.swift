/// What a client may ask of a QMTP or QMQP server; each bound has its own reply or ends the connection.
package struct QMTPLimits: Hashable, Sendable {
    /// Octets of one message with CRLF line ends; more are read past and get D 552 5.3.4.
    package var messageBytesMax: Int
    /// Recipients of one message; in QMTP each one beyond gets Z 452 4.5.3, in QMQP the message gets D 554 5.5.3.
    package var recipientsMax: Int
    /// Octets of one address; a longer one gets D 553 5.1.3, or 5.1.7 for the sender.
    package var addressBytesMax: Int

    /// Octets of one line of a message with its CRLF; a longer one gets D 500 5.6.0.
    package var textLineBytesMax: Int

    package init(
        messageBytesMax: Int = 50 << 20, recipientsMax: Int = 100, addressBytesMax: Int = 1000,
        textLineBytesMax: Int = 1 << 20
    ) {
        self.messageBytesMax = min(max(1, messageBytesMax), 1 << 50)
        self.recipientsMax = min(max(1, recipientsMax), 1 << 20)
        self.addressBytesMax = min(max(256, addressBytesMax), 1 << 16)
        self.textLineBytesMax = max(1000, textLineBytesMax)
    }

    /// A message that says it is larger than this is not even read past.
    var discardedBytesMax: Int { 16 * messageBytesMax + (1 << 20) }

    /// Recipients whose refusal is still told; more end the connection.
    var refusedRecipientsMax: Int { 100 * recipientsMax }

    /// Octets of all recipients of a message with their lengths.
    var recipientBytesMax: Int { 100 * recipientsMax * (addressBytesMax + 8) }

    /// Octets of a whole QMQP package.
    var packageBytesMax: Int { discardedBytesMax + recipientBytesMax + addressBytesMax + 64 }
}
