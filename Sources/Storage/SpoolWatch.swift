import Cluster
import Logging
import Maildirs

/// Counts what waits for a site now and then, and says when that comes near its bound.
struct SpoolWatch {
    private let store: MaildirStore
    private let target: SpoolTarget
    private let log: Logger

    private static let interval = Duration.seconds(1)
    private static let walkInterval = Duration.seconds(900)
    private static let mailboxesPerStep = 256

    init(_ drain: SiteDrain) {
        store = drain.replicator.store
        target = drain.target
        log = drain.replicator.log
    }

    /// Runs until it is cancelled.
    func run() async {
        guard let gauge = store.gauge(ofSite: target) else { return }
        var level = gauge.level
        var last: MailboxKey?
        var next = ContinuousClock.now
        while !Task.isCancelled {
            if last != nil || next <= .now {
                last = try? await store.countWaiting(for: target, after: last, mailboxes: Self.mailboxesPerStep)
                if last == nil { next = .now + Self.walkInterval }
            }
            if let gauge = store.gauge(ofSite: target), gauge.level != level {
                tell(gauge)
                level = gauge.level
            }
            if last == nil { try? await Task.sleep(for: Self.interval) }
        }
    }

    private func tell(_ gauge: SpoolGauge) {
        let metadata: Logger.Metadata = [
            "site": "\(target.name)", "waiting": "\(gauge.count)", "most": "\(gauge.max)",
        ]
        switch gauge.level {
        case .roomy: log.notice("a site's spool has room again", metadata: metadata)
        case .nearlyFull: log.warning("a site's spool is nearly full", metadata: metadata)
        case .full:
            log.error(
                "a site's spool is full: what comes is left out, and the site needs a sync", metadata: metadata)
        }
    }
}
