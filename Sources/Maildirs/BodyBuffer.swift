import Glibc

/// Bytes of a message as they lie on disk, growing at the end; constant while the workers have it.
///
/// Unchecked: one thread fills it, and nobody does while another one reads or empties it.
final class BodyBuffer: @unchecked Sendable {
    private var base: UnsafeMutableRawPointer
    private var capacity: Int
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = max(64, capacity)
        base = UnsafeMutableRawPointer.allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit { base.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    /// Makes room for `room` bytes, lets `fill` write up to that many, and keeps as many as it says.
    func append(room: Int, _ fill: (UnsafeMutableRawPointer) -> Int) {
        if count + room > capacity { grow(to: count + room) }
        count += fill(base + count)
    }

    /// Keeps the room.
    func removeAll() { count = 0 }

    private func grow(to needed: Int) {
        capacity = max(needed, capacity * 2)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        larger.copyMemory(from: base, byteCount: count)
        base.deallocate()
        base = larger
    }
}
