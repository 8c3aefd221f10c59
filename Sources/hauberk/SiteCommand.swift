import ArgumentParser
import Foundation
import Hops
import Membership

/// `site`.
struct SiteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "site",
        abstract: "Show how it stands with other sites, and say what goes there.",
        subcommands: [
            SiteStatusCommand.self, SitePauseCommand.self, SiteResumeCommand.self, SiteSyncCommand.self,
        ])
}

/// `site status`.
struct SiteStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show what waits for other sites on each storage node.",
        discussion: """
            All owners of a mailbox keep what waits for a site, and let it go when one of them has brought it there. \
            'lag' is the age of the oldest message or deletion that waits. A node on which more came to wait than may \
            (sites.spoolMessagesMax) has left something out, and needs 'hauberk site sync'.

              hauberk site status
              hauberk site status --json
            """)

    @OptionGroup var output: OutputOption
    @OptionGroup var file: ConfigurationOption

    private struct Row: Encodable {
        let site: String
        let node: String
        let answers: Bool
        /// Why it tells nothing.
        var failure: String?
        var messages = 0
        var tombstones = 0
        var octets = 0
        var lagSeconds: Int64?
        var lastSuccess: Int64?
        var lastError: String?
        var pausedSince: Int64?
        var needsSyncSince: Int64?
        var spoolFiles: Int?
        var spoolFilesMax: Int?

        /// What an operator should know, in words.
        var state: String {
            func time(_ seconds: Int64) -> String {
                Date(timeIntervalSince1970: TimeInterval(seconds)).formatted(.iso8601)
            }
            var words: [String] = []
            if let pausedSince { words.append("paused since \(time(pausedSince))") }
            if let needsSyncSince { words.append("needs sync since \(time(needsSyncSince))") }
            if let spoolFiles, let spoolFilesMax, spoolFilesMax > 0, spoolFiles >= spoolFilesMax - spoolFilesMax / 5 {
                words.append("spool is \(Int(Double(spoolFiles) * 100 / Double(spoolFilesMax))) % full")
            }
            return words.joined(separator: ", ")
        }
    }

    func run() async throws {
        let configuration = try await file.loadWithMembers()
        let questions = try NodeQuestions(configuration)
        let now = Int64(Date().timeIntervalSince1970)
        var rows: [Row] = []
        for site in configuration.sites where !site.addresses.isEmpty {
            for (node, answer) in zip(configuration.nodes, await questions.statuses(ofSite: site.name)) {
                let found = try? answer.get()
                rows.append(
                    Row(
                        site: site.name, node: node.name, answers: found != nil, failure: answer.failure?.description,
                        messages: found?.messages ?? 0, tombstones: found?.tombstones ?? 0, octets: found?.octets ?? 0,
                        lagSeconds: found?.oldest.map { max(0, now - $0) }, lastSuccess: found?.succeeded,
                        lastError: found?.error, pausedSince: found?.paused, needsSyncSince: found?.needsSync,
                        spoolFiles: found?.files, spoolFilesMax: found?.filesMax))
            }
        }
        await questions.quit()
        try output.show(rows, Self.text(rows, now: now))
        if !rows.allSatisfy(\.answers) { throw ExitCode.failure }
    }

    private static func text(_ rows: [Row], now: Int64) -> String {
        var table = TextTable(
            ["site", "node", "messages", "deletions", "size", "lag", "last success", "last error", "state"],
            figures: [2, 3, 4, 5])
        for row in rows {
            guard row.answers else {
                table.add([row.site, row.node, "", "", "", "", "", "nothing is known: \(row.failure ?? "")", ""])
                continue
            }
            table.add([
                row.site, row.node, "\(row.messages)", "\(row.tombstones)", MoveProgress.size(row.octets),
                row.lagSeconds.map { "\($0) s" } ?? "-", row.lastSuccess.map { "\(max(0, now - $0)) s ago" } ?? "never",
                row.lastError ?? "", row.state,
            ])
        }
        return table.text(empty: "there are no other sites that mail goes to (sites in the configuration)")
    }
}
