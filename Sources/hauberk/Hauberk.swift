import ArgumentParser

/// The one program of a Hauberk cluster: runs its processes, and administers them.
@main
struct Hauberk: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hauberk",
        abstract: "A mail cluster: SMTP and POP3 frontends over Maildir storage nodes.",
        subcommands: [Serve.self, LoadCommand.self])
}
