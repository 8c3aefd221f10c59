import Cluster
import Mail
import Testing

/// These numbers decide where mail lies: a change of any of them loses every mailbox.
@Suite("Stable hash")
struct StableHashTests {
    @Test("XXH64 of the specification's own examples, and of lengths on each side of every block")
    func published() {
        #expect(StableHash.xxh64("") == 0xEF46_DB37_51D8_E999)
        #expect(StableHash.xxh64("a") == 0xD24E_C4F1_A98C_6E5B)
        #expect(StableHash.xxh64("abc") == 0x44BC_2CF5_AD77_0999)
        #expect(StableHash.xxh64("Nobody inspects the spammish repetition") == 0xFBCE_A83C_8A37_8BF1)
        #expect(StableHash.xxh64("xxhash") == 0x32DD_3895_2C4B_C720)
    }

    @Test("Bytes that come in pieces have the same hash as all at once, however they are cut")
    func pieces() {
        let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ $0 >> 3) }
        for count in [0, 1, 3, 4, 7, 8, 31, 32, 33, 63, 64, 65, 96, 100, 300] {
            let whole = bytes[..<count].withUnsafeBytes(StableHash.xxh64)
            for size in [1, 2, 5, 16, 31, 32, 33, 64, 299, 300] {
                var running = RunningStableHash()
                for start in stride(from: 0, to: count, by: size) {
                    bytes[start..<min(count, start + size)].withUnsafeBytes { running.update($0) }
                    [UInt8]().withUnsafeBytes { running.update($0) }
                }
                #expect(running.value == whole, "\(count) bytes in pieces of \(size)")
            }
        }
    }

    @Test("A mailbox is hashed as its name in text, whatever the lengths of its parts")
    func mailboxes() throws {
        for name in ["a@b.test", "alice@example.test", String(repeating: "long", count: 40) + "@example.test"] {
            let mailbox = try #require(MailboxName(name))
            #expect(Ring.hash(of: mailbox) == StableHash.xxh64(name))
        }
    }

    @Test("Partitions of known mailboxes never change")
    func partitions() throws {
        let ring = Ring(members: [RingMember(name: "store-1")], partitions: 4096, replicas: 1)
        let alice = try #require(MailboxName("alice@example.test"))
        let bob = try #require(MailboxName("bob@example.test"))
        #expect(Ring.hash(of: alice) == 0x70C2_6CF5_0E7B_E1B0)
        #expect(Ring.hash(of: bob) == 0xDD4F_8B0B_DB34_5CC8)
        #expect(ring.partition(of: alice) == 432)
        #expect(ring.partition(of: bob) == 3272)
    }
}
