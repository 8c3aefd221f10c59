import Cluster
import Logging

/// What a watch tells.
package enum EtcdWatchElement: Sendable, Equatable {
    case events([EtcdEvent])
    /// All keys as they are now: the events before are not told, because etcd has forgotten them.
    case snapshot(EtcdSnapshot)
}

/// Changes of all keys with some prefix, in order and without a gap, whatever becomes of connections and members. It
/// ends when its task is cancelled, and holds nothing that was not asked for.
package struct EtcdWatch: AsyncSequence, Sendable {
    package typealias Element = EtcdWatchElement
    package typealias Failure = Never

    let client: EtcdClient
    let prefix: String
    /// The first revision to tell of; nil to begin with a snapshot.
    let revision: Int64?

    package func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(
            client: client, prefix: prefix, position: revision.map { EtcdWatchPosition(after: Swift.max(0, $0 - 1)) })
    }

    package struct AsyncIterator: AsyncIteratorProtocol {
        private let client: EtcdClient
        private let prefix: String
        private var position: EtcdWatchPosition?
        private var stream: EtcdStream<WatchAnswer>?
        private var opened: ContinuousClock.Instant?
        private var failures = 0
        private var isBroken = false
        private let backoff = ReconnectBackoff(first: .milliseconds(100), max: .seconds(5))

        fileprivate init(client: EtcdClient, prefix: String, position: EtcdWatchPosition?) {
            self.client = client
            self.prefix = prefix
            self.position = position
        }

        package mutating func next() async -> EtcdWatchElement? {
            while !Task.isCancelled {
                do {
                    if let element = try await step() { return element }
                } catch {
                    await pause(after: error)
                }
            }
            return nil
        }

        /// One answer at most; nil if it has nothing to tell.
        private mutating func step() async throws -> EtcdWatchElement? {
            guard var position else {
                let snapshot = try await client.get(prefix: prefix)
                position = EtcdWatchPosition(after: snapshot.revision, clusterID: snapshot.clusterID)
                return .snapshot(snapshot)
            }
            guard let verdict = try await receive(from: position.next) else { throw WatchBroken(reason: "it ended") }
            let answer: WatchAnswer
            switch verdict {
            case .answered(let value): answer = value
            case .refused(let error): throw error
            case .elsewhere(let reason), .notNow(let reason): throw WatchBroken(reason: reason)
            }
            let step = position.receive(answer)
            self.position = position
            switch step {
            case .nothing:
                recovered()
                return nil
            case .events(let events):
                recovered()
                return .events(events)
            case .ended(let reason): throw WatchBroken(reason: reason, mayNeedLogin: true)
            case .reread:
                self.position = nil
                throw WatchBroken(reason: "etcd has no events from there on")
            }
        }

        private mutating func receive(from revision: Int64) async throws -> EtcdVerdict<WatchAnswer>? {
            if stream == nil {
                stream = try await client.openWatch(prefix: prefix, from: revision)
                opened = .now
            }
            do {
                return try await stream?.next()
            } catch is LineAssembler.LineTooLong {
                // More at once than we take: the keys themselves are less than all of their changes.
                position = nil
                throw WatchBroken(reason: "too many events")
            }
        }

        private mutating func recovered() {
            if isBroken { client.log.notice("the watch of etcd goes on", metadata: ["prefix": "\(prefix)"]) }
            isBroken = false
        }

        private static func mayNeedLogin(_ error: any Error) -> Bool {
            (error as? EtcdError)?.asksForLogin ?? (error as? WatchBroken)?.mayNeedLogin ?? false
        }

        /// A silence is no failure: the watch is asked for again at once, from another member.
        private mutating func pause(after error: any Error) async {
            if let stream { client.transport.leave(stream.endpoint) }
            stream = nil
            // A member that only greets us is no better than one that is away.
            if let opened, opened.duration(to: .now) >= backoff.max { failures = 0 }
            opened = nil
            if Task.isCancelled || EtcdTransport.isSilence(error) { return }
            if Self.mayNeedLogin(error) { try? await client.transport.logIn() }
            failures += 1
            if !isBroken {
                isBroken = true
                client.log.warning(
                    "the watch of etcd broke and is asked for again",
                    metadata: ["prefix": "\(prefix)", "reason": "\(EtcdTransport.reason(error))"])
            }
            try? await Task.sleep(for: backoff.delay(failures: failures, random: .random(in: 0...UInt64.max)))
        }
    }
}

/// Why a watch has to be asked for again.
struct WatchBroken: Error, CustomStringConvertible {
    let reason: String
    /// A watch with an unknown token is ended as one that is not permitted.
    var mayNeedLogin = false

    var description: String { reason }
}

extension EtcdClient {
    /// - Parameter revision: the first one to tell of; nil to begin with all keys as they are.
    package func watch(prefix: String, from revision: Int64? = nil) -> EtcdWatch {
        EtcdWatch(client: self, prefix: prefix, revision: revision)
    }

    func openWatch(prefix: String, from revision: Int64) async throws -> EtcdStream<WatchAnswer> {
        let range = EtcdKeyRange(prefix: prefix)
        return try await transport.open(
            "/v3/watch",
            WatchRequest(
                create: .init(key: range.start, rangeEnd: range.end, startRevision: EtcdInteger(revision))))
    }
}
