import Mail

/// Mail transactions: what is sent when, and what a reply means.
extension SMTPClientSession {
    var usesChunks: Bool { settings.usesChunks && capabilities.chunking }
    private var pipelines: Bool { settings.pipelines && capabilities.pipelining }

    mutating func enqueue(_ transaction: Outgoing) {
        if phase == .closed {
            events.append(.interrupted(transaction.id, bodySent: false))
            return
        }
        waiting.append(transaction)
        fill()
    }

    /// Sends whatever may be sent now.
    mutating func fill() {
        guard phase == .ready else { return }
        while bodyOpen == nil {
            if let last = running.last, !isFullySent(last) {
                guard sendNext(of: running.count - 1) else { return }
            } else if !beginNext() {
                break
            }
        }
        if wantsQuit, waiting.isEmpty, running.isEmpty, bodyOpen == nil {
            phase = .quitting
            send("QUIT")
        }
    }

    /// Whether the next transaction's commands may follow. Those behind DATA have to wait for its 354.
    private func isFullySent(_ transaction: Outgoing) -> Bool {
        transaction.sent == transaction.commandCount && !transaction.isStreaming
            && (usesChunks || transaction.awaitingVerdict != nil)
    }

    /// Takes the next transaction out of the queue; false if none may begin.
    private mutating func beginNext() -> Bool {
        guard let next = waiting.first, running.count < settings.transactionsInFlightMax,
            running.isEmpty || (pipelines && !next.isStreaming)
        else { return false }
        waiting.removeFirst()
        if let refusal = unsendable(next) {
            events.append(.verdicts(next.id, next.verdicts.map { _ in refusal }))
            return true
        }
        running.append(next)
        running[running.count - 1].resetsFirst = needsReset || (keepsFailedEnvelopes && running.count > 1)
        needsReset = false
        return true
    }

    /// Whether a server may hold the envelope of a transaction whose last chunk it has refused (RFC 3030 §2 leaves it
    /// open): the next one's recipients would be added to it, so that its text would get another's sender. Between two
    /// transactions of which the first may fail yet, RSET keeps them apart at no round trip's cost. Storage nodes end
    /// a transaction with its last chunk.
    private var keepsFailedEnvelopes: Bool { usesChunks && !capabilities.takesNames }

    /// Sends one more command of a transaction; false if it has to wait.
    private mutating func sendNext(of index: Int) -> Bool {
        let current = running[index]
        guard current.sent < current.commandCount, pipelines || current.answered == current.sent, !current.isOver else {
            return false
        }
        let command = current.command(current.sent)
        if command == .body, current.transaction.asksFirst, !current.isEnvelopeAnswered { return false }
        switch command {
        case .reset: send("RSET")
        case .mail: sendMail(current.transaction)
        case .recipient(let recipient): sendRecipient(current.transaction.recipients[recipient])
        case .body: sendBodyCommand(index)
        }
        running[index].sent += 1
        return true
    }

    private mutating func sendBodyCommand(_ index: Int) {
        guard usesChunks else { return send("DATA") }
        append("BDAT ")
        output.append(decimal: running[index].transaction.byteCount ?? 0)
        append(" LAST\r\n")
        askForBody(index, .raw)
    }

    private mutating func askForBody(_ index: Int, _ form: BodyForm) {
        running[index].bodyBegun = true
        bodyOpen = running[index].id
        events.append(.bodyWanted(running[index].id, form))
    }

    /// A reply while ready belongs to the first transaction that awaits one.
    mutating func takeTransactionReply(_ reply: ParsedReply) {
        guard let first = running.first, !isAllAnswered(first) else {
            return close(Reason(451, "4.5.0", "server replied to nothing: \(reply.code)"))
        }
        if first.answered < first.sent {
            takeCommandReply(reply, first.command(first.answered))
        } else if first.resetSent {
            running.removeFirst()
        } else if first.awaitingVerdict != nil {
            takeFinalReply(reply)
        } else {
            takeChunkReply(reply)
        }
        fill()
    }

    /// RFC 5321 §3.8: a 421 ends the connection, and is the reply to what was said first. A server that gives it to each
    /// message would be asked again at once and for ever if it were none. Storage nodes and sites say it only when they go
    /// away, and a message sent to them again keeps its name.
    mutating func deferFirst(_ reply: ParsedReply) {
        guard !capabilities.takesNames, let first = running.first, !first.isOver, !isAllAnswered(first) else { return }
        if let awaited = first.awaitingVerdict {
            for recipient in awaited { running[0].verdicts[recipient] = .deferred(reply.reason) }
        } else {
            running[0].judgeAccepted(.deferred(reply.reason))
        }
        tellFirst()
    }

