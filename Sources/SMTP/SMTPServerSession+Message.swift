package import Mail

/// DATA and BDAT (RFC 5321 §4.1.1.4, RFC 3030 §2), and what becomes of a message.
extension SMTPServerSession {
    mutating func data(hasMore: Bool) -> Action? {
        // Text that came before its 354 would be read as commands if DATA were refused.
        if hasMore { return end(with: .badPipelining) }
        guard let envelope else { return refuse(hello == nil ? .helloFirst : .mailFirst) }
        if hasChunks { return refuse(.chunksBegun) }
        if envelope.recipients.isEmpty { return refuse(.recipientFirst) }
        // Dots are stuffed by line, and a copy may hold line ends of any kind.
        if envelope.content == .copy { return refuse(.copyNeedsChunks) }
        message = IncomingMessage(framing: .dots, limits: limits)
        phase = .awaitingStart
        return .startMessage(envelope)
    }

    /// Answers `startMessage`. Anything but `.accepted` ends the transaction.
    package mutating func messageStarted(_ verdict: Verdict) {
        precondition(phase == .awaitingStart, "message in phase \(phase)")
        message.isOpen = verdict.isAccepted
        if hasChunks {
            phase = .chunk
            if !verdict.isAccepted { message.fault = verdict.reason }
            return
        }
        dataAnswerIsUnread = true
        if verdict.isAccepted {
            phase = .data
            replies.append(SMTPReply.sendMessage)
        } else {
            phase = .command
            replies.append(SMTPReply(verdict, accepted: .ok))
            envelope = nil
        }
    }

    mutating func readData(_ unread: UnsafeRawBufferPointer, _ at: inout Int) -> Action? {
        guard at < unread.count else { return .needBytes }
        if dataAnswerIsUnread { return end(with: .badPipelining) }
        let start = at
        let found = message.take(unread.slice(start..<unread.count))
        at += found.consumed
        progress.text(found.consumed)
        if let action = abandonIfRefused() { return action }
        if found.ended {
            progress.isMade = true
            return endMessage()
        }
        if let fault = message.fault, message.discardedCount > limits.discardedBytesMax {
            return end(withFault: fault, isLast: true)
        }
        if found.text.isEmpty { return nil }
        return .body((start + found.text.lowerBound)..<(start + found.text.upperBound))
    }

    /// `BDAT size [LAST]`. The octets that follow are read even if they are refused, or they would be read as commands.
    mutating func chunk(_ arguments: UnsafeRawBufferPointer) -> Action? {
        guard let size = chunkSize(arguments) else {
            // Nobody knows where the next command begins.
            return end(with: .badChunk)
        }
        chunk.remaining = size
        chunk.refusal = envelope == nil ? .noMailFirst : nil
        if envelope?.recipients.isEmpty ?? false { chunk.refusal = .noRecipientFirst }
        phase = .chunk
        if chunk.refusal != nil {
            return size > limits.discardedBytesMax ? end(with: .tooMuchRefused) : nil
        }
        if size == 0, !chunk.isLast, tooManyIdleCommands() { return end(with: .tooManyCommands) }
        let isFirst = !hasChunks
        if isFirst {
            hasChunks = true
            message = IncomingMessage(framing: .chunks, limits: limits, isCopy: envelope?.content == .copy)
        }
        if size > limits.messageBytesMax - min(message.byteCount, limits.messageBytesMax) {
            message.fault = .messageTooBig
            if size > limits.discardedBytesMax { return end(withFault: .messageTooBig, isLast: chunk.isLast) }
            return abandonIfRefused()
        }
        guard isFirst, let envelope else { return nil }
        phase = .awaitingStart
        return .startMessage(envelope)
    }

    /// Reads `chunk-size [SP "LAST"]`; nil if it is malformed. Sets whether it is the last.
    private mutating func chunkSize(_ arguments: UnsafeRawBufferPointer) -> Int? {
        let digits = arguments.position(of: ASCII.space, from: 0, to: arguments.count) ?? arguments.count
        guard let size = arguments.slice(0..<digits).decimal else { return nil }
        var at = digits
        while at < arguments.count, arguments[at] == ASCII.space { at += 1 }
        chunk.isLast = at < arguments.count
        return !chunk.isLast || arguments.slice(at..<arguments.count).equals("LAST") ? size : nil
    }

