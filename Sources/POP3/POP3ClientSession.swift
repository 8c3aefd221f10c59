/// One POP3 conversation as the client sees it (RFC 1939 §3): commands in, command bytes out, reply bytes in, events out.
///
/// Commands may be sent one at a time or many ahead of their replies (RFC 2449 §6.6); replies come in their order. The
/// caller keeps the unread bytes, calls `receive(_:)` with all of them, drops those consumed, and calls again until it
/// says `.needBytes`.
package struct POP3ClientSession: Sendable {
    package enum Event: Sendable, Equatable {
        /// Nothing more to tell until more bytes come.
        case needBytes
        /// The server's first line; with a refusal there is no conversation.
        case greeting(POP3Reply)
        /// The status line of the oldest unanswered command.
        case reply(POP3ClientCommand, POP3Reply)
        /// One line of a listing: these of the unread bytes, all within those consumed, without its CRLF.
        case line(Range<Int>)
        /// The next bytes of a message: these of the unread ones, all within those consumed, dots unstuffed.
        case body(Range<Int>)
        /// The multi-line response of this command is complete. For a message: its size, dots unstuffed.
        case end(POP3ClientCommand, octets: Int)
        /// The server does not speak POP3, or exceeds a limit. The connection is to be closed.
        case violation(String)
    }

    package struct Step: Sendable, Equatable {
        /// How many of the unread bytes are done with.
        package let consumed: Int
        package let event: Event
    }

    private enum Phase: Sendable {
        case greeting
        case status
        case lines(POP3ClientCommand)
        case message(POP3ClientCommand)
        case broken
    }

    /// A status line or a listing line with its CRLF, in octets (RFC 2449 §4 allows 512).
    package static let lineBytesMax = 1024

    private var phase = Phase.greeting
    private var queue: [POP3ClientCommand] = []
    /// Where the queue starts: it is cut only now and then.
    private var answered = 0
    private var output: [UInt8] = []
    private var decoder = POP3BodyDecoder()
    private var octets = 0

    package init() {}

    /// Commands sent whose status line has not come.
    package var awaitingReply: Int { queue.count - answered }

    /// Every command has its whole reply.
    package var isIdle: Bool {
        if case .status = phase { return awaitingReply == 0 }
        return false
    }

    /// Puts the command into the output.
    package mutating func send(_ command: POP3ClientCommand) {
        let line = command.line
        precondition(!line.contains { $0 == carriageReturn || $0 == lineFeed || $0 == 0 }, "a command is one line")
        output += line
        output += [carriageReturn, lineFeed]
        queue.append(command)
    }

    /// The command bytes to write now; they leave the session.
    package mutating func takeOutput() -> [UInt8] {
        defer { output = [] }
        return output
    }

    /// Tells the next event in the unread bytes.
    package mutating func receive(_ unread: UnsafeRawBufferPointer) -> Step {
        switch phase {
        case .greeting, .status: readStatus(unread)
        case .lines(let command): readLine(unread, command)
        case .message(let command): readMessage(unread, command)
        case .broken: violation("the conversation is over")
        }
    }

    private mutating func readStatus(_ unread: UnsafeRawBufferPointer) -> Step {
        if case .status = phase, awaitingReply == 0 {
            return unread.isEmpty ? .needBytes : violation("a reply that nothing was asked for")
        }
        guard let end = endOfLine(unread) else { return unfinished(unread) }
        guard let reply = POP3Reply(UnsafeRawBufferPointer(rebasing: unread[..<end])) else {
            return violation("a reply that is neither +OK nor -ERR")
        }
        let consumed = end + 2
        guard case .status = phase else {
            phase = .status
            return Step(consumed: consumed, event: .greeting(reply))
        }
        let command = next()
        if reply.isOK, command.isMultiLine {
            octets = 0
            phase = command.carriesMessage ? .message(command) : .lines(command)
        }
        return Step(consumed: consumed, event: .reply(command, reply))
    }

    private mutating func readLine(_ unread: UnsafeRawBufferPointer, _ command: POP3ClientCommand) -> Step {
        guard let end = endOfLine(unread) else { return unfinished(unread) }
        guard end > 0, unread[0] == dot else {
            octets += end + 2
            return Step(consumed: end + 2, event: .line(0..<end))
        }
        guard end > 1 else {
            phase = .status
            return Step(consumed: end + 2, event: .end(command, octets: octets))
        }
        octets += end + 1
        return Step(consumed: end + 2, event: .line(1..<end))
    }

    private mutating func readMessage(_ unread: UnsafeRawBufferPointer, _ command: POP3ClientCommand) -> Step {
        switch decoder.next(unread) {
        case .needBytes:
            return .needBytes
        case .text(let range):
            octets += range.count
            return Step(consumed: range.upperBound, event: .body(range))
        case .end(let consumed):
            phase = .status
            return Step(consumed: consumed, event: .end(command, octets: octets))
        }
    }

    /// Where the CRLF of the first line stands. Nil if it has not come, or is too far away.
    private func endOfLine(_ unread: UnsafeRawBufferPointer) -> Int? {
        guard let end = firstLineFeed(unread), end > 0, unread[end - 1] == carriageReturn else { return nil }
        return end - 1
    }

    private func firstLineFeed(_ unread: UnsafeRawBufferPointer) -> Int? {
        UnsafeRawBufferPointer(rebasing: unread.prefix(Self.lineBytesMax)).firstIndex(of: lineFeed, from: 0)
    }

    private mutating func unfinished(_ unread: UnsafeRawBufferPointer) -> Step {
        guard firstLineFeed(unread) == nil else { return violation("a line that ends with a bare LF") }
        return unread.count < Self.lineBytesMax ? .needBytes : violation("a line too long")
    }

    private mutating func next() -> POP3ClientCommand {
        let command = queue[answered]
        answered += 1
        if answered == queue.count || (answered >= 64 && answered * 2 >= queue.count) {
            queue.removeFirst(answered)
            answered = 0
        }
        return command
    }

    private mutating func violation(_ text: String) -> Step {
        phase = .broken
        return Step(consumed: 0, event: .violation(text))
    }
}

extension POP3ClientSession.Step {
    fileprivate static let needBytes = POP3ClientSession.Step(consumed: 0, event: .needBytes)
}
