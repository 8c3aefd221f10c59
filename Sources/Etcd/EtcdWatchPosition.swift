/// One change of a key.
package struct EtcdEvent: Sendable, Equatable {
    package let key: String
    /// Nil if the key was removed.
    package let value: [UInt8]?
    package let revision: Int64
}

/// How far a watch has come: which events are new, and from where on it has to be asked for again.
struct EtcdWatchPosition: Equatable {
    enum Step: Equatable {
        case events([EtcdEvent])
        case nothing
        /// Events are missing here, or these are not the keys that we knew: all keys have to be read anew.
        case reread
        /// The member ends the watch.
        case ended(String)
    }

    /// The first revision whose events are not known yet.
    private(set) var next: Int64
    private let clusterID: String?

    /// Behind what a snapshot shows.
    init(after revision: Int64, clusterID: String? = nil) {
        next = Self.following(revision)
        self.clusterID = clusterID
    }

    mutating func receive(_ answer: WatchAnswer) -> Step {
        if let clusterID, let other = answer.header?.clusterID, other != clusterID { return .reread }
        if answer.canceled == true {
            return answer.compactRevision == nil ? .ended(String((answer.reason ?? "").prefix(200))) : .reread
        }
        let revision = answer.header?.revision?.value ?? 0
        if answer.created == true {
            // The store is older than what we have seen: it was restored from a copy, or this member lags behind.
            return Self.following(revision) < next ? .reread : .nothing
        }
        let events = (answer.events ?? []).map(EtcdEvent.init)
        if events.isEmpty {
            next = max(next, Self.following(revision))
            return .nothing
        }
        let new = events.filter { $0.revision >= next }
        if let last = new.last?.revision {
            // Further events of the same revision may follow a fragment.
            next = answer.fragment == true ? last : Self.following(last)
        }
        return new.isEmpty ? .nothing : .events(new)
    }

    private static func following(_ revision: Int64) -> Int64 { revision == .max ? .max : revision + 1 }
}

extension EtcdEvent {
    init(_ event: WatchAnswer.Event) {
        let record = EtcdKeyValue(event.kv)
        key = record.key
        value = event.type == "DELETE" ? nil : record.value
        revision = record.modRevision
    }
}
