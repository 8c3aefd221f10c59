import ArgumentParser
import Directory
import Mail
import Membership

/// Says where the mail for an address lies.
struct Locate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say where an address's mail is: mailbox, partition, storage nodes, folder.",
        discussion: """
            Aliases and tags (alice+lists@example.test) are followed as frontends do. With --mailbox the directory is \
            not asked: that finds the mailbox of an account that was removed.

              hauberk locate alice@example.test
              hauberk locate --mailbox alice~2@example.test
            """)

    @Argument(help: "The address.", transform: EmailAddress.argument)
    var address: EmailAddress?

    @Option(
        help: "The name of a mailbox, instead of an address.",
        transform: { text in
            guard let name = MailboxName(text) else {
                throw ValidationError("a mailbox name looks like alice@example.test")
            }
            return name
        })
    var mailbox: MailboxName?

    @OptionGroup var output: OutputOption
    @OptionGroup var file: ConfigurationOption

    private struct Located: Encodable {
        let address: String?
        let mailboxes: [MailboxPlace]
    }

    func validate() throws {
        if (address == nil) == (mailbox == nil) {
            throw ValidationError("Give an address, or --mailbox with a mailbox's name.")
        }
    }

    func run() async throws {
        let configuration = try await file.loadWithMembers()
        let map = ClusterMap(configuration)
        let places = try await names(configuration).map { MailboxPlace($0, map) }
        try output.show(
            Located(address: address?.description, mailboxes: places),
            places.map { TextTable.list($0.lines) }.joined(separator: "\n"))
    }

    private func names(_ configuration: ClusterConfiguration) async throws -> [MailboxName] {
        if let mailbox { return [mailbox] }
        guard let address else { return [] }
        switch try await DirectoryOption.forReading(configuration).resolve(address) {
        case .mailboxes(let destinations):
            return destinations.map(\.mailbox)
        case .unknownUser:
            throw CommandFailure(
                "no account and no alias \(address): 'hauberk account list' and 'hauberk alias list' show all")
        case .foreignDomain:
            throw CommandFailure("mail for \(address.domain) is not kept here: 'hauberk domain list' shows what is")
        }
    }
}
