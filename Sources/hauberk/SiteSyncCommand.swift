import ArgumentParser
import Cluster
import Foundation
import Hops
import Mail
import Membership
import POP3

/// `site sync`.
struct SiteSyncCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sync",
        abstract: "Compare all shared mailboxes with a site, and have what it lacks carried there.",
        discussion: """
            For a site that is new, after a disaster at either site, and where 'site status' says that a site needs it. \
            Nothing is removed by it, and what a site has deleted does not come back. It brings the other site what this \
            one has; for the other direction, run it there too. What is equal costs next to nothing, so that a sync that \
            was broken off is simply begun again. It succeeds only if everything was compared.

              hauberk site sync west
            """)

    @Argument(help: "The site.")
    var name: String

    @OptionGroup var output: OutputOption
    @OptionGroup var file: ConfigurationOption

    func run() async throws {
        let configuration = try await file.loadWithMembers()
        let site = try SiteOrders(configuration: configuration).site(name)
        let view = try await SiteSync(site.name, configuration).run()
        try output.show(view, view.text)
        if !view.isComplete { throw ExitCode.failure }
    }
}

/// What came of comparing with a site.
struct SiteSyncView: Encodable {
    let site: String
    var partitions = 0
    var partitionsCompared = 0
    var mailboxes = 0
    var mailboxesEqual = 0
    var mailboxesRefused = 0
    var offered = 0
    var missing = 0
    var damaged = 0
    /// Why it is not complete.
    var problems: [String] = []

    init(_ site: String) { self.site = site }

    var isComplete: Bool { problems.isEmpty }

    mutating func add(_ step: SiteSyncStep) {
        mailboxes += step.mailboxes
        mailboxesEqual += step.same
        mailboxesRefused += step.strange
        offered += step.offered
        missing += step.spooled
        damaged += step.damaged
    }

    var text: String {
        var lines = [
            "\(mailboxes) mailboxes compared with \(site), \(mailboxesEqual) the same; of \(offered) messages and deletions "
                + "offered, \(missing) came to wait for it: 'hauberk site status' shows how they are carried"
        ]
        if mailboxesRefused > 0 {
            lines.append(
                "\(mailboxesRefused) mailboxes have no account at \(site), or another one: their mail stays here")
        }
        return (lines + problems).joined(separator: "\n") + "\n"
    }
}

