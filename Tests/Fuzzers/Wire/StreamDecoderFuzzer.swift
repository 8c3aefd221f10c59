@testable import Wire

/// Frames of a shared connection from any bytes: in whatever pieces they come, the same streams get the same bytes in the
/// same order as a plain reading of the whole gives, and nothing beyond the unread bytes is ever taken.
func fuzzStreamDecoder(_ input: UnsafeRawBufferPointer) {
    guard input.count > 2 else { return }
    let frames = UnsafeRawBufferPointer(rebasing: input.dropFirst(2))
    let expected = plainReading(frames)
    let told = told(frames, step: Int(input[0]) % 23 + 1, more: Int(input[1]) % 7)
    precondition(told == expected, "told \(told) instead of \(expected)")
}

/// The events as text: data a byte each.
private func told(_ frames: UnsafeRawBufferPointer, step: Int, more: Int) -> [String] {
    var decoder = StreamDecoder()
    var events: [String] = []
    var taken = 0
    var given = 0
    while true {
        let unread = UnsafeRawBufferPointer(rebasing: frames[taken..<given])
        let (consumed, event) = decoder.next(unread)
        precondition(consumed >= 0 && consumed <= unread.count, "consumed \(consumed) of \(unread.count)")
        taken += consumed
        switch event {
        case .needBytes:
            if given == frames.count { return events }
            given = min(frames.count, given + step + given % (more + 1))
        case .data(let stream, let count):
            precondition(count > 0 && count <= given - taken, "\(count) octets of data in \(given - taken)")
            events += frames[taken..<taken + count].map { "\(stream):\($0)" }
            taken += count
        case .note(let stream, let count, let left):
            precondition(count > 0 && count <= given - taken, "\(count) octets of a note in \(given - taken)")
            events += frames[taken..<taken + count].map { "\(stream)!\($0)" }
            if left == 0 { events.append("noted(\(stream))") }
            taken += count
        case .violation:
            events.append("violation")
            return events
        default:
            events.append("\(event)")
        }
    }
}

private func plainReading(_ frames: UnsafeRawBufferPointer) -> [String] {
    var events: [String] = []
    var at = 0
    while frames.count - at >= 8 {
        let count = Int(frames[at + 1]) << 16 | Int(frames[at + 2]) << 8 | Int(frames[at + 3])
        let stream = frames[at + 4..<at + 8].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let kind = frames[at]
        at += 8
        switch (kind, count) {
        case (1, _): events.append("open(\(stream))")
        case (2, 1...):
            let end = min(frames.count, at + count)
            events += frames[at..<end].map { "\(stream):\($0)" }
            at = end
        case (6, 1...StreamFrame.noteBytesMax):
            let end = min(frames.count, at + count)
            events += frames[at..<end].map { "\(stream)!\($0)" }
            if end == at + count { events.append("noted(\(stream))") }
            at = end
        case (3, 1...): events.append("credit(\(stream), count: \(count))")
        case (4, _): events.append("end(\(stream))")
        case (5, _): events.append("close(\(stream))")
        default: return events + ["violation"]
        }
    }
    return events
}
