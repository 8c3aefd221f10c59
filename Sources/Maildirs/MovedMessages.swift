import Synchronization

/// Where the messages of a snapshot are after another tool moved or flagged them. The directories are read when a message
/// is missed, and not for each: what they showed serves the next ones.
final class MovedMessages: Sendable {
    private let known = Mutex<MessageMap?>(nil)

    /// How often a file may move away between finding and opening it.
    private static let movesMax = 8

    /// What it costs to keep.
    var bytes: Int { known.withLock { $0?.bytes ?? 0 } }

    /// The message at `path`, or wherever it is now; nil if it is in neither `new/` nor `cur/`.
    func open(
        _ path: [UInt8], identity: [UInt8], in mailbox: OpenFile, _ core: StoreCore
    ) throws(MaildirError) -> OpenFile? {
        if let file = try core.message(path, in: mailbox) { return file }
        var map = known.withLock { $0 }
        for _ in 0..<Self.movesMax {
            if let path = map?.path(of: identity) {
                if let file = try core.message(path, in: mailbox) { return file }
            } else if let map, try map.isFinal(for: mailbox, core) {
                return nil
            }
            let fresh = try MessageMap(of: mailbox, core, after: map)
            map = fresh
            known.withLock { $0 = fresh }
        }
        return nil
    }
}
