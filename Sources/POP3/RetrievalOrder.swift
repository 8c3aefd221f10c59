/// What a client retrieves, as far as it tells what comes next: most retrieve all messages one after another.
struct RetrievalOrder: Sendable {
    /// The position of the last message retrieved, while nothing else has been said since.
    private(set) var last: Int?
    /// The one before it was retrieved before it.
    private(set) var isSequence = false
    /// How often what was expected before became void.
    private(set) var turns = 0

    /// RETR.
    mutating func retrieved(_ position: Int) {
        let isNext = last == position - 1
        if !isSequence || !isNext { turns &+= 1 }
        isSequence = isNext
        last = position
    }

    /// It was given an answer that was ready.
    mutating func retrievedAhead(_ position: Int) { last = position }

    /// DELE: of what has been retrieved it is part of the sequence.
    mutating func deleted(_ position: Int) {
        if position > last ?? -1 { interrupted() }
    }

    mutating func interrupted() {
        last = nil
        isSequence = false
        turns &+= 1
    }
}
