import Cluster
import Mail

/// One mailbox on one disk: its messages, and its tombstones.
final class SimulatedMaildir {
    let new = SimulatedFolder()
    let gone = SimulatedFolder()
    private var deletedVersion = -1
    private var deletedNames: Set<String> = []
    /// When the deleted messages of a text came.
    private var deletedTimes: [Int: [Int64]] = [:]

    var isEmpty: Bool { new.entries.isEmpty && gone.entries.isEmpty }

    /// What its tombstones name.
    private func readTombstones() {
        if deletedVersion == gone.version { return }
        (deletedNames, deletedTimes) = ([], [:])
        for file in gone.entries.values {
            for line in file.lines ?? [] {
                deletedNames.insert(line.identity)
                if let text = line.text, let seconds = MintedName.seconds(of: line.identity) {
                    deletedTimes[text, default: []].append(seconds)
                }
            }
        }
        deletedVersion = gone.version
    }

    /// Whether its tombstones delete a message, by its name or by its text.
    func deletes(_ name: String, text: Int?) -> Bool {
        readTombstones()
        let name = SpooledName.identity(of: name)
        if deletedNames.contains(name) { return true }
        guard let text, let times = deletedTimes[text], let seconds = MintedName.seconds(of: name) else { return false }
        return times.contains { World.resendWindow.reaches(from: $0, to: seconds) }
    }

    /// Removes what these lines of a tombstone delete, by name or by text. The names that are gone.
    func remove(_ lines: [DeletedMessage]) -> [String] {
        let doomed = new.names.filter { name in
            lines.contains { line in
                if line.identity == SpooledName.identity(of: name) { return true }
                guard let text = line.text, text == self.text(of: name), let seconds = MintedName.seconds(of: name),
                    let deleted = MintedName.seconds(of: line.identity)
                else { return false }
                return World.resendWindow.reaches(from: deleted, to: seconds)
            }
        }
        for name in doomed { new.unlink(name) }
        return doomed
    }

    func knows(_ name: String, text: Int?) -> Bool { new.entries[name] != nil || deletes(name, text: text) }

    /// What a crash left behind its tombstone, or what came again.
    var deleted: [String] {
        gone.entries.isEmpty ? [] : new.names.filter { deletes($0, text: text(of: $0)) }
    }

    var texts: [String: Int] { new.entries.compactMapValues(\.text) }

    func text(of name: String) -> Int? { new.entries[name]?.text }

    /// What was sent again: each such message with the one that shows in its place.
    var hidden: [String: String] {
        var arrivals: [Int: [ResendWindow.Arrival]] = [:]
        for (name, file) in new.entries {
            guard let text = file.text, let seconds = MintedName.seconds(of: name) else { continue }
            arrivals[text, default: []].append(ResendWindow.Arrival(seconds: seconds, identity: name))
        }
        var hidden: [String: String] = [:]
        for run in arrivals.values where run.count > 1 {
            for pair in World.resendWindow.hidden(among: run) { hidden[pair.hidden.identity] = pair.shown.identity }
        }
        return hidden
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

/// What a message is called in the spool for a site: with the path of sites that it has been at.
enum SpooledName {
    static func make(_ identity: String, _ path: SitePath) -> String {
        path == .origin ? identity : "\(identity)\(field)\(path.text)"
    }

    static func identity(of name: String) -> String { String(name.prefix { $0 != "," }) }

    static func path(of name: String) -> SitePath {
        guard let comma = name.firstIndex(of: ",") else { return .origin }
        return SitePath(name[comma...].dropFirst(field.count)) ?? .origin
    }

    private static let field = ",P="
}

/// A mailbox as it was listed.
struct MaildirListing {
    /// All that the replica holds, in their order.
    let messages: [String]
    /// What clients see of it.
    let shown: [String]
    /// Tombstones young enough to be told to others, in their order.
    let tombstones: [String]

    /// What is not in another one.
    func without(_ other: MaildirListing?) -> MaildirListing {
        guard let other else { return self }
        return MaildirListing(
            messages: messages.filter { !other.messages.contains($0) }, shown: [],
            tombstones: tombstones.filter { !other.tombstones.contains($0) })
    }
}
