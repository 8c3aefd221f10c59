/// One row of the table of keys.
package struct ConfigurationKey: Sendable, Equatable {
    /// Such as `smtp.limits.messageBytesMax` or `nodes[].weight`.
    package let path: String
    package let type: String
    /// As it would be written, or `required`.
    package let defaultValue: String
    package let meaning: String
    /// A running process takes a new value on SIGHUP; anything else needs a restart.
    package let isLive: Bool
}

/// Every key that a configuration file may have.
package enum ConfigurationKeys {
    package static var all: [ConfigurationKey] {
        ClusterConfiguration.keys.flatMap { $0.describe(ClusterConfiguration.defaults, $0.name) }
    }

    /// The table for README, in Markdown. "↻" marks what SIGHUP reloads.
    package static func markdownTable() -> String {
        let head = "| key | type | default | meaning |\n|---|---|---|---|\n"
        return all.reduce(into: head) { table, key in
            let mark = key.isLive ? " ↻" : ""
            let type = key.type.replacing("|", with: "\\|")
            table += "| `\(key.path)`\(mark) | \(type) | \(defaultCell(key.defaultValue)) | \(key.meaning) |\n"
        }
    }

    private static func defaultCell(_ text: String) -> String {
        text == "required" || text == "none" || text.hasPrefix("`") ? text : "`\(text)`"
    }
}
