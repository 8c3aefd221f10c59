import Logging
import Membership
import ServiceLifecycle
import Synchronization
import Telemetry
import UnixSignals

/// Takes a changed configuration into a running process whenever SIGHUP comes.
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
        do {
            let old = plan.withLock { $0 }
            let new = try file.load()
            let difference = ReloadDifference(from: old.configuration, to: new)
            let next = try old.reloaded(new)
            try services.reload(next)
            plan.withLock { $0 = next }
            // A stricter level begins behind these lines, a more talkative one before them.
            sink.level = min(sink.level, next.logLevel)
            tell(difference, next)
            sink.level = next.logLevel
        } catch {
            log.error("not reloaded, everything stays as it was", metadata: ["error": "\(error)"])
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
