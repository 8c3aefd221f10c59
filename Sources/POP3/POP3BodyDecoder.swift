/// Reads the lines of a multi-line response (RFC 1939 §3): takes the stuffed dots out and finds the end, in place.
struct POP3BodyDecoder: Sendable {
    enum Step: Equatable {
        case needBytes
        /// These bytes of the unread ones are text; all before the upper bound is done with.
        case text(Range<Int>)
        /// The final `.` CRLF ends here.
        case end(consumed: Int)
    }

    /// The next byte starts a line.
    private var isAtLineStart = true
    private var endsWithCR = false

    mutating func next(_ unread: UnsafeRawBufferPointer) -> Step {
        var start = 0
        if isAtLineStart, !unread.isEmpty, unread[0] == dot {
            // Needs two bytes more to tell the end from a stuffed dot, and does not take the first one before.
            if unread.count == 1 || (unread.count == 2 && unread[1] == carriageReturn) { return .needBytes }
            if unread[1] == carriageReturn, unread[2] == lineFeed {
                self = POP3BodyDecoder()
                return .end(consumed: 3)
            }
            start = 1
            isAtLineStart = false
        }
        guard start < unread.count else { return .needBytes }
        let end = endOfText(unread, from: start)
        note(unread, start..<end)
        return .text(start..<end)
    }

    /// Up to the next line that starts with a dot.
    private func endOfText(_ unread: UnsafeRawBufferPointer, from start: Int) -> Int {
        var position = start
        while let found = unread.firstIndex(of: lineFeed, from: position) {
            position = found + 1
            let hasCR = found > start ? unread[found - 1] == carriageReturn : endsWithCR
            if hasCR, position < unread.count, unread[position] == dot { return position }
        }
        return unread.count
    }

    private mutating func note(_ unread: UnsafeRawBufferPointer, _ text: Range<Int>) {
        guard let last = text.last else { return }
        let previous = text.count > 1 ? unread[last - 1] == carriageReturn : endsWithCR
        isAtLineStart = unread[last] == lineFeed && previous
        endsWithCR = unread[last] == carriageReturn
    }
}
