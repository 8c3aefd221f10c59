import ArgumentParser
import Foundation
import Load
import Mail
import SASL
import SMTP
import Wire

/// What SMTP and LMTP loads have in common.
struct LoadMailOptions: ParsableArguments {
    @OptionGroup var target: LoadTargetOptions
    @OptionGroup var amount: LoadAmountOptions
    @OptionGroup var output: LoadOutputOptions

    @Option(help: "Messages in all (default: 1000, or as many as --duration allows).")
    var messages: Int?

    @Option(help: "Octets of a message: 4KiB, or by turns 1KiB,64KiB, or anything in 1KiB..64KiB.")
    var size = "4KiB"

    @Option(help: "Recipients; %d becomes 0 to --mailboxes less 1.")
    var recipient = "user%d@example.test"

    @Option(help: "How many recipients the pattern makes.")
    var mailboxes = 100

    @Option(help: "Recipients of each message.")
    var recipientsPerMessage = 1

    @Option(help: "Messages on one connection (default: no bound). Latency then includes connecting.")
    var messagesPerConnection: Int?

    @Option(help: "The sender; empty for none.")
    var from = "load@load.test"

    @Flag(help: "Send commands in groups (PIPELINING); otherwise each waits for the reply before.")
    var pipeline = false

    @Flag(help: "Use BDAT (CHUNKING) instead of DATA.")
    var bdat = false

    @Flag(help: "Ask for TLS by STARTTLS. The server's certificate is not verified.")
    var starttls = false

    @Option(help: "user:password for AUTH PLAIN.")
    var auth: String?

    @Option(help: "A folder whose files are sent by turns instead of made messages.")
    var fromFile: String?

    @Option(help: "Append what was sent and answered to this file, for `load verify`.")
    var ledger: String?

    func validate() throws {
        guard SizeDistribution(size) != nil else {
            throw ValidationError("--size \(size): not like 4KiB or 1KiB..64KiB")
        }
        guard (1...10_000_000).contains(mailboxes) else { throw ValidationError("--mailboxes: 1 to 10000000") }
        guard (1...1000).contains(recipientsPerMessage) else {
            throw ValidationError("--recipients-per-message: 1 to 1000")
        }
        guard messagesPerConnection.map({ $0 > 0 }) ?? true else {
            throw ValidationError("--messages-per-connection: 1 or more")
        }
    }

    /// - Parameter change: what the dialect adds.
    func run(mode: SMTPClientSettings.Mode, change: (inout SMTPLoad) throws -> Void = { _ in }) async throws {
        guard let sizes = SizeDistribution(size) else { throw ValidationError("--size \(size)") }
        let amount = try amount.load(count: messages, standard: 1000)
        let settings = SMTPClientSettings(
            mode: mode, clientName: "load.test", startTLS: starttls ? .required : .never,
            credentials: try credentials(), usesChunks: bdat, pipelines: pipeline)
        var load = SMTPLoad(
            target: try target.load(), amount: amount, settings: settings, sender: try sender(),
            recipients: NamePattern(recipient, count: mailboxes), sizes: sizes, run: Self.newRun())
        if starttls { load.target.startTLS = try ClientTLS(unverified: ()) }
        load.recipientsPerMessage = recipientsPerMessage
        load.messagesPerConnection = messagesPerConnection
        load.files = try files()
        try change(&load)
        let (tally, account, finished) = (LoadTally(), try ledger.map { try Ledger(path: $0) }, load)
        try await LoadReporter(unit: "messages", amount: amount, output: output).run(tally) {
            try await finished.run(tally: tally, ledger: account)
            if let trouble = account?.trouble { throw LoadError(trouble) }
        }
    }

    private func sender() throws -> ReversePath {
        if from.isEmpty { return .null }
        guard let address = EmailAddress(from) else { throw ValidationError("--from \(from): not an address") }
        return .address(address)
    }

    private func credentials() throws -> SMTPClientSettings.Credentials? {
        guard let auth else { return nil }
        guard let colon = auth.firstIndex(of: ":") else { throw ValidationError("--auth: not user:password") }
        return .init(
            user: String(auth[..<colon]), password: String(auth[auth.index(after: colon)...]), mechanisms: [.plain],
            allowsPlainWithoutTLS: true)
    }

    private func files() throws -> [[UInt8]] {
        guard let fromFile else { return [] }
        let files = try LoadFiles.names(in: fromFile, for: "--from-file")
        guard !files.isEmpty else { throw CommandFailure("--from-file \(fromFile): no files there") }
        return try files.map { LoadMessage.withCRLF([UInt8](try LoadFiles.bytes($0, for: "--from-file"))) }
    }

    private static func newRun() -> String {
        String(UInt64.random(in: .min ... .max), radix: 36)
    }
}

/// Sends mail by SMTP.
struct LoadSMTPCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "smtp", abstract: "Send messages by SMTP.")

    @OptionGroup var mail: LoadMailOptions

    func run() async throws { try await mail.run(mode: .smtp) }
}

/// Sends mail by LMTP, to a frontend's client-facing service or to a storage node.
struct LoadLMTPCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lmtp", abstract: "Send messages by LMTP.",
        discussion: """
            A storage node wants the names that the cluster gives to messages and mailboxes (--cluster), and a \
            certificate of the cluster's CA (--node, --ca, --certificate, --key).
            """)

    @OptionGroup var mail: LoadMailOptions

    @Flag(help: "The server is a storage node: give names to messages and mailboxes.")
    var cluster = false

    @Option(help: "Messages on the way at once on each connection; more than 1 for storage nodes only.")
    var inFlight = 1

    @Option(help: "The storage node's name, which its certificate bears, for mutual TLS.")
    var node: String?

    @Option(help: "The cluster's CA, for mutual TLS.")
    var ca: String?

    @Option(help: "Our certificate, for mutual TLS.")
    var certificate: String?

    @Option(help: "Its key.")
    var key: String?

    func validate() throws {
        guard (1...10_000).contains(inFlight) else { throw ValidationError("--in-flight: 1 to 10000") }
        guard inFlight == 1 || cluster else { throw ValidationError("--in-flight is for storage nodes (--cluster)") }
        let given = [node, ca, certificate, key].count { $0 != nil }
        guard given == 0 || given == 4 else {
            throw ValidationError("--node, --ca, --certificate and --key belong together")
        }
    }

    func run() async throws {
        try await mail.run(mode: .lmtp) { load in
            load.namesMailboxes = cluster
            load.settings.transactionsInFlightMax = inFlight
            if let ca, let certificate, let key {
                load.target.certificateName = node
                load.target.tls = try ClientTLS(clusterCA: ca, certificate: certificate, key: key)
            }
        }
    }
}
