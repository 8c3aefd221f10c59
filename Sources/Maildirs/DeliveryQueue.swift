import Synchronization

/// Deliveries that wait, by mailbox: a worker takes all that wait for one mailbox, so that they share the sync of its
/// directory. None waits for others to arrive.
final class DeliveryQueue: Sendable {
    private struct Line {
        var jobs: [DeliveryJob] = []
        var workers = 0
    }

    private let core: StoreCore
    private let lines = Mutex<[MailboxFolder: Line]>([:])

    /// The most that one worker takes at once, so that the first does not wait too long for the last.
    private static let batchMax = 32
    /// How many waiting deliveries bring one more worker to a busy mailbox.
    private static let jobsPerWorker = 8

    init(core: StoreCore) { self.core = core }

    func add(_ job: DeliveryJob) {
        let folder = job.folder
        let wantsWorker = lines.withLock { lines in
            lines[folder, default: Line()].jobs.append(job)
            return Self.takeWorker(&lines[folder, default: Line()])
        }
        if wantsWorker { startWorker(folder) }
    }

    private static func takeWorker(_ line: inout Line) -> Bool {
        guard line.jobs.count > line.workers * jobsPerWorker else { return false }
        line.workers += 1
        return true
    }

    private func startWorker(_ folder: MailboxFolder) {
        if core.deliveries.submit({ self.work(on: folder) }) { return }
        repeat {
            for job in takeBatch(of: folder) { job.finish(.failure(.shutDown)) }
        } while leave(folder)
    }

    private func work(on folder: MailboxFolder) {
        let batch = takeBatch(of: folder)
        if !batch.isEmpty { Delivery.deliver(batch, to: folder, core: core) }
        if leave(folder) { startWorker(folder) }
    }

    private func takeBatch(of folder: MailboxFolder) -> [DeliveryJob] {
        lines.withLock { lines in
            guard var line = lines[folder] else { return [] }
            let batch = Array(line.jobs.prefix(Self.batchMax))
            line.jobs.removeFirst(batch.count)
            lines[folder] = line
            return batch
        }
    }

    /// The worker is done with its batch. Whether one must begin again, behind the other mailboxes that wait.
    private func leave(_ folder: MailboxFolder) -> Bool {
        lines.withLock { lines in
            guard var line = lines[folder] else { return false }
            line.workers -= 1
            let goesOn = Self.takeWorker(&line)
            lines[folder] = line.jobs.isEmpty && line.workers == 0 ? nil : line
            return goesOn
        }
    }
}
