import ArgumentParser
import Membership

/// The configuration file's own reference.
struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Explain the configuration file.",
        discussion: """
              hauberk config keys smtp.limits
            """,
        subcommands: [Keys.self])

    /// Every key that a file may have.
    struct Keys: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List every key with its type, default and meaning.",
            discussion: """
                Keys marked ↻ are taken on SIGHUP; others need a restart.

                  hauberk config keys smtp.limits
                """)

        @Argument(help: "Only keys that begin with this.")
        var prefix = ""

        @Flag(help: "Print the table of README.md.")
        var markdown = false

        @OptionGroup var output: OutputOption

        private struct Key: Encodable {
            let key: String
            let type: String
            let defaultValue: String
            let meaning: String
            let reloads: Bool
        }

        func validate() throws {
            if markdown, output.isJSON || !prefix.isEmpty {
                throw ValidationError("--markdown is the whole table, and no JSON.")
            }
        }

        func run() async throws {
            if markdown { return print(ConfigurationKeys.markdownTable(), terminator: "") }
            let keys = ConfigurationKeys.all.filter { $0.path.hasPrefix(prefix) }
            guard !keys.isEmpty else {
                throw CommandFailure("no key begins with \(prefix): 'hauberk config keys' lists all")
            }
            try output.show(
                keys.map {
                    Key(
                        key: $0.path, type: $0.type, defaultValue: $0.defaultValue, meaning: $0.meaning,
                        reloads: $0.isLive)
                },
                keys.map(Self.text).joined(separator: "\n"))
        }

        private static func text(_ key: ConfigurationKey) -> String {
            let value = key.defaultValue == "required" ? "required" : "default \(key.defaultValue)"
            return "\(key.path)\(key.isLive ? " ↻" : "")\n    \(key.meaning)\n    \(key.type); \(value)\n"
        }
    }
}
