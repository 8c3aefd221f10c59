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
            let cr = bytes.position(of: ASCII.cr, from: at, to: bytes.count)
            let end = cr.map { $0 + 1 } ?? bytes.count
            output.append(contentsOf: bytes[at..<end])
            state = cr == nil ? .text : .textCR
            at = end
        }
    }

    /// Appends the end of the message: the line of a single dot, and before it a CRLF if the message lacks its last.
    package mutating func finish(into output: inout [UInt8]) {
        if state != .lineStart { output.append(contentsOf: [ASCII.cr, ASCII.lf]) }
        output.append(contentsOf: [ASCII.dot, ASCII.cr, ASCII.lf])
        state = .lineStart
    }
}
