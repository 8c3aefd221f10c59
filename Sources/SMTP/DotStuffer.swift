/// Makes a message ready for DATA, piece by piece (RFC 5321 §4.5.2): a dot at the start of a line is doubled.
package struct DotStuffer: Sendable {
    private enum State {
        case lineStart, text, textCR
    }

    private var state = State.lineStart

    package init() {}

    /// Appends the next piece of the message.
    package mutating func encode(_ bytes: UnsafeRawBufferPointer, into output: inout [UInt8]) {
        var at = 0
        while at < bytes.count {
            if state == .lineStart, bytes[at] == ASCII.dot { output.append(ASCII.dot) }
            if state == .textCR, bytes[at] == ASCII.lf {
                output.append(ASCII.lf)
                at += 1
                state = .lineStart
                continue
            }
            let end = endOfRun(bytes, from: at)
            output.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[at..<end]))
            at = end
        }
    }

    /// Where what needs no dot ends: many lines at a time, where they are plain; else with the next CR, or all.
    private mutating func endOfRun(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        let end = bytes.endOfCleanBlocks(from: start, to: bytes.count)
        guard end == start else {
            switch bytes[end - 1] {
            case ASCII.cr: state = .textCR
            case ASCII.lf: state = .lineStart
            default: state = .text
            }
            return end
        }
        let cr = bytes.position(of: ASCII.cr, from: start, to: bytes.count)
        state = cr == nil ? .text : .textCR
        return cr.map { $0 + 1 } ?? bytes.count
    }

    /// Appends the end of the message: the line of a single dot, and before it a CRLF if the message lacks its last.
    package mutating func finish(into output: inout [UInt8]) {
        if state != .lineStart { output.append(contentsOf: [ASCII.cr, ASCII.lf]) }
        output.append(contentsOf: [ASCII.dot, ASCII.cr, ASCII.lf])
        state = .lineStart
    }
}
