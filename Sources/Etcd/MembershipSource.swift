import Cluster
package import Logging

/// Where a process has its memberships from: etcd, and its cache while etcd is down.
///
/// `Membership` is what a text means to the process; texts that it refuses change nothing.
package struct MembershipSource<Membership: Sendable>: Sendable {
    /// A text that was taken, and what it means.
    package struct Held: Sendable {
        package let text: String
        package let membership: Membership
    }

    /// Reads a text in the light of what is known, and throws if it is wrong, or older than that.
    package typealias Reading = @Sendable (_ text: String, _ known: Membership?) throws -> Membership

    private let etcd: EtcdMembership
    private let cache: MembershipCache
    private let log: Logger
    private let reading: Reading

    package init(etcd: EtcdMembership, cache: MembershipCache, log: Logger, reading: @escaping Reading) {
        self.etcd = etcd
        self.cache = cache
        self.log = log
        self.reading = reading
    }

    /// The membership to begin with: etcd's, or else the cache's.
    ///
    /// - Parameter patience: how long a process without a cache waits for etcd, beside one request's own time.
    /// - Throws: what is wrong and what to do, if there is neither.
    package func start(patience: Duration) async throws(MembershipUnknown) -> Held {
        let cached = readCache()
        let answer = await ask(patience: cached == nil ? patience : .zero)
        switch MembershipStart.decide(answer, cached: cached, reading) {
        case .take(let held):
            keep(held.text)
            return held
        case .takeCached(let held, let reason, let isError):
            log.log(
                level: isError ? .error : .warning, "going on with the membership in the cache",
                metadata: ["cache": "\(cache.path)", "reason": "\(reason)"])
            return held
        case .fail(let reason):
            throw MembershipUnknown(key: etcd.key, cache: cache.path, reason: reason)
        }
    }

    /// The memberships that come after `held`. A reader that is slow sees the latest only. Ends when it is dropped.
    package func changes(after held: Held) -> AsyncStream<Held> {
        let (changes, continuation) = AsyncStream.makeStream(of: Held.self, bufferingPolicy: .bufferingNewest(1))
        let following = Task {
            var held = held
            var refused: String?
            for await text in etcd.changes() where text != held.text && text != refused {
                do {
                    held = Held(text: text, membership: try reading(text, held.membership))
                    refused = nil
                    keep(text)
                    continuation.yield(held)
                } catch {
                    refused = text
                    log.error("a membership was refused; the last one stays", metadata: ["error": "\(error)"])
                }
            }
            continuation.finish()
        }
        continuation.onTermination = { _ in following.cancel() }
        return changes
    }

    private func ask(patience: Duration) async -> MembershipStart.Answer {
        let end = ContinuousClock.now + patience
        let backoff = ReconnectBackoff(first: .milliseconds(200), max: .seconds(2))
        var failures = 0
        while true {
            do throws(EtcdMembershipError) {
                return try await etcd.read().map { .text($0.text) } ?? .absent
            } catch .etcd(.unavailable(let reasons)) where ContinuousClock.now < end && !Task.isCancelled {
                failures += 1
                if failures == 1 {
                    log.warning(
                        "waiting for etcd", metadata: ["reason": "\(reasons.joined(separator: "; "))"])
                }
                try? await Task.sleep(for: backoff.delay(failures: failures, random: .random(in: 0...UInt64.max)))
            } catch {
                return .failed("\(error)")
            }
        }
    }

    private func readCache() -> Held? {
        do {
            guard let text = try cache.load() else { return nil }
            return Held(text: text, membership: try reading(text, nil))
        } catch {
            log.error(
                "the cache of the membership is of no use", metadata: ["cache": "\(cache.path)", "error": "\(error)"])
            return nil
        }
    }

    private func keep(_ text: String) {
        do throws(MembershipCacheError) {
            // One that cannot be read gives way.
            if (try? cache.load()) != text { try cache.store(text) }
        } catch {
            log.error(
                "the membership is not in the cache, so that the process does not start while etcd is down",
                metadata: ["cache": "\(cache.path)", "error": "\(error)"])
        }
    }
}

/// What a process begins with, from what etcd said and what the cache has.
enum MembershipStart {
    enum Answer: Equatable {
        case text(String)
        case absent
        case failed(String)
    }

    enum Choice<Membership: Sendable> {
        case take(MembershipSource<Membership>.Held)
        /// `isError`: somebody has to do something about etcd.
        case takeCached(MembershipSource<Membership>.Held, reason: String, isError: Bool)
        case fail(MembershipUnknown.Reason)
    }

    static func decide<Membership>(
        _ answer: Answer, cached: MembershipSource<Membership>.Held?, _ reading: MembershipSource<Membership>.Reading
    ) -> Choice<Membership> {
        switch answer {
        case .text(let text):
            do {
                return .take(.init(text: text, membership: try reading(text, cached?.membership)))
            } catch {
                guard let cached else { return .fail(.refused("\(error)")) }
                return .takeCached(cached, reason: "etcd's was refused: \(error)", isError: true)
            }
        case .absent:
            guard let cached else { return .fail(.absent) }
            return .takeCached(cached, reason: "etcd has none: was it emptied?", isError: true)
        case .failed(let reason):
            guard let cached else { return .fail(.unavailable(reason)) }
            return .takeCached(cached, reason: reason, isError: false)
        }
    }
}

/// Why a process has no membership to begin with, and what to do.
package struct MembershipUnknown: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Reason: Sendable, Equatable {
        case refused(String)
        case absent
        case unavailable(String)
    }

    package let key: String
    package let cache: String
    package let reason: Reason

    package var description: String {
        switch reason {
        case .refused(let why): "the membership in etcd under \(key) cannot be used: \(why)"
        case .absent:
            "etcd has no membership under \(key): 'hauberk membership init' puts the one of the configuration file there"
        case .unavailable(let why):
            "\(why)\nand there is no membership in \(cache) yet: bring etcd back, or copy the file from a process that has one"
        }
    }
}