    /// Tells the first transaction's outcome; replies to it may still come.
    mutating func tellFirst() {
        running[0].isOver = true
        events.append(.verdicts(running[0].id, running[0].verdicts))
    }

    private func isAllAnswered(_ transaction: Outgoing) -> Bool {
        transaction.isDrained && transaction.awaitingVerdict == nil && !transaction.resetSent
    }

    private mutating func takeCommandReply(_ reply: ParsedReply, _ command: Outgoing.Command) {
        running[0].answered += 1
        switch command {
        case .reset:
            if !reply.isPositive { close(reply.reason) }
            return
        case .mail:
            guard !reply.isPositive else { return }
            running[0].mailIsRefused = true
            running[0].judgeAccepted(reply.code == 503 ? outOfSequence(reply) : verdict(reply))
        case .recipient(let index):
            if !running[0].mailIsRefused { running[0].verdicts[index] = verdict(reply) }
        case .body:
            if usesChunks { return beginFinalReplies(reply) } else { return takeDataReply(reply) }
        }
        envelopeReplyTaken()
    }

    /// Ends a transaction that has failed before its body, or lets it stream.
    private mutating func envelopeReplyTaken() {
        let first = running[0]
        if first.isOver { return dropIfDrained() }
        guard first.isStreaming || first.sent < first.commandCount else { return }
        if first.mailIsRefused {
            if first.isDrained { finish(reset: false) }
        } else if first.isEnvelopeAnswered {
            if !first.hasAccepted {
                finish(reset: true)
            } else if first.isStreaming {
                events.append(.startedStreaming(first.id))
            }
        }
    }

    /// RFC 2920 §3.1: a server may ask for the text although it has refused every recipient.
    private mutating func takeDataReply(_ reply: ParsedReply) {
        guard reply.code == 354 else {
            running[0].judgeAccepted(reply.isPositive ? .deferred(.unexpected) : verdict(reply))
            return finish(reset: !running[0].mailIsRefused)
        }
        running[0].awaitingVerdict = running[0].accepted
        if running[0].hasAccepted { return askForBody(0, .dotStuffed) }
        guard settings.mode == .smtp else { return close(Reason(451, "4.5.0", "server wants text for nobody")) }
        send(".")
    }

    /// The first reply to the last chunk has come.
    mutating func beginFinalReplies(_ reply: ParsedReply) {
        running[0].awaitingVerdict = running[0].accepted
        takeFinalReply(reply)
    }

    private mutating func takeFinalReply(_ reply: ParsedReply) {
        guard let recipient = running[0].awaitingVerdict?.popFirst() else {
            // Nobody was accepted, so the text was refused too.
            return finish(reset: keepsFailedEnvelopes && !running[0].mailIsRefused)
        }
        if settings.mode == .smtp {
            running[0].judgeAccepted(verdict(reply))
            finish(reset: keepsFailedEnvelopes && !reply.isPositive)
        } else {
            running[0].verdicts[recipient] = verdict(reply)
            if running[0].awaitingVerdict?.isEmpty == true {
                finish(reset: keepsFailedEnvelopes && !running[0].hasAccepted)
            }
        }
    }

    /// A storage node that does not understand us is no fault of the sender's.
    func verdict(_ reply: ParsedReply) -> Verdict {
        capabilities.takesNames && reply.isProtocolError
            ? .deferred(Reason(451, "4.5.0", "the server does not understand: \(reply.code)")) : reply.verdict
    }

    /// RFC 5321 §4.2.2: 503 at MAIL is about what was said before it, and no fault of the message's.
    private func outOfSequence(_ reply: ParsedReply) -> Verdict {
        capabilities.isStorageNode
            ? verdict(reply) : .deferred(Reason(451, "4.5.0", "the server takes no MAIL now: 503 \(reply.reason.text)"))
    }

    /// Tells the outcome. One that has begun behind it has its own RSET if it needs one.
    private mutating func finish(reset: Bool) {
        let first = running.removeFirst()
        needsReset = needsReset || (reset && running.isEmpty)
        events.append(.verdicts(first.id, first.verdicts))
    }
}
