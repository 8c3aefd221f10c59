/// Reading lines: only CRLF ends one (RFC 5321 §2.3.8), whatever a peer tries (CVE-2023-51764 and its family).
extension SMTPServerSession {
    private enum Line {
        case incomplete
        /// A line without its CRLF; `next` is where the next one begins.
        case whole(Range<Int>, next: Int)
        /// `next` is the first byte that was not looked at.
        case bad(SMTPReply, next: Int)
        /// A line that can be refused and is over.
        case badButOver(SMTPReply, next: Int)
    }

    /// Refused bytes without a line end before the connection is ended.
    private static let discardedLineBytesMax = 1 << 20

    mutating func readCommand(_ unread: UnsafeRawBufferPointer, _ at: inout Int) -> Action? {
        if replies.inFlight >= inFlightMax || replies.isFull { return .waitForStorage }
        if isDraining, envelope == nil { return end(with: .draining) }
        switch nextLine(unread, from: at, limit: lineLimit(unread, at)) {
        case .incomplete:
            return .needBytes
        case .whole(let line, let next):
            at = next
            progress.isMade = true
            return handle(unread.slice(line), hasMore: next < unread.count, consumed: &at, all: unread.count)
        case .bad(let reply, let next):
            startDiscarding(unread, upTo: next, &at)
            return refuse(reply)
        case .badButOver(let reply, let next):
            at = next
            return refuse(reply)
        }
    }

    mutating func readResponse(_ unread: UnsafeRawBufferPointer, _ at: inout Int) -> Action? {
        switch nextLine(unread, from: at, limit: limits.authenticationLineBytesMax) {
        case .incomplete:
            return .needBytes
        case .whole(let line, let next):
            at = next
            progress.isMade = true
            if next < unread.count { return end(with: .badPipelining) }
            return handleResponse(unread.slice(line))
        case .bad(let reply, let next):
            forgetExchange()
            startDiscarding(unread, upTo: next, &at)
            return refuse(reply == .lineTooLong ? .authLineTooLong : reply)
        case .badButOver(let reply, let next):
            forgetExchange()
            phase = .command
            at = next
            return refuse(reply)
        }
    }

    /// How many messages may await their outcome while more is read.
    private var inFlightMax: Int { takesCopies ? limits.transactionsInFlightMax : 1 }

    private func lineLimit(_ unread: UnsafeRawBufferPointer, _ at: Int) -> Int {
        unread.matches("AUTH ", at: at)
            ? max(limits.authenticationLineBytesMax, limits.commandLineBytesMax) : limits.commandLineBytesMax
    }

    private mutating func nextLine(_ unread: UnsafeRawBufferPointer, from start: Int, limit: Int) -> Line {
        let window = min(unread.count, start + limit)
        let from = min(start + scanned, window)
        guard let lf = unread.position(of: ASCII.lf, from: from, to: window) else {
            if unread.count - start >= limit {
                scanned = 0
                return .bad(.lineTooLong, next: window)
            }
            scanned = unread.count - start
            return .incomplete
        }
        scanned = 0
        guard lf > start, unread[lf - 1] == ASCII.cr else { return .bad(.badLine, next: lf + 1) }
        let isClean =
            unread.position(of: ASCII.cr, from: start, to: lf - 1) == nil
            && unread.position(of: ASCII.nul, from: start, to: lf - 1) == nil
        return isClean ? .whole(start..<(lf - 1), next: lf + 1) : .badButOver(.badLine, next: lf + 1)
    }

    private mutating func startDiscarding(_ unread: UnsafeRawBufferPointer, upTo next: Int, _ at: inout Int) {
        phase = .discardingLine(afterCR: unread[next - 1] == ASCII.cr)
        discardedLineBytes = 0
        at = next
    }

    /// A bare LF has been answered, but what follows it is no new line: it goes with the rest, up to CRLF.
    mutating func discardLine(_ unread: UnsafeRawBufferPointer, _ at: inout Int, afterCR: Bool) -> Action? {
        guard at < unread.count else { return .needBytes }
        if afterCR, unread[at] == ASCII.lf {
            at += 1
            phase = .command
            return nil
        }
        let cr = unread.position(of: ASCII.cr, from: at, to: unread.count)
        let next = cr.map { $0 + 1 } ?? unread.count
        discardedLineBytes += next - at
        at = next
        phase = .discardingLine(afterCR: cr != nil)
        return discardedLineBytes > Self.discardedLineBytesMax ? end(with: .tooManyErrors) : nil
    }
}
