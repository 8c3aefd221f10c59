@testable import Etcd

/// A watch's stream of anything: no answer ends the process, its events are told in order and once, and the place to go
/// on from never goes back.
func fuzzEtcdAnswers(_ input: UnsafeRawBufferPointer) {
    guard let first = input.first else { return }
    let bytes = Array(input.dropFirst())
    let pieceMax = 1 + Int(first) % 64
    var lines = LineAssembler(lineBytesMax: 1_024)
    var position = EtcdWatchPosition(after: 3, clusterID: "1")
    for start in stride(from: 0, to: bytes.count, by: pieceMax) {
        lines.append(bytes[start..<min(bytes.count, start + pieceMax)])
        while true {
            let line: [UInt8]?
            do { line = try lines.next() } catch { return }
            guard let line else { break }
            precondition(line.count <= 1_024 && !line.contains(0x0A), "a line of \(line.count) octets")
            _ = EtcdVerdict<RangeAnswer>(status: 200, body: line)
            _ = EtcdVerdict<SwapAnswer>(status: 404, body: line)
            guard case .answered(let answer) = EtcdVerdict<WatchAnswer>(status: 200, line: line) else { continue }
            let before = position.next
            if case .events(let events) = position.receive(answer) {
                precondition(events.allSatisfy { $0.revision >= before }, "an event from before \(before)")
            }
            precondition(position.next >= before, "from \(before) back to \(position.next)")
        }
    }
}
