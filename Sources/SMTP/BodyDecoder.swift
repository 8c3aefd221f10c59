/// Takes a message's bytes off the wire as they come (RFC 5321 §4.5.2, RFC 3030 §2): finds its end, takes the stuffed
/// dots away, and notices what no message may hold. Never keeps a byte back.
///
/// Only CRLF ends a line, and only CRLF.CRLF ends DATA. After a fault the bytes are only watched for the end.
package struct BodyDecoder: Sendable {
    /// How the end of the message is told.
    package enum Framing: Sendable {
        /// DATA: by a dot on a line of its own.
        case dots
        /// BDAT: from outside, by counting.
        case chunks
        /// BDAT of anything: every byte is text, and there are no faults.
        case bytes
    }

    /// Why the message cannot be taken.
    package enum Fault: Sendable, Equatable {
        /// A CR without LF, or an LF without CR.
        case bareLineEnd
        case lineTooLong
    }

    /// What one call found. Call again with what was not consumed, until all is consumed or the end has come.
    package struct Found: Equatable {
        /// The next bytes of the message, as offsets into what was given; may be empty.
        package var text: Range<Int>
        package var consumed: Int
        /// Whether the terminating dot line was the last thing consumed.
        package var ended: Bool
    }

    private enum State {
        case lineStart, dot, dotCR, text, textCR
    }

    package private(set) var fault: Fault?
    private var state = State.lineStart
    private var lineBytes = 0
    private let framing: Framing
    private let lineBytesMax: Int

    package init(framing: Framing, lineBytesMax: Int) {
        self.framing = framing
        self.lineBytesMax = lineBytesMax
    }

    /// Whether what came so far ends in the middle of a line.
    package var endsInsideLine: Bool { state != .lineStart }

    /// Tells that no more chunks come: a CR that still waits for its LF is a fault.
    package mutating func endOfChunks() {
        if state == .textCR { note(.bareLineEnd) }
    }

    /// Finds the longest run of message text at the head of `bytes`.
    package mutating func decode(_ bytes: UnsafeRawBufferPointer) -> Found {
        if framing == .bytes { return Found(text: 0..<bytes.count, consumed: bytes.count, ended: false) }
        var at = 0
        var start = 0
        while at < bytes.count {
            let hadFault = fault != nil
            switch state {
            case .lineStart where framing == .dots && bytes[at] == ASCII.dot:
                if at > start { return Found(text: run(start, at), consumed: at, ended: false) }
                state = .dot
                at += 1
                start = at
            case .lineStart:
                let clean = takeCleanLines(bytes, from: at)
                if clean == at { state = .text }
                at = clean
            case .dot where bytes[at] == ASCII.cr:
                state = .dotCR
                at += 1
                start = at
            case .dot:
                state = .text
            case .dotCR where bytes[at] == ASCII.lf:
                state = .lineStart
                return Found(text: at..<at, consumed: at + 1, ended: true)
            case .textCR where bytes[at] == ASCII.lf:
                endLine()
                at += 1
            case .dotCR, .textCR:
                note(.bareLineEnd)
                state = .text
            case .text:
                at = takeLine(bytes, from: at)
            }
            if !hadFault, fault != nil { return Found(text: at..<at, consumed: at, ended: false) }
        }
        return Found(text: run(start, at), consumed: at, ended: false)
    }

    /// Takes what can be told at a glance to be lines without fault or dots: many bytes at a time, from a line's start to
    /// wherever that ends. Nothing if there are few bytes.
    private mutating func takeCleanLines(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        guard fault == nil, bytes[start] != ASCII.lf else { return start }
        // No line in it can be too long.
        let end = bytes.endOfCleanBlocks(from: start, to: min(bytes.count, start &+ max(0, lineBytesMax - 2)))
        guard end > start else { return start }
        // A CR at its end was seen with its LF behind it.
        if bytes[end - 1] == ASCII.cr { return end + 1 }
        var lineStart = end
        while lineStart > start, bytes[lineStart - 1] != ASCII.lf { lineStart -= 1 }
        lineBytes = end - lineStart
        state = lineBytes == 0 ? .lineStart : .text
        return end
    }

    /// Takes bytes up to and with the next CRLF, or CR, or all.
    private mutating func takeLine(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        let cr = bytes.position(of: ASCII.cr, from: start, to: bytes.count)
        let end = cr ?? bytes.count
        if fault == nil {
            // Whichever comes first, so that the fault does not depend on how the bytes were cut.
            let bareLF = bytes.position(of: ASCII.lf, from: start, to: end)
            if lineBytes + ((bareLF ?? end) - start) > lineBytesMax - 2 {
                note(.lineTooLong)
            } else if bareLF != nil {
                note(.bareLineEnd)
            }
        }
        lineBytes += end - start
        guard let cr else { return end }
        guard cr + 1 < bytes.count, bytes[cr + 1] == ASCII.lf else {
            state = .textCR
            return cr + 1
        }
        endLine()
        return cr + 2
    }

    private mutating func endLine() {
        state = .lineStart
        lineBytes = 0
    }

    private mutating func note(_ found: Fault) {
        if fault == nil { fault = found }
    }

    /// After a fault there is no text any more.
    private func run(_ start: Int, _ end: Int) -> Range<Int> { fault == nil ? start..<end : end..<end }
}
