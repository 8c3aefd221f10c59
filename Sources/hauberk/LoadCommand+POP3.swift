import ArgumentParser
import Foundation
import Load
import Synchronization

extension POP3Load.Task: ExpressibleByArgument {}

/// Reads mail by POP3.
struct LoadPOP3Command: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pop3", abstract: "Log in by POP3, and list, read or delete messages.")

    @OptionGroup var target: LoadTargetOptions
    @OptionGroup var amount: LoadAmountOptions
    @OptionGroup var users: LoadUsersOptions
    @OptionGroup var output: LoadOutputOptions

    @Option(help: "Sessions in all (default: one for each name, or as many as --duration allows).")
    var sessions: Int?

    @Option(name: .customLong("do"), help: "What a session does between login and QUIT.")
    var task = POP3Load.Task.retr

    @Flag(help: "Send commands ahead of their replies; otherwise each waits for the reply before.")
    var pipeline = false

    func run() async throws {
        let names = users.names
        let amount = try amount.load(count: sessions, standard: names.count)
        let load = POP3Load(
            target: try target.load(), amount: amount, users: names, passwords: try users.passwords(), task: task,
            pipelines: pipeline)
        let tally = LoadTally()
        try await LoadReporter(unit: "sessions", amount: amount, output: output).run(tally) {
            try await load.run(tally: tally)
        }
    }
}

/// Reads all mailboxes, and compares them with what a load was answered.
struct LoadVerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check by POP3 that the mailboxes hold what was acknowledged, and nothing else.",
        discussion: """
            Prints how many messages were acknowledged with 250, read back, missing, duplicated, damaged and \
            unexpected; status 1 if one of the last four is not 0. What was deferred, or had no answer, may be there \
            once or not at all.
            """)

    @OptionGroup var target: LoadTargetOptions
    @OptionGroup var users: LoadUsersOptions

    @Option(help: "The file that `load smtp --ledger` or `load lmtp --ledger` wrote.")
    var ledger: String

    @Option(help: "Maildrops that are read at once.")
    var connections = 8

    @Flag(help: "Print the figures as JSON.")
    var json = false

    func run() async throws {
        var check = LedgerCheck()
        try check.read(ledger: try LoadFiles.text(ledger, for: "--ledger"))
        let names = users.names
        let load = POP3Load(
            target: try target.load(), amount: LoadAmount(connections: max(1, connections), count: names.count),
            users: names, passwords: try users.passwords(), task: .retr, pipelines: true)
        let (tally, shared) = (LoadTally(), SharedCheck(check))
        try await load.run(tally: tally) { user, message in
            let finding = LoadMessage.inspect(message)
            shared.check.withLock { $0.found(finding, in: user) }
        }
        let state = tally.current
        guard state.failed == 0, state.succeeded == names.count else {
            throw CommandFailure("\(names.count - state.succeeded) maildrops could not be read: \(state.errors)")
        }
        let checked = shared.check.withLock { $0 }
        print(json ? try Self.json(checked) : checked.text)
        if !checked.isGood { throw ExitCode(1) }
    }

    private static func json(_ check: LedgerCheck) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
        return String(decoding: try encoder.encode(check.figures), as: UTF8.self)
    }

    private final class SharedCheck: Sendable {
        let check: Mutex<LedgerCheck>
        init(_ check: LedgerCheck) { self.check = Mutex(check) }
    }
}
