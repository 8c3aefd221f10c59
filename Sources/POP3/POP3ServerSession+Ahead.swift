/// On a node: what the client will ask next, and what it was answered by a frontend that had the answers ahead.
extension POP3ServerSession {
    /// The position of the message that comes next in the sequence in which the client retrieves; nil while it retrieves in
    /// none, or all.
    package var nextRetrieval: Int? {
        guard case .transaction = phase, retrievals.isSequence, let last = retrievals.last else { return nil }
        return maildrop.firstKept(from: last + 1)
    }

    /// Changes whenever the client did something else than was expected: answers that were made ahead are void.
    package var retrievalTurns: Int { retrievals.turns }

    /// The first message at or behind `position` that the client has not marked as deleted.
    package func firstKept(from position: Int) -> Int? { maildrop.firstKept(from: position) }

    /// The client has retrieved message `number`.
    /// - Returns: false if there is no such message for it.
    package mutating func retrievedAhead(_ number: Int) -> Bool {
        guard let position = keptPosition(number) else { return false }
        maildrop.access(position)
        retrievals.retrievedAhead(position)
        return true
    }

    /// The client has marked message `number` as deleted.
    /// - Returns: false if there is no such message for it.
    package mutating func deletedAhead(_ number: Int) -> Bool {
        guard let position = keptPosition(number) else { return false }
        maildrop.delete(position)
        retrievals.deleted(position)
        return true
    }

    private func keptPosition(_ number: Int) -> Int? {
        guard case .transaction = phase, let position = maildrop.position(number) else { return nil }
        return maildrop.isDeleted(position) ? nil : position
    }
}

/// The answers that a node and a frontend give in the same words.
package enum POP3Answers {
    /// The line before the message itself.
    /// - Parameter octets: the message's size with CRLF line ends, before dot-stuffing.
    package static func retrieval(octets: Int) -> [UInt8] {
        var output = POP3Output()
        output.ok("\(octets) octets")
        return output.take()
    }

    package static func deletion(_ number: Int) -> [UInt8] {
        var output = POP3Output()
        output.ok("message \(number) deleted")
        return output.take()
    }
}
