/// XXH64 with seed 0: the hash that decides a mailbox's partition and stands in file names as their checksum, written out
/// because it may never change.
///
/// An operator can check it with any tool that knows it: `printf %s alice@example.test | xxhsum -H64`. It is not keyed:
/// whoever may choose mailbox names may choose their partition, which costs that person's own mailboxes only.
package enum StableHash {
    /// The hash of the bytes. Reads nothing outside of them, and allocates nothing.
    package static func xxh64(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var offset = 0
        let start = bytes.count >= 32 ? wideBlocks(bytes, &offset) : prime5
        return finished(start &+ UInt64(bytes.count), bytes, from: offset)
    }

    /// Takes in the last bytes, fewer than 32.
    static func finished(_ start: UInt64, _ bytes: UnsafeRawBufferPointer, from first: Int) -> UInt64 {
        var (hash, offset) = (start, first)
        while offset &+ 8 <= bytes.count {
            hash = rotated(hash ^ round(0, word(bytes, offset)), 27) &* prime1 &+ prime4
            offset &+= 8
        }
        if offset &+ 4 <= bytes.count {
            let half = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            hash = rotated(hash ^ (UInt64(half) &* prime1), 23) &* prime2 &+ prime3
            offset &+= 4
        }
        while offset < bytes.count {
            hash = rotated(hash ^ (UInt64(bytes[offset]) &* prime5), 11) &* prime1
            offset &+= 1
        }
        return avalanche(hash)
    }

    /// The hash of the text's UTF-8 bytes.
    package static func xxh64(_ text: String) -> UInt64 {
        var text = text
        return text.withUTF8 { xxh64(UnsafeRawBufferPointer($0)) }
    }

    /// Mixes a node's hash and a partition to a number that looks random: how much that node wants that partition.
    static func affinity(node: UInt64, partition: Int) -> UInt64 {
        avalanche(node ^ (UInt64(truncatingIfNeeded: partition) &+ 1) &* prime1)
    }

    static let prime1: UInt64 = 0x9E37_79B1_85EB_CA87
    static let prime2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
    static let prime3: UInt64 = 0x1656_67B1_9E37_79F9
    static let prime4: UInt64 = 0x85EB_CA77_C2B2_AE63
    static let prime5: UInt64 = 0x27D4_EB2F_1656_67C5

    private static func wideBlocks(_ bytes: UnsafeRawBufferPointer, _ offset: inout Int) -> UInt64 {
        var lanes = Lanes()
        offset = lanes.take(bytes, from: 0)
        return lanes.joined
    }

    /// The state behind whole blocks of 32 bytes.
    struct Lanes: Sendable {
        private var first = prime1 &+ prime2
        private var second = prime2
        private var third: UInt64 = 0
        private var fourth = 0 &- prime1

        /// Takes in all whole blocks from `start` on, and returns where they end.
        mutating func take(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
            var offset = start
            while offset &+ 32 <= bytes.count {
                first = round(first, word(bytes, offset))
                second = round(second, word(bytes, offset &+ 8))
                third = round(third, word(bytes, offset &+ 16))
                fourth = round(fourth, word(bytes, offset &+ 24))
                offset &+= 32
            }
            return offset
        }

        var joined: UInt64 {
            var hash = rotated(first, 1) &+ rotated(second, 7) &+ rotated(third, 12) &+ rotated(fourth, 18)
            hash = (hash ^ round(0, first)) &* prime1 &+ prime4
            hash = (hash ^ round(0, second)) &* prime1 &+ prime4
            hash = (hash ^ round(0, third)) &* prime1 &+ prime4
            return (hash ^ round(0, fourth)) &* prime1 &+ prime4
        }
    }

    static func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    static func round(_ lane: UInt64, _ input: UInt64) -> UInt64 {
        rotated(lane &+ input &* prime2, 31) &* prime1
    }

    static func rotated(_ value: UInt64, _ bits: UInt64) -> UInt64 {
        value &<< bits | value &>> (64 &- bits)
    }

    /// Turns each number into another one that looks random.
    package static func avalanche(_ value: UInt64) -> UInt64 {
        var hash = value
        hash ^= hash &>> 33
        hash = hash &* prime2
        hash ^= hash &>> 29
        hash = hash &* prime3
        return hash ^ hash &>> 32
    }
}
