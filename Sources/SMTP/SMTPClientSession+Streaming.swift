import Mail

/// Streaming: a message whose size is not known yet, in chunks, alone on its connection.
extension SMTPClientSession {
    /// Sends the envelope as soon as the connection is free; `startedStreaming` or `verdicts` follows.
    package mutating func beginStreaming(_ transaction: SMTPClientTransaction) {
        enqueue(Outgoing(transaction, isStreaming: true))
    }

    /// Announces a chunk: the driver writes `takeOutput()`, then `byteCount` octets.
    ///
    /// - Returns: false if the transaction is over or takes no chunk now, so that the chunk must not be written.
    package mutating func chunk(_ id: SMTPTransactionID, byteCount: Int, isLast: Bool) -> Bool {
        guard let first = running.first, first.id == id, first.isStreaming else { return false }
        if first.isOver { abandonStreaming(id) }
        guard !first.isOver, first.isEnvelopeAnswered, first.hasAccepted, !first.lastChunkSent else { return false }
        send("BDAT \(byteCount)\(isLast ? " LAST" : "")")
        running[0].bodyBegun = true
        running[0].chunksSent += 1
        running[0].lastChunkSent = isLast
        return true
    }

    /// Gives a streaming transaction up, or leaves one that failed: all chunks that were announced have been written,
    /// and there are no more. An outcome that was not told is not told any more.
    package mutating func abandonStreaming(_ id: SMTPTransactionID) {
        waiting.removeAll { $0.id == id && $0.isStreaming }
        guard let first = running.first, first.id == id, first.isStreaming, !first.isGivenUp else { return }
        running[0].isOver = true
        running[0].isGivenUp = true
        dropIfDrained()
        fill()
    }

    /// A chunk was answered.
    mutating func takeChunkReply(_ reply: ParsedReply) {
        let first = running[0]
        if !first.isOver, first.lastChunkSent, first.chunksAnswered + 1 == first.chunksSent {
            running[0].chunksAnswered += 1
            return beginFinalReplies(reply)
        }
        running[0].chunksAnswered += 1
        if first.isOver { return dropIfDrained() }
        guard !reply.isPositive else { return }
        running[0].judgeAccepted(verdict(reply))
        tellFirst()
        dropIfDrained()
    }

    /// Clears the server's side of a transaction that is over, once nothing else is awaited.
    mutating func dropIfDrained() {
        let first = running[0]
        guard first.isOver, first.isDrained, first.isGivenUp || first.lastChunkSent, !first.resetSent else { return }
        if first.sent == 0 {
            running.removeFirst()
        } else {
            running[0].resetSent = true
            send("RSET")
        }
    }
}
