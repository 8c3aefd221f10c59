import ArgumentParser

/// Sends and reads mail as fast as a server takes it, and measures.
struct LoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Measure an SMTP, LMTP or POP3 server, and check that it kept what it acknowledged.",
        discussion: """
            For test clusters only: everything that is sent is really delivered.

              hauberk load smtp --target 127.0.0.1:2525 --recipient user%d@example.test --mailboxes 100 --ledger sent
              hauberk load verify --target 127.0.0.1:1110 --users user%d@example.test --mailboxes 100 \\
                --password secret --ledger sent
            """,
        subcommands: [LoadSMTPCommand.self, LoadLMTPCommand.self, LoadPOP3Command.self, LoadVerifyCommand.self])
}
