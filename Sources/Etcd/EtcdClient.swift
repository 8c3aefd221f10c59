import FoundationEssentials
package import Logging
package import NIOCore

/// A client of etcd v3 over its JSON gateway. Each request goes to one member, and to the next if that fails.
///
/// `shutdown` must be called at the end.
package final class EtcdClient: Sendable {
    let transport: EtcdTransport
    let log: Logger

    /// - Throws: `EtcdError.settings` for files that cannot be used.
    package init(_ settings: EtcdSettings, group: any EventLoopGroup, log: Logger) throws(EtcdError) {
        transport = try EtcdTransport(settings, group: group)
        self.log = log
    }

    /// Ends all connections. Nothing may be asked afterwards.
    package func shutdown() async { await transport.shutdown() }

    /// All keys that begin with `prefix`, with what a majority of the members agrees on.
    ///
    /// - Parameters:
    ///   - keysOnly: leaves out the values.
    ///   - limit: at most so many keys; 0 for all.
    package func get(
        prefix: String, keysOnly: Bool = false, limit: Int64 = 0
    ) async throws(EtcdError) -> EtcdSnapshot {
        let range = EtcdKeyRange(prefix: prefix)
        let answer: RangeAnswer = try await transport.ask(
            "/v3/kv/range",
            RangeRequest(
                key: range.start, rangeEnd: range.end, limit: EtcdInteger(limit), keysOnly: keysOnly ? true : nil))
        return EtcdSnapshot(answer)
    }

    /// One key, if it is there.
    package func get(key: String) async throws(EtcdError) -> EtcdKeyValue? {
        let answer: RangeAnswer = try await transport.ask("/v3/kv/range", RangeRequest(key: Data(key.utf8)))
        return EtcdSnapshot(answer).keyValues.first
    }

    /// Writes a key, which vanishes with the lease.
    package func put(key: String, value: [UInt8], lease: EtcdLease? = nil) async throws(EtcdError) {
        let _: HeaderAnswer = try await transport.ask(
            "/v3/kv/put",
            PutRequest(key: Data(key.utf8), value: Data(value), lease: lease.map { EtcdInteger($0.identity) }))
    }

    /// Writes a key if it has that revision. A request is repeated at the next member when its answer is lost, so a key
    /// that has just this value since a later revision counts as won: it is what was wanted.
    ///
    /// - Parameter revision: the key's `modRevision`; 0 if it must not be there.
    /// - Throws: after `EtcdError.unavailable` the key may or may not have the value.
    package func compareAndSwap(
        key: String, value: [UInt8], expecting revision: Int64
    ) async throws(EtcdError) -> EtcdSwap {
        let name = Data(key.utf8)
        let answer: SwapAnswer = try await transport.ask(
            "/v3/kv/txn",
            SwapRequest(
                compare: [.init(key: name, revision: EtcdInteger(revision))],
                success: [.init(put: PutRequest(key: name, value: Data(value)))],
                failure: [.init(range: RangeRequest(key: name))]))
        if answer.succeeded == true { return .won(revision: answer.header?.revision?.value ?? 0) }
        guard let record = answer.responses?.first?.range?.kvs?.first.map(EtcdKeyValue.init),
            record.value == value, record.modRevision > revision
        else { return .lost }
        return .won(revision: record.modRevision)
    }
}
