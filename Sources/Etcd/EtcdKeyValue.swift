import FoundationEssentials

/// A key of etcd as it was at some revision.
package struct EtcdKeyValue: Sendable, Equatable {
    package let key: String
    package let value: [UInt8]
    /// The revision that wrote it; greater than 0.
    package let modRevision: Int64

    init(_ record: EtcdRecord) {
        key = String(decoding: record.key, as: UTF8.self)
        value = Array(record.value ?? Data())
        modRevision = record.modRevision?.value ?? 0
    }
}

/// Some keys, all as of the same revision of the whole store.
package struct EtcdSnapshot: Sendable, Equatable {
    package let keyValues: [EtcdKeyValue]
    package let revision: Int64
    let clusterID: String?

    init(_ answer: RangeAnswer) {
        keyValues = (answer.kvs ?? []).map(EtcdKeyValue.init)
        revision = answer.header?.revision?.value ?? 0
        clusterID = answer.header?.clusterID
    }
}

/// What came of a compare-and-swap.
package enum EtcdSwap: Sendable, Equatable {
    /// The key has the value since this revision.
    case won(revision: Int64)
    /// The key had another revision; it was left as it is.
    case lost
}

/// The keys that begin with some prefix, as etcd wants them: from `start` up to before `end`.
struct EtcdKeyRange: Equatable {
    let start: Data
    let end: Data

    init(prefix: String) {
        start = Data(prefix.utf8)
        var end = start
        while let last = end.last, last == 0xFF { end.removeLast() }
        if let last = end.popLast() { end.append(last + 1) }
        // One zero octet: all keys from `start` on.
        self.end = end.isEmpty ? Data([0]) : end
    }
}
