import Cluster
import Digests
import Glibc
import Mail
import SASL
import Synchronization

/// The clock of the machine, as the pure parts are told it.
struct SystemClock: Sendable {
    /// Since 1970, in UTC.
    func now() -> (seconds: Int64, micros: Int32) {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return (Int64(time.tv_sec), Int32(time.tv_nsec / 1000))
    }

    func seconds() -> Int64 { now().seconds }

    /// Since the machine started: for what must not jump.
    func monotonic() -> Duration {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}

/// Mints the names that a frontend gives: of messages, of connections in the log, and nonces for logins.
final class Identifiers: Sendable {
    private let origin: String
    private let process = getpid()
    private let messages = Atomic<UInt64>(0)
    /// Names differ by more than time and process where a clock was set back.
    private let seed = UInt64.random(in: 0 ... .max)
    private let connections = Atomic<UInt64>(0)
    private let clock: SystemClock

    init(origin: String, clock: SystemClock) {
        self.origin = origin
        self.clock = clock
    }

    /// The world-wide name of a new message.
    func message() -> MessageIdentity {
        let (seconds, micros) = clock.now()
        let counter = messages.add(1, ordering: .relaxed).newValue
        return MessageIdentity(
            seconds: seconds, micros: micros, process: process, counter: counter,
            random: UInt32(truncatingIfNeeded: StableHash.avalanche(seed &+ counter)), origin: origin)
    }

    /// What a connection is called in the log; it never comes twice from this process.
    func connection() -> String {
        "\(origin)-\(process)-\(connections.add(1, ordering: .relaxed).newValue)"
    }

    /// 24 random characters that nobody can foresee (RFC 5802 §5.1, RFC 1939 §7).
    func nonce() -> String {
        Base64.encode(SecureRandom.bytes(18))
    }

    /// The same for a new connection's SCRAM, if that is offered there.
    func nonce(for mechanisms: [SASLMechanism]) -> String { mechanisms.contains(.scramSHA256) ? nonce() : "" }

    /// What a new connection needs for CRAM-MD5, if that is offered there.
    func challenges(for mechanisms: [SASLMechanism], hostname: String) -> CRAMMD5.Challenges? {
        guard mechanisms.contains(.cramMD5) else { return nil }
        return CRAMMD5.Challenges(seed: SecureRandom.bytes(16), seconds: clock.seconds(), hostname: hostname)
    }
}
