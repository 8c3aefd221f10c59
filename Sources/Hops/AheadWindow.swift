import DequeModule

/// What a node has sent a frontend of one session's answers before they were asked for. Pure.
package struct AheadWindow {
    /// What the client has said of which the session has taken notice, in octets since the maildrop was opened, modulo 2^32.
    package var heard: UInt32 = 0
    /// How much of it the frontend knows to be answered.
    private var told: UInt32 = 0
    /// The position of the message to send next, if any is.
    package private(set) var next: Int?
    /// The client's turn that all this is for.
    private var turn = 0
    private var outstanding: Deque<(position: Int, octets: Int)> = []
    private var octets = 0

    package init() {}

    /// In a new turn of the client's what was sent before is void.
    package mutating func turn(to turn: Int, next: Int?) {
        guard turn != self.turn else { return }
        self.turn = turn
        self.next = next
        outstanding = []
        octets = 0
    }

    /// Whether the frontend should hear how much is answered, so that it may use what it has.
    package var owesWord: Bool { !outstanding.isEmpty && told != heard }

    package mutating func gaveWord() { told = heard }

    /// How many octets the next answer may have. Of short ones only so many are read at once: others wait for the thread.
    package var room: Int { outstanding.count < AnswersAhead.countMax ? AnswersAhead.octetsMax - octets : 0 }

    /// An answer is out, and `next` is the message behind it.
    package mutating func sent(_ position: Int, octets count: Int, next: Int?) {
        outstanding.append((position, count))
        octets += count
        told = heard
        self.next = next
    }

    /// Nothing more in this turn: the next message is too long, gone, or not in memory.
    package mutating func stop() { next = nil }

    /// The client asked for a message all the same, before it could be given an answer; `next` is the one behind it.
    package mutating func asked(_ position: Int, next: Int?) {
        given(through: position)
        if outstanding.isEmpty { self.next = next }
    }

    /// The client was given all up to this one.
    package mutating func given(through position: Int) {
        while let first = outstanding.first, first.position <= position {
            outstanding.removeFirst()
            octets -= first.octets
        }
    }
}
