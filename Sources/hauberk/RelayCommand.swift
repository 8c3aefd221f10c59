import ArgumentParser
import Foundation
import Hops
import Membership

/// `relay`.
struct RelayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relay",
        abstract: "Show and send what waits for servers elsewhere.",
        subcommands: [RelayStatusCommand.self, RelayFlushCommand.self])
}

/// `relay status`.
struct RelayStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show what waits for each relay on the storage nodes that send it.",
        discussion: """
            Each message is counted once, at the owner that sends it. 'oldest' is the age of the oldest one that waits.

              hauberk relay status
              hauberk relay status --json
            """)

    @OptionGroup var output: OutputOption
    @OptionGroup var file: ConfigurationOption

    private struct Row: Encodable {
        let relay: String
        let node: String
        let answers: Bool
        /// Why it tells nothing.
        var failure: String?
        var messages = 0
        var octets = 0
        var oldestSeconds: Int64?
        var lastSuccess: Int64?
        var lastError: String?
    }

    func run() async throws {
        let configuration = try await file.loadWithMembers()
        let questions = try NodeQuestions(configuration)
        let now = Int64(Date().timeIntervalSince1970)
        var rows: [Row] = []
        for relay in configuration.relays {
            let found = await questions.statuses(ofSite: SiteStatus.relayMark + relay.name)
            for (node, answer) in zip(configuration.nodes, found) {
                let status = try? answer.get()
                rows.append(
                    Row(
                        relay: relay.name, node: node.name, answers: status != nil,
                        failure: answer.failure?.description,
                        messages: status?.messages ?? 0, octets: status?.octets ?? 0,
                        oldestSeconds: status?.oldest.map { max(0, now - $0) },
                        lastSuccess: status?.succeeded, lastError: status?.error))
            }
        }
        await questions.quit()
        try output.show(rows, Self.text(rows, now: now))
        if !rows.allSatisfy(\.answers) { throw ExitCode.failure }
    }

    private static func text(_ rows: [Row], now: Int64) -> String {
        var table = TextTable(
            ["relay", "node", "messages", "size", "oldest", "last success", "last error"], figures: [2, 3, 4])
        for row in rows {
            guard row.answers else {
                table.add([row.relay, row.node, "", "", "", "", "nothing is known: \(row.failure ?? "")"])
                continue
            }
            table.add([
                row.relay, row.node, "\(row.messages)", MoveProgress.size(row.octets),
                row.oldestSeconds.map { "\($0) s" } ?? "-",
                row.lastSuccess.map { "\(max(0, now - $0)) s ago" } ?? "never",
                row.lastError ?? "",
            ])
        }
        return table.text(empty: "there are no relays (relays in the configuration)")
    }
}

/// `relay flush`.
struct RelayFlushCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "flush",
        abstract: "Send what waits for a relay now, whatever failed before.",
        discussion: """
              hauberk relay flush smarthost
            """)

    @Argument(help: "The relay's name.") var name: String
    @OptionGroup var file: ConfigurationOption

    func run() async throws {
        let configuration = try await file.loadWithMembers()
        guard let relay = configuration.relays.first(where: { $0.name == name }) else {
            throw CommandFailure("there is no relay \(name) (relays in the configuration)")
        }
        guard !relay.addresses.isEmpty else {
            throw CommandFailure("\(name) has no addresses: its mail is fetched (ATRN), and not sent")
        }
        let questions = try NodeQuestions(configuration)
        let counts = await questions.flush(relay: name)
        await questions.quit()
        print("\(counts.compactMap { try? $0.get() }.reduce(0, +)) messages waiting")
        let failures = zip(configuration.nodes, counts).compactMap { node, count in
            count.failure.map { "\(node.name) sends nothing: \($0)" }
        }
        if !failures.isEmpty { throw CommandFailure(failures.joined(separator: "\n")) }
    }
}