/// Has the storage nodes compare their mailboxes with a site, a partition after the other, each at the first of its owners
/// that answers.
private actor SiteSync {
    private let name: String
    private let map: ClusterMap
    private let questions: NodeQuestions
    private let token: String
    private var view: SiteSyncView
    private var progress = SyncProgress()
    /// The site does not answer any more, or its spool does not empty: it is not tried for the rest.
    private var isGivenUp = false

    private static let partitionsAtOnce = 4
    /// A node compares a whole partition with its other owners before it answers.
    private static let timeout = Duration.seconds(3600)
    /// How long nothing may get on.
    private static let patience = Duration.seconds(90)
    private static let problemsMax = 20

    init(_ name: String, _ configuration: ClusterConfiguration) throws {
        self.name = name
        map = ClusterMap(configuration)
        questions = try NodeQuestions(configuration, timeout: Self.timeout)
        token = "\(Int64(Date().timeIntervalSince1970)).\(String(UInt64.random(in: 0 ... .max), radix: 36))"
        view = SiteSyncView(name)
    }

    func run() async throws -> SiteSyncView {
        for (node, status) in zip(map.nodes, await questions.statuses(ofSite: name))
        where (try? status.get())?.paused != nil {
            await questions.quit()
            throw CommandFailure("\(name) is paused on \(node.name): say 'hauberk site resume \(name)' first")
        }
        view.partitions = map.ring.partitions
        if !map.isSettled {
            problem("mail is moving to its owners: settle the ring first ('hauberk ring settle')")
        }
        await tell(.beginSync(token), "was not told")
        await withTaskGroup(of: Void.self) { group in
            for partition in 0..<map.ring.partitions {
                if partition >= Self.partitionsAtOnce { await group.next() }
                group.addTask { await self.compare(partition) }
            }
        }
        progress.end()
        if view.damaged > 0 {
            problem("\(view.damaged) damaged copies or folders were not given to \(name); the nodes' logs name them")
        }
        if view.isComplete { await end() }
        await questions.quit()
        return view
    }

    private func end() async {
        await tell(.endSync(token), "was not told that it is over")
        for (node, answer) in zip(map.nodes, await questions.statuses(ofSite: name)) {
            switch answer {
            case .success(let status) where status.needsSync != nil:
                problem("\(node.name) has left out something meanwhile: more came to wait than may; sync again")
            case .success: break
            case .failure(let error):
                problem("\(node.name) does not tell whether it has left out something meanwhile: \(error)")
            }
        }
    }

    private func tell(_ order: SiteOrder, _ what: String) async {
        for (node, answer) in zip(map.nodes, await questions.order(order, ofSite: name)) {
            if case .failure(let error) = answer { problem("\(node.name) \(what): \(error)") }
        }
    }

    private func problem(_ text: String) {
        if view.problems.count < Self.problemsMax { view.problems.append(text) }
    }

    // MARK: one partition

    private func compare(_ partition: Int) async {
        if isGivenUp { return }
        var failures: [String] = []
        for owner in map.ring.owners(ofPartition: partition) {
            do {
                try await compare(partition, at: owner)
                view.partitionsCompared += 1
                return progress.show(view)
            } catch let error as PeerError {
                failures.append("\(map[owner].name): \(error)")
            } catch {
                guard !isGivenUp else { return }
                isGivenUp = true
                return problem(
                    "given up after \(view.partitionsCompared) of \(view.partitions) partitions: \(error); "
                        + "begin again when that is over")
            }
        }
        problem("partition \(partition) was not compared: \(failures.joined(separator: "; "))")
    }

    private struct GivenUp: Error, CustomStringConvertible {
        let description: String
    }

    private func compare(_ partition: Int, at owner: Ring.NodeIndex) async throws {
        // What only another owner has is brought here first.
        let repaired = try await questions.ask(.xrepair(.partition(partition)), at: owner)
        var last: MailboxName?
        var gotOn = ContinuousClock.now
        while true {
            let text = try await questions.ask(.xsite(name, .sync(partition: partition, after: last)), at: owner)
            guard let step = SiteSyncStep(text) else { throw PeerError.unreachable("no such answer: \(text)") }
            view.add(step)
            progress.show(view)
            if step.last != last || step.spooled > 0 { gotOn = .now }
            last = step.last
            if !step.hasMore { break }
            guard let obstacle = step.obstacle else { continue }
            if ContinuousClock.now - gotOn > Self.patience || isGivenUp { throw GivenUp(description: obstacle) }
            try await Task.sleep(for: .seconds(1))
        }
        if !repaired.split(separator: " ").contains("failed=0") {
            problem(
                "partition \(partition) is not the same on all of its owners: what \(map[owner].name) has was compared "
                    + "('hauberk repair \(partition)' says more)")
        }
    }
}

/// How far a sync is, for the person in front of it: a bar at a terminal, else a line for each tenth.
private struct SyncProgress {
    private let isTerminal = isatty(STDERR_FILENO) != 0
    private var tenths = 0

    private static let barWidth = 24

    mutating func show(_ view: SiteSyncView) {
        let share = view.partitions == 0 ? 1 : Double(view.partitionsCompared) / Double(view.partitions)
        let line =
            "\(view.partitionsCompared) of \(view.partitions) partitions, \(view.mailboxes) mailboxes, "
            + "\(view.offered) offered, \(view.missing) to carry"
        if isTerminal {
            let full = Int(share * Double(Self.barWidth))
            let bar = String(repeating: "#", count: full) + String(repeating: "-", count: Self.barWidth - full)
            note("\r\u{1B}[K[\(bar)] \(line)", terminator: "")
        } else if Int(share * 10) > tenths {
            tenths = Int(share * 10)
            note(line)
        }
    }

    func end() {
        if isTerminal { note("\r\u{1B}[K", terminator: "") }
    }
}
