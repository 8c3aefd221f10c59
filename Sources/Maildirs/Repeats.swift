import Cluster
import Mail

/// Finds among the messages of a listing those that are hidden because they were sent again. What it knows of each message
/// is let go of with the listing: only the hidden ones are kept.
struct Repeats {
    private let window: ResendWindow
    /// A part of each message's digest, and the message's place.
    private var entries: [(hint: UInt64, index: UInt32)] = []

    init(window: ResendWindow) { self.window = window }

    /// A message of this file name is at this place of the listing, behind those that were added before.
    mutating func add(_ name: UnsafeRawBufferPointer, at index: UInt32) {
        guard !window.isOff, let content = MessageNameBytes.content(of: name) else { return }
        entries.append((content.digest.low, index))
    }

    /// In the order of their places.
    ///
    /// - Parameter name: the file name at a place.
    mutating func hidden(_ name: (UInt32) -> [UInt8]) -> [MaildropSnapshot.Hidden] {
        entries.sort { ($0.hint, $0.index) < ($1.hint, $1.index) }
        var hidden: [MaildropSnapshot.Hidden] = []
        var start = 0
        while start < entries.count {
            var end = start + 1
            while end < entries.count, entries[end].hint == entries[start].hint { end += 1 }
            if end - start > 1 { find(among: entries[start..<end].map(\.index), name, &hidden) }
            start = end
        }
        return hidden.sorted { $0.index < $1.index }
    }

    private func find(
        among places: [UInt32], _ name: (UInt32) -> [UInt8], _ hidden: inout [MaildropSnapshot.Hidden]
    ) {
        var contents: [ContentDigest: [ResendWindow.Arrival]] = [:]
        var indices: [String: UInt32] = [:]
        for index in places {
            let arrival = name(index).withUnsafeBytes { name -> (ContentDigest, ResendWindow.Arrival)? in
                guard let content = MessageNameBytes.content(of: name) else { return nil }
                let stem = name[..<MessageNameBytes.stemLength(of: name)]
                let identity = String(decoding: stem, as: UTF8.self)
                return (content.digest, ResendWindow.Arrival(seconds: content.seconds, identity: identity))
            }
            guard let (digest, message) = arrival else { continue }
            contents[digest, default: []].append(message)
            indices[message.identity] = index
        }
        for arrivals in contents.values {
            for pair in window.hidden(among: arrivals) {
                guard let index = indices[pair.hidden.identity], let shown = indices[pair.shown.identity] else {
                    continue
                }
                hidden.append(MaildropSnapshot.Hidden(index: index, shown: shown))
            }
        }
    }
}
