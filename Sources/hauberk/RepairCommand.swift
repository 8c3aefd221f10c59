import ArgumentParser
import Cluster
import Glibc
import Hops
import Mail
import Membership
import POP3

/// `repair`.
struct RepairCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract: "Compare the copies of mailboxes on all their owners, and make them the same.",
        discussion: """
            Storage nodes do this by themselves once a day; after a disaster it is asked for. Equal copies cost next to \
            nothing, so that a repair that was broken off is simply begun again, or with --from where it was.

              hauberk repair alice@example.test
              hauberk repair 1234
              hauberk repair --all
            """)

    @Argument(help: "A partition's number, or a mailbox's name.")
    var scope: String?

    @Flag(help: "All partitions.")
    var all = false

    @Option(help: "With --all: the partition to begin with.")
    var from = 0

    @OptionGroup var output: OutputOption
    @OptionGroup var file: ConfigurationOption

    private static let atOnce = 4
    /// A node compares a whole partition before it answers.
    private static let timeout = Duration.seconds(3600)

    private struct View: Encodable {
        var partitions = 0
        var mailboxes = 0
        var merged = 0
        var failed = 0

        mutating func add(_ answer: String) {
            for word in answer.split(separator: " ") {
                let pair = word.split(separator: "=")
                guard pair.count == 2, let count = Int(pair[1]) else { continue }
                switch pair[0] {
                case "mailboxes": mailboxes += count
                case "merged": merged += count
                case "failed": failed += count
                default: break
                }
            }
        }
    }

    func validate() throws {
        if (scope == nil) != all { throw ValidationError("Name a partition or a mailbox, or say --all.") }
        if from < 0 { throw ValidationError("--from is a partition's number.") }
        if from > 0, !all { throw ValidationError("--from goes with --all.") }
    }

    func run() async throws {
        let configuration = try await file.loadWithMembers()
        let map = ClusterMap(configuration)
        let scopes = try scopes(map.ring)
        let questions = try NodeQuestions(configuration, timeout: Self.timeout)
        var view = View()
        await withTaskGroup(of: String?.self) { group in
            for (index, scope) in scopes.enumerated() {
                if index >= Self.atOnce, let answer = await group.next() { count(answer, of: scopes.count, &view) }
                group.addTask { await Self.repair(scope, map.ring, questions) }
            }
            for await answer in group { count(answer, of: scopes.count, &view) }
        }
        if scopes.count > 1, isatty(STDERR_FILENO) != 0 { note("\r\u{1B}[K", terminator: "") }
        await questions.quit()
        try output.show(
            view,
            "\(view.mailboxes) mailboxes compared, \(view.merged) made the same"
                + (view.failed > 0 ? ", \(view.failed) could not be compared or made the same\n" : "\n"))
        if view.failed > 0 { throw ExitCode.failure }
    }

    private func scopes(_ ring: Ring) throws -> [RepairScope] {
        guard let scope else {
            try check(from, ring)
            return (from..<ring.partitions).map(RepairScope.partition)
        }
        if let number = Int(scope) {
            try check(number, ring)
            return [.partition(number)]
        }
        guard let mailbox = MailboxName(scope) else {
            throw CommandFailure("'\(scope)' is neither a partition's number nor a mailbox's name")
        }
        return [.mailbox(mailbox)]
    }

    private func check(_ partition: Int, _ ring: Ring) throws {
        guard (0..<ring.partitions).contains(partition) else {
            throw CommandFailure("there is no partition \(partition): they are 0 to \(ring.partitions - 1)")
        }
    }

    private func count(_ answer: String?, of scopes: Int, _ view: inout View) {
        view.partitions += 1
        if let answer { view.add(answer) } else { view.failed += 1 }
        let percent = view.partitions * 100 / scopes
        guard scopes > 1, isatty(STDERR_FILENO) != 0, percent > (view.partitions - 1) * 100 / scopes else { return }
        note("\r\u{1B}[K\(percent)% of \(scopes) partitions, \(view.merged) mailboxes made the same", terminator: "")
    }

    /// The answer of the first owner that gives one.
    private static func repair(_ scope: RepairScope, _ ring: Ring, _ questions: NodeQuestions) async -> String? {
        let partition =
            switch scope {
            case .partition(let number): number
            case .mailbox(let mailbox): ring.partition(of: mailbox)
            }
        for owner in ring.owners(ofPartition: partition) {
            if let answer = try? await questions.ask(.xrepair(scope), at: owner) { return answer }
        }
        return nil
    }
}
