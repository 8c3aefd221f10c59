package import Logging

/// The cluster's membership as etcd keeps it: one text under `<prefix>/membership`, and a key with a lease under
/// `<prefix>/alive/` for each process that is up.
package struct EtcdMembership: Sendable {
    /// A membership of a thousand nodes is about 200 KiB, and etcd itself takes at most 1.5 MiB.
    package static let textBytesMax = 1 << 20
    static let namesMax = 10_000

    /// The text, and the revision that a change of it must name.
    package struct Version: Sendable, Equatable {
        package let text: String
        package let revision: Int64
    }

    /// `/hauberk/<cluster name>`
    package let prefix: String
    let client: EtcdClient
    let log: Logger

    package init(client: EtcdClient, prefix: String, log: Logger) {
        self.client = client
        self.prefix = prefix
        self.log = log
    }

    /// Where the text is.
    package var key: String { "\(prefix)/membership" }

    var alivePrefix: String { "\(prefix)/alive/" }

    /// The membership; nil if none was put there yet.
    package func read() async throws(EtcdMembershipError) -> Version? {
        let found: EtcdKeyValue?
        do throws(EtcdError) {
            found = try await client.get(key: key)
        } catch {
            throw .etcd(error)
        }
        guard let found else { return nil }
        return Version(text: try Self.text(found.value), revision: found.modRevision)
    }

    /// Puts another text in the place of the one with that revision; 0 if there must be none.
    ///
    /// - Throws: after `EtcdError.unavailable` the text may or may not have been taken: read it before the next attempt.
    package func replace(_ text: String, expecting revision: Int64) async throws(EtcdError) -> EtcdSwap {
        guard text.utf8.count <= Self.textBytesMax else {
            throw .refused(code: 3, message: "a membership of more than \(Self.textBytesMax) octets")
        }
        return try await client.compareAndSwap(key: key, value: Array(text.utf8), expecting: revision)
    }

    /// The membership's texts, the present one first; each reader sees at least the latest. Ends when it is dropped.
    package func changes() -> AsyncStream<String> {
        let (texts, continuation) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .bufferingNewest(1))
        let watching = Task {
            // The prefix is a whole key here; what else begins with it is not ours.
            for await element in client.watch(prefix: key) {
                switch element {
                case .snapshot(let snapshot):
                    tell(snapshot.keyValues.first { $0.key == key }?.value, continuation)
                case .events(let events):
                    if let last = events.last(where: { $0.key == key }) { tell(last.value, continuation) }
                }
            }
            continuation.finish()
        }
        continuation.onTermination = { _ in watching.cancel() }
        return texts
    }

    private func tell(_ value: [UInt8]?, _ continuation: AsyncStream<String>.Continuation) {
        guard let value else {
            return log.error("etcd has no membership; the last one stays", metadata: ["key": "\(key)"])
        }
        do {
            continuation.yield(try Self.text(value))
        } catch {
            log.error("a membership was refused", metadata: ["key": "\(key)", "error": "\(error)"])
        }
    }

    /// The processes that have registered and whose lease is not over.
    package func alive() async throws(EtcdError) -> [String] {
        let found = try await client.get(prefix: alivePrefix, keysOnly: true, limit: Int64(Self.namesMax))
        return found.keyValues.map { String($0.key.dropFirst(alivePrefix.count)) }.filter(Self.isName).sorted()
    }

    private static func text(_ value: [UInt8]) throws(EtcdMembershipError) -> String {
        guard value.count <= textBytesMax else { throw .tooLarge(octets: value.count) }
        guard let text = String(validating: value, as: UTF8.self) else { throw .notUTF8 }
        return text
    }

    /// Names of processes are 1 to 32 of these octets: what is not one was put there by somebody else.
    private static func isName(_ text: String) -> Bool {
        (1...32).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                    true
                default: false
                }
            }
    }
}

/// Why there is no text of a membership.
package enum EtcdMembershipError: Error, Sendable, Equatable, CustomStringConvertible {
    case etcd(EtcdError)
    case tooLarge(octets: Int)
    case notUTF8

    package var description: String {
        switch self {
        case .etcd(let error): "\(error)"
        case .tooLarge(let octets): "\(octets) octets are more than \(EtcdMembership.textBytesMax)"
        case .notUTF8: "it is not UTF-8"
        }
    }
}
