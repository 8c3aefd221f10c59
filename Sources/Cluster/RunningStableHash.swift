/// XXH64 (see `StableHash`) of bytes that come in pieces: the same as of all of them at once, however they are cut.
package struct RunningStableHash: Sendable {
    private var lanes = StableHash.Lanes()
    private var count = 0
    /// The bytes behind the last whole block, at the beginning of one block's room.
    private var rest = (UInt64(0), UInt64(0), UInt64(0), UInt64(0))

    private static let blockBytes = 32

    package init() {}

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        var start = 0
        let held = count % Self.blockBytes
        count += bytes.count
        if held > 0 {
            start = min(Self.blockBytes - held, bytes.count)
            let isWhole = held + start == Self.blockBytes
            withUnsafeMutableBytes(of: &rest) { room in
                room[held...].copyBytes(from: bytes[..<start])
                if isWhole { _ = lanes.take(UnsafeRawBufferPointer(room), from: 0) }
            }
            guard isWhole else { return }
        }
        let end = lanes.take(bytes, from: start)
        if end < bytes.count { withUnsafeMutableBytes(of: &rest) { $0.copyBytes(from: bytes[end...]) } }
    }

    /// The hash of all that came so far.
    package var value: UInt64 {
        let start = count >= Self.blockBytes ? lanes.joined : StableHash.prime5
        return withUnsafeBytes(of: rest) { room in
            let left = UnsafeRawBufferPointer(rebasing: room[..<(count % Self.blockBytes)])
            return StableHash.finished(start &+ UInt64(count), left, from: 0)
        }
    }
}
