import ArgumentParser
import Directory
import Mail

/// Addresses whose mail goes to accounts.
struct AliasCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alias",
        abstract: "Show and change addresses whose mail goes to one or more accounts.",
        discussion: """
            An alias goes to accounts of this directory, not to other aliases and not to foreign domains.

              hauberk alias add sales@example.test alice@example.test bob@example.test
            """,
        subcommands: [Add.self, List.self, Remove.self])

    /// More accounts for an alias.
    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make an alias, or let it go to more accounts.",
            discussion: """
                  hauberk alias add sales@example.test alice@example.test bob@example.test
                """)

        @Argument(help: "The alias's address.", transform: EmailAddress.argument)
        var alias: EmailAddress

        @Argument(help: "The accounts that get its mail.", transform: EmailAddress.argument)
        var targets: [EmailAddress]

        @OptionGroup var output: OutputOption
        @OptionGroup var directory: DirectoryOption

        func run() async throws {
            let directory = try directory.forChanges()
            do throws(DirectoryAdministrationError) {
                try await directory.addAlias(alias, targets: targets)
            } catch .noSuchAccount(let target) {
                throw CommandFailure(
                    "no such account \(target), and an alias goes to accounts only: 'hauberk account list' shows all")
            }
            try output.show(
                AliasChange(alias, targets), targets.reduce("") { "\($0)\(alias) goes to \($1)\n" })
        }
    }

    /// All aliases.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List aliases with their accounts.",
            discussion: """
                  hauberk alias list --domain example.test
                """)

        @Option(help: "Only aliases of this domain.")
        var domain: String?

        @OptionGroup var output: OutputOption
        @OptionGroup var directory: DirectoryOption

        func run() async throws {
            let rows = try await directory.forReading().listAliases(domain: domain)
            var table = TextTable(["alias", "goes to"])
            for row in rows {
                for (index, target) in row.targets.enumerated() { table.add([index == 0 ? row.address : " ", target]) }
            }
            try output.show(rows, table.text(empty: "no aliases"))
        }
    }

    /// An alias less, or fewer accounts for it.
    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove an alias, or let it go to fewer accounts.",
            discussion: """
                  hauberk alias remove sales@example.test bob@example.test     only bob gets no more of it
                  hauberk alias remove sales@example.test                      nobody does
                """)

        @Argument(help: "The alias's address.", transform: EmailAddress.argument)
        var alias: EmailAddress

        @Argument(help: "The accounts that get no more of its mail (default: all).", transform: EmailAddress.argument)
        var targets: [EmailAddress] = []

        @OptionGroup var output: OutputOption
        @OptionGroup var directory: DirectoryOption

        func run() async throws {
            let directory = try directory.forChanges()
            if targets.isEmpty { try await directory.removeAlias(alias) }
            for target in targets {
                do throws(DirectoryAdministrationError) {
                    try await directory.removeAlias(alias, target: target)
                } catch .noSuchAlias {
                    throw CommandFailure("\(alias) does not go to \(target): 'hauberk alias list' shows all")
                }
            }
            try output.show(
                AliasChange(alias, targets),
                targets.isEmpty
                    ? "\(alias) removed\n" : targets.reduce("") { "\($0)\(alias) no longer goes to \($1)\n" })
        }
    }
}

/// What was changed of an alias, in JSON.
private struct AliasChange: Encodable {
    let alias: String
    let targets: [String]

    init(_ alias: EmailAddress, _ targets: [EmailAddress]) {
        self.alias = alias.description
        self.targets = targets.map(\.description)
    }
}
