import Digests
import Synchronization

/// Which passwords were right a moment ago, so that a client that polls does not cost a key derivation each time.
///
/// It holds no password: a key is an HMAC, by a key that only this process has, of user, password and the stored hash.
/// The hash being part of it, a changed password takes effect at once.
final class PasswordCache: Sendable {
    private let lifetime: Duration
    private let processKey = SecureRandom.bytes(32)
    private let entries: Mutex<RecentEntries<[UInt8], ContinuousClock.Instant>>

    init(lifetime: Duration, entriesMax: Int) {
        self.lifetime = lifetime
        entries = Mutex(RecentEntries(entriesMax: lifetime > .zero ? entriesMax : 0))
    }

    func key(user: String, password: String, hash: String) -> [UInt8] {
        HMACSHA256.authenticate(key: processKey, message: Array("\(user)\0\(password)\0\(hash)".utf8))
    }

    func holds(_ key: [UInt8]) -> Bool {
        entries.withLock { ($0.value(for: key).map { $0 > .now }) ?? false }
    }

    func insert(_ key: [UInt8]) {
        let expires = ContinuousClock.now + lifetime
        entries.withLock { $0.insert(expires, for: key) }
    }
}
