/// The TRANSACTION state (RFC 1939 §5) and the UPDATE state (§6), on a node, with the client itself.
extension POP3ServerSession {
    mutating func handleInTransaction(_ command: POP3Command) -> Action {
        switch command {
        case .retr, .dele: break
        default: retrievals.interrupted()
        }
        switch command {
        case .stat: return stat()
        case .list(let number): return list(number, .sizes)
        case .uidl(let number): return list(number, .uniqueIDs)
        case .retr(let number): return send(number, topLines: nil)
        case .top(let number, let lines): return send(number, topLines: lines)
        case .dele(let number): return delete(number)
        case .noop: output.line("+OK")
        case .rset: reset()
        case .last: last()
        case .capa: return capabilities(inTransaction: true)
        case .lang(let range): return chooseLanguage(range)
        case .quit: return update()
        case .malformed(let syntax): return refuse("syntax: \(syntax)")
        case .xgone(nil) where isLocal: return ask(.listTombstones)
        case .xgone(let name?) where isLocal: return ask(.readTombstone(name))
        case .xrelayed(let number, let refusal):
            return withMessage(number) { $0.ask(.relayed(position: $1, refusal: refusal)) }
        case .unknown, .xopen, .xdigest, .xdrain, .xstatus, .xflush, .xpartition, .xrepair, .xsite, .xgone,
            .xstreams:
            return refuse("unknown command")
        case .user, .pass, .apop, .auth, .stls, .utf8: return refuse("only before login")
        }
        return .proceed
    }

    private mutating func stat() -> Action {
        okNumbers(maildrop.count, maildrop.octets)
        return .proceed
    }

    private mutating func last() {
        output.append("+OK ")
        output.append(maildrop.lastAccessed)
        output.endLine()
    }

    private mutating func reset() {
        maildrop.reset()
        output.ok("\(maildrop.count) messages (\(maildrop.octets) octets)")
    }

    private mutating func okNumbers(_ first: Int, _ second: Int) {
        output.append("+OK ")
        output.append(first)
        output.append(space)
        output.append(second)
        output.endLine()
    }

    private mutating func list(_ number: Int?, _ kind: POP3Listing.Kind) -> Action {
        guard let number else {
            output.ok("\(maildrop.count) messages (\(maildrop.octets) octets)")
            listing = POP3Listing(kind: kind)
            return continueListing()
        }
        return withMessage(number) { session, position in
            session.output.append("+OK ")
            kind.append(position, of: session.maildrop.entries, to: &session.output)
            return .proceed
        }
    }

    /// Adds lines until all are there or the output is full: 100,000 messages take 2 MB, and a client may be slow.
    mutating func continueListing() -> Action {
        guard var progress = listing else { return .proceed }
        while let position = maildrop.firstKept(from: progress.next) {
            progress.next = position
            if output.count >= settings.limits.outputBytesMax {
                listing = progress
                return .flushOutput
            }
            progress.kind.append(position, of: maildrop.entries, to: &output)
            progress.next += 1
        }
        output.line(".")
        listing = nil
        return .proceed
    }

    private mutating func delete(_ number: Int) -> Action {
        withMessage(number) { session, position in
            session.maildrop.delete(position)
            session.retrievals.deleted(position)
            session.output.append(POP3Answers.deletion(number))
            return .proceed
        }
    }

    private mutating func send(_ number: Int, topLines: Int?) -> Action {
        withMessage(number) { session, position in
            if topLines == nil { session.retrievals.retrieved(position) }
            session.awaited = .message(position, topLines: topLines)
            return .sendMessage(index: position, topLines: topLines)
        }
    }

    /// Check, then proceed: the message is there and not marked as deleted (RFC 1939 §5).
    private mutating func withMessage(
        _ number: Int, _ body: (inout POP3ServerSession, Int) -> Action
    ) -> Action {
        guard let position = maildrop.position(number) else { return refuse("no such message") }
        guard !maildrop.isDeleted(position) else { return refuse("message \(number) is deleted") }
        return body(&self, position)
    }

    /// The message is open. The driver writes the output, then the message, then calls `messageSent()`. If it cannot
    /// read the message to its end it closes the connection: the client must not take a part for the whole.
    ///
    /// - Parameter octets: the message's size with CRLF line ends, before dot-stuffing.
    package mutating func messageFound(octets: Int) {
        guard let message = answeredMessage() else { return }
        if message.topLines == nil {
            maildrop.access(message.position)
            output.append(POP3Answers.retrieval(octets: octets))
        } else {
            output.ok("top of message follows")
        }
        awaited = .messageEnd
    }

    /// Another session removed the message. It stays in this session's numbering.
    package mutating func messageGone() {
        guard answeredMessage() != nil else { return }
        refuseWithoutBlame("message was removed by another session")
    }

    /// The message is there but cannot be read now.
    package mutating func messageFailed() {
        guard answeredMessage() != nil else { return }
        refuseWithoutBlame("message cannot be read now", code: .systemTemporary)
    }

    /// For another node: this copy of the message is no good one.
    package mutating func messageDamaged() {
        guard answeredMessage() != nil else { return }
        refuseWithoutBlame("this copy is damaged", code: .systemPermanent)
    }

    /// The whole message and its final dot are written.
    package mutating func messageSent() {
        _ = answered(.messageEnd)
    }

    private mutating func answeredMessage() -> (position: Int, topLines: Int?)? {
        if isTimedOut { return nil }
        guard case .message(let position, let topLines)? = awaited else {
            preconditionFailure("message answered while \(String(describing: awaited)) is awaited")
        }
        awaited = nil
        return (position, topLines)
    }

    /// QUIT: the UPDATE state, the only place where anything is deleted (RFC 1939 §6).
    private mutating func update() -> Action {
        let positions = maildrop.deleted
        guard !positions.isEmpty else {
            signOff()
            return .close
        }
        awaited = .deletion
        return .deleteAndClose(positions)
    }

    private mutating func signOff() {
        output.ok("\(settings.hostname) signing off")
        phase = .closed
    }

    /// The deletion is done and durable, but for `failures` messages.
    package mutating func deleted(failures: Int) {
        guard answered(.deletion) else { return }
        if failures == 0 { return signOff() }
        output.error("some deleted messages not removed", code: nil)
        phase = .closed
    }
}
