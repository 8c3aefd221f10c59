import Logging
import Maildirs
import Membership

/// What a storage node does by itself, now and then: removes what crashed deliveries left in `tmp/`, folders of what was handed
/// over, and tombstones that have outlived everything that could bring their messages back.
struct Housekeeping {
    let context: StorageContext

    private static let interval = Duration.seconds(3600)
    private static let emptyTime = Duration.seconds(60)
    private static let restsPerRound = 10
    /// How many of a round's failures have a line of their own.
    private static let failuresMax = 20

    private typealias Outcome = Result<MaintenanceReport, MaildirError>

    /// Runs until it is cancelled.
    func run() async {
        var forgotten = Int64.min
        while !Task.isCancelled {
            let settings = context.housekeeping
            note("tmp cleaned", await outcome { context.store.cleanTmp(olderThan: settings.tmpAge, then: $0) })
            if let agreed = await Forgetting(context: context).agreed() {
                forgotten = max(forgotten, agreed)
                context.store.forget(onlyBefore: forgotten)
            }
            note(
                "tombstones expired",
                await outcome { context.store.expireTombstones(olderThan: settings.tombstoneGrace, then: $0) })
            try? await Task.sleep(for: Self.interval)
        }
    }

    /// Runs until it is cancelled: removes the folders of what was handed over. Where that takes long, it rests for longer.
    func removeEmptied() async {
        let clock = ContinuousClock()
        while !Task.isCancelled {
            let took = await clock.measure {
                note(
                    "empty folders removed",
                    await outcome { context.store.removeEmptied(olderThan: Self.emptyTime, then: $0) })
            }
            try? await Task.sleep(for: max(Self.emptyTime, took * Self.restsPerRound))
        }
    }

    private func outcome(_ work: (@escaping @Sendable (Outcome) -> Void) -> Void) async -> Outcome {
        await withCheckedContinuation { done in work { done.resume(returning: $0) } }
    }

    private func note(_ message: Logger.Message, _ outcome: Outcome) {
        switch outcome {
        case .success(let report):
            context.log.debug(message, metadata: ["mailboxes": "\(report.mailboxes)", "removed": "\(report.removed)"])
            for error in report.failures.prefix(Self.failuresMax) {
                context.log.error("housekeeping", metadata: ["error": "\(error)"])
            }
            if report.failures.count > Self.failuresMax {
                context.log.error("housekeeping", metadata: ["failures": "\(report.failures.count)"])
            }
        case .failure(.shutDown): break
        case .failure(let error):
            context.log.error("housekeeping", metadata: ["error": "\(error)"])
        }
    }
}