    mutating func readChunk(_ unread: UnsafeRawBufferPointer, _ at: inout Int) -> Action? {
        if chunk.remaining == 0 { return endChunk() }
        let available = min(chunk.remaining, unread.count - at)
        guard available > 0 else { return .needBytes }
        if chunk.refusal != nil {
            progress.text(available)
            chunk.remaining -= available
            at += available
            return nil
        }
        let start = at
        let found = message.take(unread.slice(start..<(start + available)))
        at += found.consumed
        chunk.remaining -= found.consumed
        progress.text(found.consumed)
        if let action = abandonIfRefused() { return action }
        if found.text.isEmpty { return nil }
        return .body((start + found.text.lowerBound)..<(start + found.text.upperBound))
    }

    private mutating func endChunk() -> Action? {
        progress.isMade = true
        if let refusal = chunk.refusal {
            phase = .command
            // A last chunk ends the transaction whatever becomes of it, so that the next MAIL is in its place.
            if chunk.isLast { envelope = nil }
            return refuse(SMTPReply(refusal))
        }
        if chunk.isLast {
            message.endOfChunks()
            return abandonIfRefused() ?? endMessage()
        }
        phase = .command
        guard let fault = message.fault else { return reply(.chunkOK) }
        replies.append(SMTPReply(fault))
        return forgetTransaction()
    }

    /// Ends the conversation, because more of a refused message comes than is read past; its client hears why it was
    /// refused, or it would send it again.
    private mutating func end(withFault fault: Reason, isLast: Bool) -> Action {
        // RFC 2033 §4.2: one reply per recipient.
        let count = settings.service.isLMTP && isLast ? envelope?.recipients.count ?? 1 : 1
        for _ in 1..<max(1, count) { replies.append(SMTPReply(fault)) }
        return end(with: SMTPReply(fault))
    }

    /// Tells the driver, once, that the message it is writing will be refused.
    private mutating func abandonIfRefused() -> Action? {
        guard message.fault != nil, message.isOpen else { return nil }
        message.isOpen = false
        return .abandonMessage
    }

    private mutating func endMessage() -> Action? {
        phase = .command
        hasChunks = false
        guard let id = envelope?.id, let recipients = envelope?.recipients.count else { return nil }
        envelope = nil
        let count = settings.service.isLMTP ? recipients : 1
        if let fault = message.fault {
            // RFC 2033 §4.2: one reply per recipient.
            for _ in 0..<count { replies.append(SMTPReply(fault)) }
            return nil
        }
        message.isOpen = false
        replies.await(id, verdictCount: count)
        return .endMessage(id, message.summary)
    }

    /// Answers `endMessage`: one verdict, or in LMTP one per recipient of the envelope, in its order.
    ///
    /// - Parameter note: what to add to the reply of acceptance, such as the message's name.
    package mutating func messageStored(_ id: SMTPTransactionID, _ verdicts: [Verdict], note: String = "") {
        precondition(
            replies.verdictCount(of: id) == verdicts.count, "\(verdicts.count) verdicts for message \(id.number)")
        let accepted = note.isEmpty ? SMTPReply.accepted : SMTPReply(250, "2.0.0", "accepted as \(note)")
        var outcome: [UInt8] = []
        for verdict in verdicts { outcome.append(contentsOf: SMTPReply(verdict, accepted: accepted).bytes) }
        if verdicts.contains(.accepted) {
            counts.errors = 0
            counts.idleCommands = 0
            counts.refusedRecipients = 0
            counts.deferredRecipients = 0
        }
        replies.settle(id, outcome)
    }
}

extension Verdict {
    /// Why it is no acceptance.
    var reason: Reason? {
        switch self {
        case .accepted: nil
        case .deferred(let reason): reason.code / 100 == 4 ? reason : Reason(451, "4.3.0", reason.text)
        case .refused(let reason): reason.code / 100 == 5 ? reason : Reason(550, "5.0.0", reason.text)
        }
    }
}
