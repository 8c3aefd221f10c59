import ArgumentParser
import Directory
import Mail
import Membership

/// `account list`.
struct AccountList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List accounts.",
        discussion: """
              hauberk account list --domain example.test
            """)

    @Option(help: "Only accounts of this domain.")
    var domain: String?

    @OptionGroup var output: OutputOption
    @OptionGroup var directory: DirectoryOption

    func run() async throws {
        let rows = try await Self.all(directory.forReading(), domain: domain.map(DomainName.ascii))
            .map(AccountView.init)
        var table = TextTable(["account", "mailbox", "password", "SCRAM", "APOP", "log-in", "created"])
        for row in rows {
            table.add([
                row.address, row.mailbox, row.password, yes(row.scram), yes(row.apop),
                row.disabled ? "disabled" : "yes",
                row.created,
            ])
        }
        try output.show(rows, table.text(empty: "no accounts: 'hauberk account add' adds one"))
    }

    private static func all(_ directory: SQLiteDirectory, domain: String?) async throws -> [AccountRow] {
        var rows: [AccountRow] = []
        while true {
            let page = try await directory.listAccounts(
                domain: domain, after: rows.last?.asAddress)
            guard !page.isEmpty else { return rows }
            rows += page
        }
    }
}

private func yes(_ value: Bool) -> String { value ? "yes" : "no" }

extension AccountRow {
    /// Split at the last "@" and taken as it is: a local part that needs quotes has none here.
    fileprivate var asAddress: EmailAddress {
        let at = address.lastIndex(of: "@") ?? address.endIndex
        return EmailAddress(local: String(address[..<at]), domain: String(address[at...].dropFirst()))
    }
}

/// An account as it is shown: its address can be typed again, with quotes where its local part needs them.
private struct AccountView: Encodable {
    let address, mailbox, password, created: String
    let scram, apop, disabled: Bool

    init(_ row: AccountRow) {
        (address, mailbox, password, created) = (row.asAddress.description, row.mailbox, row.password, row.created)
        (scram, apop, disabled) = (row.scram, row.apop, row.disabled)
    }
}

/// `account show`.
struct AccountShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show one account: its mailbox, where that is, and how it may log in.",
        discussion: """
              hauberk account show alice@example.test
            """)

    @Argument(help: "The account's address.", transform: EmailAddress.argument)
    var address: EmailAddress

    @OptionGroup var output: OutputOption
    @OptionGroup var file: ConfigurationOption

    private struct Shown: Encodable {
        let account: AccountView
        let place: MailboxPlace
    }

    func run() async throws {
        let configuration = try await file.loadWithMembers()
        let account = AccountView(try await DirectoryOption.forReading(configuration).showAccount(address))
        guard let mailbox = MailboxName(account.mailbox) else {
            throw CommandFailure("the directory has a mailbox name that is none: \(account.mailbox)")
        }
        let place = MailboxPlace(mailbox, ClusterMap(configuration))
        try output.show(
            Shown(account: account, place: place),
            TextTable.list(
                [
                    ("account", account.address), ("created", account.created),
                    ("log-in", account.disabled ? "disabled" : "yes"), ("password", account.password),
                    ("SCRAM", yes(account.scram)), ("APOP", yes(account.apop)),
                ] + place.lines))
    }
}
