import ArgumentParser
import Directory

/// Mail domains of this cluster.
struct DomainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "domain",
        abstract: "Show and change the domains whose mail is kept here.",
        discussion: """
            Mail for any other domain goes to a relay, or is refused (550 5.7.1).

              hauberk domain add example.test
              hauberk domain list
            """,
        subcommands: [Add.self, List.self, Remove.self])

    /// A new domain.
    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add a domain.",
            discussion: """
                Frontends take mail for it as soon as their caches have forgotten that it was unknown: after 5 \
                seconds, or directory.cacheLifetime if that is less.

                  hauberk domain add example.test
                """)

        @Argument(help: "The domain, such as example.test.")
        var domain: String

        @OptionGroup var output: OutputOption
        @OptionGroup var directory: DirectoryOption

        func run() async throws {
            let name = try await directory.forChanges().addDomain(domain)
            try output.show(["domain": name], "\(name) added\n")
        }
    }

    /// All domains.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List all domains, with how many accounts and aliases each has.",
            discussion: """
                  hauberk domain list --json
                """)

        @OptionGroup var output: OutputOption
        @OptionGroup var directory: DirectoryOption

        func run() async throws {
            let rows = try await directory.forReading().listDomains()
            var table = TextTable(["domain", "accounts", "aliases", "created"], figures: [1, 2])
            for row in rows { table.add([row.name, "\(row.accounts)", "\(row.aliases)", row.created]) }
            try output.show(rows, table.text(empty: "no domains: 'hauberk domain add' adds one"))
        }
    }

    /// One domain less.
    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a domain that has no accounts and no aliases any more.",
            discussion: """
                Names of mailboxes that were in it stay taken for ever: a domain that comes back does not give anybody \
                the mail of somebody else.

                  hauberk domain remove example.test
                """)

        @Argument(help: "The domain, such as example.test.")
        var domain: String

        @OptionGroup var output: OutputOption
        @OptionGroup var directory: DirectoryOption

        func run() async throws {
            try await directory.forChanges().removeDomain(domain)
            let name = DomainName.ascii(domain)
            try output.show(["domain": name], "\(name) removed\n")
        }
    }
}
