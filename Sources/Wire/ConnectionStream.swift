import NIOCore

/// One stream of a shared connection: what a socket is for a connection of its own.
///
/// Neither side sends more than the other has room for: each begins with a window, and gets back what the other's
/// conversation took. So a client that does not read holds up its own stream only, and no more than a window is kept
/// for it.
final class ConnectionStream {
    /// What may be on its way to the side that accepts streams, in octets: commands.
    static let acceptingWindow = 64 << 10
    /// What may be on its way to the side that opens them: messages.
    static let openingWindow = 128 << 10

    let number: UInt32
    private let carrier: SharedConnection
    private let isAccepted: Bool
    /// Nil once the stream is over and everyone knows.
    private(set) var connection: Connection?
    /// Nothing more is sent or told.
    private(set) var isOver = false

    /// What may be sent yet.
    private var credit: Int
    private let creditMax: Int
    /// What waits for credit.
    private var waiting = ByteBuffer()
    /// How the output ends when nothing waits any more.
    private var ending: StreamFrame.Kind?
    private var outputEnded = false
    /// Whether the conversation was told that it may not write, and waits to hear that it may.
    private var isAwaited = false
    /// Whether the carrier will say when it has room.
    private var isQueued = false
    /// The other side reads nothing any more.
    private var isUnheard = false
    /// Whether the other side has ever said anything.
    private var hasHeard = false

    /// What the other side may send yet.
    private var room: Int
    private let window: Int
    /// What the conversation has not taken yet, as last seen.
    private var untaken = 0
    /// What it has taken and was not given back yet.
    private var taken = 0
    /// What has come of a note.
    private var note = ByteBuffer()

    init(number: UInt32, carrier: SharedConnection, isAccepted: Bool) {
        self.number = number
        self.carrier = carrier
        self.isAccepted = isAccepted
        window = isAccepted ? Self.acceptingWindow : Self.openingWindow
        room = window
        creditMax = isAccepted ? Self.openingWindow : Self.acceptingWindow
        credit = creditMax
        connection = Connection(stream: self, eventLoop: carrier.eventLoop, peer: carrier.peer)
    }

    /// Tells the conversation that the stream is over.
    func release() {
        connection?.ended()
        connection = nil
    }

    private func finish() {
        guard !isOver else { return }
        isOver = true
        waiting = ByteBuffer()
        carrier.end(self)
    }

    // MARK: output

    /// Whether the conversation may write. One that is told no is told when it may, unless the stream is over.
    var isReady: Bool {
        guard !isOver else { return false }
        let hasCredit = waiting.readableBytes == 0 && credit > 0
        if isUnheard || hasCredit && carrier.hasRoom { return true }
        isAwaited = true
        // Credit tells its own stream.
        if hasCredit, !isQueued {
            isQueued = true
            carrier.noteAwaited(self)
        }
        return false
    }

    func write(_ bytes: ByteBuffer) {
        guard !isOver, !outputEnded else { return }
        // As with a socket whose peer has closed it.
        guard !isUnheard else { return finish() }
        var bytes = bytes
        waiting.appendOrTake(&bytes)
        sendWaiting()
    }

    /// Sends a note behind all that was written; only while nothing of that waits.
    func send(note: ByteBuffer) {
        guard !isOver, !outputEnded, !isUnheard else { return }
        precondition(waiting.readableBytes == 0, "a note overtakes what waits for credit")
        precondition(note.readableBytes <= StreamFrame.noteBytesMax, "a note of \(note.readableBytes) octets")
        carrier.send(note, as: .note, on: number)
    }

    func flush() { carrier.flushSoon() }

    /// Says no more once everything is sent; after `close` it also hears no more.
    func end(_ kind: StreamFrame.Kind) {
        guard !isOver else { return }
        outputEnded = true
        ending = kind
        sendWaiting()
        // Where some of it has to wait, the other side must have the rest first.
        flush()
    }

    /// What waits is dropped, and the stream is over for both sides.
    func abort() {
        waiting = ByteBuffer()
        end(.close)
    }

    private func sendWaiting() {
        let count = min(waiting.readableBytes, credit)
        if count > 0, let data = waiting.readSlice(length: count) {
            credit -= count
            carrier.send(data, on: number)
        }
        guard waiting.readableBytes == 0 else { return }
        waiting = ByteBuffer()
        guard let ending else { return }
        self.ending = nil
        if !isUnheard { carrier.send(ending, on: number) }
        if ending == .close { finish() }
    }

    /// The carrier has room again, and it is this stream's turn.
    func takeTurn() {
        isQueued = false
        goOn()
    }

    private func goOn() {
        guard isAwaited, !isOver, let connection else { return }
        isAwaited = false
        if isReady { connection.conversation?.writable(connection) }
    }

    // MARK: input

    /// - Returns: what is wrong with it, if anything is.
    func receive(_ data: inout ByteBuffer) -> String? {
        room -= data.readableBytes
        guard room >= 0 else { return "more than its window came" }
        guard !isOver, let connection else { return nil }
        guard !connection.inputEnded else { return "data came behind its end" }
        hasHeard = true
        untaken += data.readableBytes
        // Who asked passes on what came, and it may wait with somebody else.
        if !isAccepted { data.letGoOfTheRest() }
        connection.unread.appendOrTake(&data)
        connection.tellUnread()
        connection.unread.letGoOfTheRest()
        return nil
    }

    /// A piece of a note has come, and with the last the note is told. It is no part of the window: who takes notes keeps
    /// none, or few.
    func receive(note piece: ByteBuffer, isWhole: Bool) {
        var piece = piece
        note.appendOrTake(&piece)
        guard isWhole else { return }
        var whole = note
        note = ByteBuffer()
        guard !isOver, let connection else { return }
        hasHeard = true
        whole.letGoOfTheRest()
        connection.conversation?.noted(connection, whole)
    }

    /// The conversation may have taken some of what came.
    func noteTaken() {
        guard !isOver, !isUnheard, let connection else { return }
        taken += untaken - connection.unread.readableBytes
        untaken = connection.unread.readableBytes
        guard taken >= window / 2 else { return }
        room += taken
        carrier.send(.credit, on: number, count: taken)
        taken = 0
        flush()
    }

    /// - Returns: what is wrong with it, if anything is.
    func receive(credit count: Int) -> String? {
        credit += count
        guard credit <= creditMax else { return "more was given back than was sent" }
        sendWaiting()
        flush()
        goOn()
        return nil
    }

    func inputEnded() {
        guard !isOver, let connection else { return }
        connection.inputEnded = true
        connection.conversation?.received(connection)
    }

    /// The other side is gone. To who asked that is the end of the input, which may come behind much that is unread; who was
    /// asked has nobody to answer.
    func closedByPeer() {
        isUnheard = true
        waiting = ByteBuffer()
        carrier.forget(self)
        if isAccepted || ending == .close { finish() } else { inputEnded() }
    }

    /// The carrier is gone. Who has heard nothing yet hears why, others that nothing more comes.
    func broke(_ reason: ConnectionEnd) {
        connection?.endReason = reason
        if !hasHeard { ending = .close }
        closedByPeer()
    }
}

extension ByteBuffer {
    /// A small part of a large buffer is copied, lest it keep all of it in memory.
    fileprivate mutating func letGoOfTheRest() {
        guard readableBytes > 0, readableBytes < storageCapacity / 4 else { return }
        self = ByteBuffer(bytes: readableBytesView)
    }
}
