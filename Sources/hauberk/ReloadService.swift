import Logging
import Membership
import ServiceLifecycle
import Synchronization
import Telemetry
import UnixSignals

/// Takes a changed configuration into a running process: the file's when SIGHUP comes, a membership's when etcd tells it.
final class ReloadService: Service {
    private let services: ProcessServices
    private let file: ConfigurationOption
    private let sink: LogSink
    private let plan: Mutex<ProcessPlan>
    private let log = Logger(label: "reload")

    init(services: ProcessServices, plan: ProcessPlan, file: ConfigurationOption, sink: LogSink) {
        self.services = services
        self.plan = Mutex(plan)
        self.file = file
        self.sink = sink
    }

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sighup)
        for await _ in signals.cancelOnGracefulShutdown() { reload() }
    }

    private func reload() {
        take { old in
            let new = try file.load()
            // Where etcd has the membership, the file's does not count.
            return new.membership.kind == .etcd ? new.withMembership(of: old) : new
        }
    }

    /// Takes another membership from etcd: the nodes and the ring's history of `new`, and nothing else of it.
    func take(_ new: ClusterConfiguration) { take { $0.withMembership(of: new) } }

    private func take(_ make: (ClusterConfiguration) throws -> ClusterConfiguration) {
        // One after the other: SIGHUP and etcd may come together.
        plan.withLock { plan in
            do {
                let new = try make(plan.configuration)
                let difference = ReloadDifference(from: plan.configuration, to: new)
                let next = try plan.reloaded(new)
                try services.reload(next)
                plan = next
                // A stricter level begins behind these lines, a more talkative one before them.
                sink.level = min(sink.level, next.logLevel)
                tell(difference, next)
                sink.level = next.logLevel
            } catch {
                log.error("not reloaded, everything stays as it was", metadata: ["error": "\(error)"])
            }
        }
    }

    private func tell(_ difference: ReloadDifference, _ plan: ProcessPlan) {
        for line in difference.live { log.notice("taken", metadata: ["key": "\(line)"]) }
        for path in plan.certificates { log.notice("certificate read again", metadata: ["file": "\(path)"]) }
        for line in difference.restart { log.warning("needs a restart", metadata: ["key": "\(line)"]) }
        log.notice(
            "reloaded", metadata: ["taken": "\(difference.live.count)", "restart": "\(difference.restart.count)"])
    }
}
