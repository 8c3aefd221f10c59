/// One mailbox on one disk: its messages, and its tombstones.
final class SimulatedMaildir {
    let new = SimulatedFolder()
    let gone = SimulatedFolder()
    private var deletedVersion = -1
    private var deletedNames: Set<String> = []

    var isEmpty: Bool { new.entries.isEmpty && gone.entries.isEmpty }

    /// What its tombstones name.
    var deleted: Set<String> {
        if deletedVersion == gone.version { return deletedNames }
        deletedNames = []
        for file in gone.entries.values {
            if case .tombstone(let names) = file.content { deletedNames.formUnion(names) }
        }
        deletedVersion = gone.version
        return deletedNames
    }

    func knows(_ name: String) -> Bool { new.entries[name] != nil || deleted.contains(name) }

    /// Removes what a crash left behind its tombstone, or what came again.
    func removeDeleted() {
        let deleted = deleted
        if deleted.isEmpty { return }
        for name in new.names where deleted.contains(name) { new.unlink(name) }
    }

    func syncAll() {
        new.sync()
        gone.sync()
    }

    func powerCut(_ random: inout Randomness) {
        new.powerCut(&random)
        gone.powerCut(&random)
    }
}

/// A mailbox as it was listed.
struct MaildirListing {
    /// In their order.
    let messages: [String]
    /// Tombstones young enough to be told to others, in their order.
    let tombstones: [String]
}
