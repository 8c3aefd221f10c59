import FileTimes
import Glibc
import Mail
import Synchronization

/// Names for temporary files and tombstones that no other thread, process or host makes.
///
/// Two processes may serve one exported directory, in containers even with equal host names and process numbers; so
/// each store adds 64 random bits of its own.
final class UniqueNames: Sendable {
    private let suffix: String
    private let host: String
    private let process: Int32
    private let counter = Atomic<UInt64>(0)

    init() {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        let bytes = name.prefix { $0 != 0 }.prefix(40).map { UInt8(bitPattern: $0) }
        host = String(
            decoding: bytes.map { byte in
                let fits = (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                return fits || byte == UInt8(ascii: "-") ? byte : UInt8(ascii: "_")
            }, as: UTF8.self)
        process = getpid()
        let random = UInt64.random(in: .min ... .max)
        suffix = ".P\(process)R\(String(random, radix: 16)).\(host)"
    }

    func temporary(for identity: MessageIdentity) -> String { temporary(for: identity.text) }

    /// At most 70 + 21 + 30 + 41 bytes, so it fits a file name.
    func temporary(for name: String) -> String { "\(name).Q\(next())\(suffix)" }

    /// A name of the form of a message's, with the time now in front, for a tombstone file.
    func tombstone() -> MessageIdentity {
        let now = FileTime.now()
        return MessageIdentity(
            seconds: now.seconds, micros: Int32(now.nanoseconds / 1000), process: process, counter: next(),
            random: UInt32.random(in: .min ... .max), origin: host)
    }

    private func next() -> UInt64 { counter.wrappingAdd(1, ordering: .relaxed).newValue }
}
