/// What a file says; it never changes.
enum FileContent: Equatable {
    case message(text: Int)
    case tombstone([DeletedMessage])
}

/// A line of a tombstone: an identity, and the text of its message as its content's digest tells it.
struct DeletedMessage: Hashable {
    let identity: String
    let text: Int?
}

/// A file, which other names may stand for too.
final class SimulatedFile {
    private(set) var content: FileContent?
    var isSynced = false

    init(_ content: FileContent) { self.content = content }

    /// The power is gone: what was not synced is not there any more.
    func powerCut() { if !isSynced { content = nil } }
}

/// A directory: which names it holds now, and which it would hold after a power cut.
final class SimulatedFolder {
    private(set) var entries: [String: SimulatedFile] = [:]
    private var durable: [String: SimulatedFile] = [:]
    /// Names that were made or removed since the last sync, each once, in their order.
    private var changed: [String] = []
    private(set) var version = 0

    var names: [String] { entries.keys.sorted() }

    func link(_ name: String, _ file: SimulatedFile) {
        if entries[name] != nil { return }
        entries[name] = file
        note(name)
    }

    func unlink(_ name: String) {
        if entries.removeValue(forKey: name) != nil { note(name) }
    }

    private func note(_ name: String) {
        version += 1
        if !changed.contains(name) { changed.append(name) }
    }

    func sync() {
        guard !changed.isEmpty else { return }
        for name in changed { durable[name] = entries[name] }
        changed = []
    }

    /// Each change that was not synced has reached the disk or not.
    func powerCut(_ random: inout Randomness) {
        for name in changed where random.chance(0.5) {
            durable[name] = entries[name]
        }
        changed = []
        entries = durable
        version += 1
        for name in names { entries[name]?.powerCut() }
    }
}
