import ArgumentParser
import Glibc
import Serialmail

/// The one program of a Hauberk cluster: runs its processes, and administers them.
@main
struct Hauberk: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hauberk",
        abstract: "A mail cluster: SMTP and POP3 frontends over Maildir storage nodes.",
        version: Version.text,
        subcommands: [Serve.self, LoadCommand.self],
        groupedSubcommands: [
            CommandGroup(name: "Directory", subcommands: [DomainCommand.self, AccountCommand.self, AliasCommand.self]),
            CommandGroup(
                name: "Cluster",
                subcommands: [
                    StatusCommand.self, RepairCommand.self, RingCommand.self, NodeCommand.self, MembershipCommand.self,
                    SiteCommand.self, RelayCommand.self, Locate.self, CertificateCommand.self,
                ]),
            CommandGroup(name: "Configuration", subcommands: [CheckConfig.self, ConfigCommand.self]),
            CommandGroup(name: "Any Maildir", subcommands: [SerialmailCommand.self]),
        ])

    /// A link's name may call another program.
    static func main() async {
        let environment = ProcessEnvironment.variables()
        if let code = SerialmailPrograms.runIfCalled(CommandLine.arguments, environment: environment) {
            Glibc.exit(code)
        }
        await main(nil)
    }
}
