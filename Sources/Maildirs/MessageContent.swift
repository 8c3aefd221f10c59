import Cluster
import Mail

/// A message's content and when it came, as its file's name tells both: what the resend rule goes by. Only names that a
/// frontend minted tell it: what other tools deliver has no such name in every replica.
struct MessageContent: Hashable, Sendable {
    let digest: ContentDigest
    /// Since 1970 in UTC.
    let seconds: Int64
}

/// A message as tombstones may name it: by its identity, or by its content.
struct NamedMessage: Hashable, Sendable {
    let identity: [UInt8]
    let content: MessageContent?
}

/// What lines of tombstones delete.
struct DeletedMessages {
    private let window: ResendWindow
    private var identities: Set<[UInt8]>
    private var times: [ContentDigest: [Int64]] = [:]

    init(identities: Set<[UInt8]> = [], window: ResendWindow) {
        self.identities = identities
        self.window = window
    }

    /// The lines of a tombstone that is in memory.
    init(lines: [UInt8], window: ResendWindow) {
        self.init(window: window)
        for line in lines.split(separator: UInt8(ascii: "\n")) { add(TombstoneLine(line)) }
    }

    /// How many lines they come from.
    var count: Int { identities.count }

    mutating func add(_ line: TombstoneLine) {
        identities.insert(Array(line.identity))
        if let content = line.content, !window.isOff { times[content.digest, default: []].append(content.seconds) }
    }

    /// Whether they delete the message that has this file name.
    func contains(_ identity: UnsafeRawBufferPointer, name: UnsafeRawBufferPointer) -> Bool {
        if identities.contains(Array(identity)) { return true }
        guard !times.isEmpty, let content = MessageNameBytes.content(of: name) else { return false }
        return times[content.digest]?.contains { window.reaches(from: $0, to: content.seconds) } ?? false
    }
}

extension TombstoneLine {
    /// The content that it deletes, and the time of the message that its reader saw.
    var content: MessageContent? {
        guard let digest, let seconds = identity.withUnsafeBytes(MessageNameBytes.mintedSeconds) else { return nil }
        return MessageContent(digest: digest, seconds: seconds)
    }
}
