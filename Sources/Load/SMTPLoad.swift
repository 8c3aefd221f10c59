package import Mail
package import SMTP

/// Sends messages by SMTP or LMTP as fast as it may, and keeps account of the answers.
package struct SMTPLoad: Sendable {
    package var target: LoadTarget
    package var amount: LoadAmount
    package var settings: SMTPClientSettings
    package var sender: ReversePath
    /// Addresses, by turns.
    package var recipients: NamePattern
    package var recipientsPerMessage = 1
    /// After so many a new connection is made; nil for no bound. Latency then includes connecting.
    package var messagesPerConnection: Int?
    /// Whether the server is a storage node, which wants the message's and the mailboxes' names.
    package var namesMailboxes = false
    package var sizes: SizeDistribution
    /// Messages to send by turns instead of made ones, with CRLF line ends.
    package var files: [[UInt8]] = []
    /// Different for each run: letters and digits.
    package var run: String

    package init(
        target: LoadTarget, amount: LoadAmount, settings: SMTPClientSettings, sender: ReversePath,
        recipients: NamePattern, sizes: SizeDistribution, run: String
    ) {
        self.target = target
        self.amount = amount
        self.settings = settings
        self.sender = sender
        self.recipients = recipients
        self.sizes = sizes
        self.run = run
    }

    /// Runs to its end. `tally` may be looked at meanwhile.
    package func run(tally: LoadTally, ledger: Ledger?) async throws {
        let maker = MessageMaker(run: run, sender: senderText, sizes: sizes, files: files)
        try await LoadLoops.run(amount: amount) { place in
            SMTPLoadLoop(place: place, load: self, maker: maker, tally: tally, ledger: ledger)
        }
    }

    private var senderText: String {
        switch sender {
        case .null: ""
        case .address(let address): address.description
        }
    }
}
