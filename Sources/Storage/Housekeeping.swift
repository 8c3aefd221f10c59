import Logging
import Maildirs

/// What a storage node does by itself, now and then: removes what crashed deliveries left in `tmp/`.
struct Housekeeping {
    let context: StorageContext

    private static let interval = Duration.seconds(6 * 3600)

    /// Runs until it is cancelled.
    func run() async {
        while !Task.isCancelled {
            await cleanTmp()
            try? await Task.sleep(for: Self.interval)
        }
    }

    private func cleanTmp() async {
        let result = await withCheckedContinuation { done in
            context.store.cleanTmp { done.resume(returning: $0) }
        }
        switch result {
        case .success(let report): context.log.debug("tmp cleaned", metadata: ["report": "\(report)"])
        case .failure(let error): context.log.error("tmp cannot be cleaned", metadata: ["error": "\(error)"])
        }
    }
}
