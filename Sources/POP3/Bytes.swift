#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

let space = UInt8(ascii: " ")
let carriageReturn = UInt8(ascii: "\r")
let lineFeed = UInt8(ascii: "\n")
let dot = UInt8(ascii: ".")

extension UnsafeRawBufferPointer {
    /// The first place of `byte` at or behind `start`, found by memchr.
    func firstIndex(of byte: UInt8, from start: Int) -> Int? {
        guard start < count, let base = baseAddress else { return nil }
        return memchr(base + start, Int32(byte), count - start).map { UnsafeRawPointer($0) - base }
    }

    /// Whether it starts with `keyword` (upper case) in any case, and a space.
    func startsWithKeyword(_ keyword: StaticString) -> Bool {
        let length = keyword.utf8CodeUnitCount
        guard count > length, self[length] == space else { return false }
        return keyword.withUTF8Buffer { letters in
            letters.indices.allSatisfy { letters[$0] == self[$0] & 0xDF }
        }
    }
}
