import NIOCore
import Testing

@testable import Wire

@Suite("How much a socket is asked for")
struct ReadSizeTests {
    private let allocator = ByteBufferAllocator()

    private func sizes(after reads: [Int]) -> [Int] {
        var size = ReadSize()
        return reads.map { count in
            _ = size.record(actualReadBytes: count)
            return size.buffer(allocator: allocator).capacity
        }
    }

    @Test("grows with what a read brings, and is never less again than a usual message")
    func growing() {
        #expect(ReadSize().buffer(allocator: allocator).capacity == 2048)
        #expect(sizes(after: [100, 90, 2048, 2056, 100, 100, 4104]) == [2048, 2048, 8192, 8192, 8192, 8192, 8192])
        #expect(
            sizes(after: [2048, 8192, 65536, 100, 65536, 100, 100]) == [8192, 65536, 65536, 65536, 65536, 65536, 8192])
    }

    @Test("A large buffer is not kept for the next read")
    func keeping() {
        var size = ReadSize()
        let said = [2048, 8192, 10, 10].map { count in
            let keptCannotDo = size.record(actualReadBytes: count)
            return (keptCannotDo, size.nextBufferSize())
        }
        #expect(ReadSize().nextBufferSize() == 2048)
        #expect(said.map(\.0) == [false, true, true, false])
        #expect(said.map(\.1) == [8192, nil, nil, 8192])
    }
}
