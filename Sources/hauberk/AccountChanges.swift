import ArgumentParser
import Directory
import Mail

/// `account add`.
struct AccountAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Add an account.",
        discussion: """
            The password is asked for twice on the terminal, unless an option says where it comes from. An account at \
            an address that somebody had before gets another, empty mailbox.

              hauberk account add alice@example.test
              echo "$password" | hauberk account add bob@example.test --password-stdin
              echo '{BLF-CRYPT}$2y$10$…' | hauberk account add carol@example.test --hash-stdin
            """)

    @Argument(help: "The address; its domain must have been added.", transform: EmailAddress.argument)
    var address: EmailAddress

    @OptionGroup var password: PasswordOption

    @Flag(help: "Let the account log in by APOP and CRAM-MD5: the directory then holds its password readably.")
    var apop = false

    @OptionGroup var output: OutputOption
    @OptionGroup var directory: DirectoryOption

    func validate() throws {
        if apop, password.isHash { throw PasswordOption.hashLacksPassword }
    }

    func run() async throws {
        let directory = try directory.forChanges()
        let secret = try password.secret()
        let mailbox =
            switch secret {
            case .password(let text): try await directory.addAccount(address, password: text, apop: apop)
            case .hash(let hash): try await directory.addAccount(address, hash: hash)
            }
        let generated = password.isGenerated ? secret.password : nil
        try output.show(
            ["address": address.description, "mailbox": mailbox.description].adding(password: generated),
            "\(address) added, with the mailbox \(mailbox)\n" + passwordLine(generated))
    }
}

/// `account passwd`.
struct AccountPassword: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "passwd",
        abstract: "Give an account a new password.",
        discussion: """
              hauberk account passwd alice@example.test
              hauberk account passwd alice@example.test --generate --no-apop
            """)

    @Argument(help: "The account's address.", transform: EmailAddress.argument)
    var address: EmailAddress

    @OptionGroup var password: PasswordOption

    @Flag(
        inversion: .prefixedNo,
        help: "Whether the account may log in by APOP and CRAM-MD5 from now on (default: as before).")
    var apop: Bool?

    @OptionGroup var output: OutputOption
    @OptionGroup var directory: DirectoryOption

    func validate() throws {
        if apop == true, password.isHash { throw PasswordOption.hashLacksPassword }
    }

    func run() async throws {
        let directory = try directory.forChanges()
        _ = try await directory.showAccount(address)
        let secret = try password.secret()
        switch secret {
        case .password(let text): try await directory.setPassword(address, password: text, apop: apop)
        case .hash(let hash): try await directory.setHash(address, hash)
        }
        let generated = password.isGenerated ? secret.password : nil
        try output.show(
            ["address": address.description].adding(password: generated),
            "\(address) has a new password\n" + passwordLine(generated))
    }
}

extension PasswordOption.Secret {
    fileprivate var password: String? {
        if case .password(let text) = self { text } else { nil }
    }
}

private func passwordLine(_ password: String?) -> String { password.map { "password: \($0)\n" } ?? "" }

extension [String: String] {
    fileprivate func adding(password: String?) -> Self {
        password.map { merging(["password": $0]) { _, new in new } } ?? self
    }
}

/// `account disable`.
struct AccountDisable: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disable",
        abstract: "Let an account no longer log in; its mail is still taken.",
        discussion: """
              hauberk account disable alice@example.test
            """)

    @Argument(help: "The account's address.", transform: EmailAddress.argument)
    var address: EmailAddress

    @OptionGroup var output: OutputOption
    @OptionGroup var directory: DirectoryOption

    func run() async throws {
        try await directory.forChanges().setDisabled(address, true)
        try output.show(
            AccountState(address: address.description, disabled: true), "\(address) cannot log in any more\n")
    }
}

/// `account enable`.
struct AccountEnable: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enable",
        abstract: "Let a disabled account log in again.",
        discussion: """
              hauberk account enable alice@example.test
            """)

    @Argument(help: "The account's address.", transform: EmailAddress.argument)
    var address: EmailAddress

    @OptionGroup var output: OutputOption
    @OptionGroup var directory: DirectoryOption

    func run() async throws {
        try await directory.forChanges().setDisabled(address, false)
        try output.show(AccountState(address: address.description, disabled: false), "\(address) can log in\n")
    }
}

/// Whether an account may log in, in JSON.
private struct AccountState: Encodable {
    let address: String
    let disabled: Bool
}

/// `account remove`.
struct AccountRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Remove an account. Its messages stay on the storage nodes.",
        discussion: """
            The mailbox's name stays taken for ever: nobody else gets at its messages, not even a new account at the \
            same address. 'hauberk locate --mailbox NAME' says where they are.

              hauberk account remove alice@example.test
            """)

    @Argument(help: "The account's address.", transform: EmailAddress.argument)
    var address: EmailAddress

    @OptionGroup var output: OutputOption
    @OptionGroup var directory: DirectoryOption

    private struct Removed: Encodable {
        let address: String
        let mailbox: String
        let aliases: [String]
    }

    func run() async throws {
        let directory = try directory.forChanges()
        let mailbox = try await directory.showAccount(address).mailbox
        let aliases = try await directory.removeAccount(address)
        try output.show(
            Removed(address: address.description, mailbox: mailbox, aliases: aliases.map(\.description)),
            "\(address) removed; its messages stay in the mailbox \(mailbox)\n"
                + aliases.reduce("") { $0 + "\($1) no longer goes to it\n" })
    }
}
