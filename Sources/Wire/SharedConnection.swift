import DequeModule
package import NIOCore

/// A connection that carries many: each of its streams is a `Connection` to whoever drives it.
///
/// One side opens streams, the other accepts them. It costs an idle session no socket, no TLS state and no buffers, and a
/// new one no handshake; what many sessions say in one round of the event loop leaves in one piece.
package final class SharedConnection: Conversation {
    /// What becomes of the streams that the other side opens.
    package struct Acceptor {
        let census: ConnectionCensus
        let refusal: (ConnectionRefusal) -> String
        let makeConversation: (Connection) -> any Conversation

        /// - Parameters:
        ///   - census: where each stream counts as a connection.
        ///   - refusal: what to say on a stream that is one too many.
        package init(
            census: ConnectionCensus, refusal: @escaping (ConnectionRefusal) -> String,
            makeConversation: @escaping (Connection) -> any Conversation
        ) {
            self.census = census
            self.refusal = refusal
            self.makeConversation = makeConversation
        }
    }

    let eventLoop: any EventLoop
    private let idleTimeout: Duration
    private let acceptor: Acceptor?
    /// Nil until both sides have agreed, and once it is gone.
    private var carrier: Connection?
    private var decoder = StreamDecoder()
    private var streams: [UInt32: ConnectionStream] = [:]
    /// Of the newest stream.
    private var lastNumber: UInt32 = 0
    /// Frames that the carrier has not been given yet.
    private var outgoing = ByteBuffer()
    /// What frames were gathered in before; empty.
    private var spare = ByteBuffer()
    /// What the carrier was given since it was last flushed, in octets.
    private var unflushed = 0
    private var flushPlanned = false
    /// Streams that wait until the carrier takes more.
    private var awaited: Deque<ConnectionStream> = []
    private var isRetired = false
    private var isOver = false

    /// Data up to so many octets is gathered with other frames; more goes out as it is.
    private static let gatheredBytesMax = 8 << 10
    /// So many octets do not wait for the end of the event loop's round.
    private static let flushBytes = 64 << 10

    /// - Parameters:
    ///   - idleTimeout: how long it is kept without any stream. The side that opens should be the first to let go.
    ///   - acceptor: nil for the side that opens streams.
    package init(eventLoop: any EventLoop, idleTimeout: Duration, acceptor: Acceptor? = nil) {
        self.eventLoop = eventLoop
        self.idleTimeout = idleTimeout
        self.acceptor = acceptor
    }

    var peer: Peer { carrier?.peer ?? Peer(address: "", port: nil) }

    /// Both sides have agreed: from the next byte on the connection carries frames. What was said on streams before goes
    /// out now.
    package func begin(on connection: Connection) {
        guard !isOver else { return connection.abort() }
        carrier = connection
        connection.handOver(to: self)
        setClock()
        flush()
        received(connection)
        if isRetired, streams.isEmpty { closeCarrier() }
    }

    /// Whether more streams may be opened.
    package var takesStreams: Bool { !isRetired && !isOver && !(carrier?.closing ?? false) && lastNumber < .max }

    /// Opens a stream for `conversation`, which hears `opened` before this returns. It may write at once, also while there
    /// is no connection yet; if there never is one, it hears so.
    package func open(_ conversation: any Conversation) {
        precondition(takesStreams && acceptor == nil, "no stream can be opened here")
        lastNumber += 1
        let stream = ConnectionStream(number: lastNumber, carrier: self, isAccepted: false)
        send(.open, on: lastNumber)
        add(stream)
        begin(stream, conversation)
    }

    /// Carries no new streams, and ends with the last that there is.
    package func retire() {
        isRetired = true
        if streams.isEmpty { closeCarrier() }
    }

    private func closeCarrier() {
        push()
        carrier?.close()
    }

    private func add(_ stream: ConnectionStream) {
        streams[stream.number] = stream
        if streams.count == 1 { setClock() }
    }

    private func begin(_ stream: ConnectionStream, _ conversation: any Conversation) {
        guard !stream.isOver, let connection = stream.connection else { return }
        connection.conversation = conversation
        conversation.opened(connection)
        flushSoon()
    }

    /// Time runs only while nobody uses it: streams have clocks of their own.
    private func setClock() {
        carrier?.setTimes(ConnectionTimes(idle: streams.isEmpty ? idleTimeout : .zero, total: .zero))
    }

    // MARK: for streams

    /// Whether the carrier takes more now.
    var hasRoom: Bool { carrier?.isWritable ?? true }

    /// Tells the stream when the carrier takes more.
    func noteAwaited(_ stream: ConnectionStream) { awaited.append(stream) }

    func send(_ kind: StreamFrame.Kind, on stream: UInt32, count: Int = 0) {
        guard !isOver else { return }
        outgoing.writeInteger(StreamFrame.head(kind, stream, length: count))
    }

    /// - Parameter kind: `data` or `note`.
    func send(_ data: ByteBuffer, as kind: StreamFrame.Kind = .data, on stream: UInt32) {
        guard !isOver else { return }
        send(kind, on: stream, count: data.readableBytes)
        if carrier == nil || data.readableBytes <= Self.gatheredBytesMax {
            outgoing.writeImmutableBuffer(data)
        } else {
            push()
            give(data)
        }
        if unflushed + outgoing.readableBytes >= Self.flushBytes { flush() }
    }

    /// Sends what there is by the end of this round of the event loop.
    func flushSoon() {
        guard !flushPlanned, unflushed + outgoing.readableBytes > 0, carrier != nil else { return }
        flushPlanned = true
        eventLoop.assumeIsolated().execute { [self] in
            flushPlanned = false
            flush()
        }
    }

    /// The stream is over for its conversation too.
    func end(_ stream: ConnectionStream) {
        forget(stream)
        // Whoever ended it is not done with it yet.
        eventLoop.assumeIsolated().execute { stream.release() }
    }

    /// Late frames of the stream are dropped.
    func forget(_ stream: ConnectionStream) {
        guard streams.removeValue(forKey: stream.number) != nil else { return }
        acceptor?.census.leave(ObjectIdentifier(stream))
        guard streams.isEmpty, !isOver else { return }
        if isRetired { closeCarrier() } else { setClock() }
    }

    private func flush() {
        var frames = takeFrames()
        if frames.readableBytes > 0 { carrier?.write(frames) }
        unflushed = 0
        carrier?.flush()
        // Nearly always the socket has taken it, and nobody else holds it. Meanwhile others may have been gathered.
        guard frames.storageCapacity <= 2 * Self.flushBytes else { return }
        frames.clear()
        spare = frames
    }

    private func push() {
        let frames = takeFrames()
        if frames.readableBytes > 0 { give(frames) }
    }

    /// None while there is no carrier to give them to.
    private func takeFrames() -> ByteBuffer {
        guard carrier != nil else { return ByteBuffer() }
        defer {
            outgoing = spare
            spare = ByteBuffer()
        }
        return outgoing
    }

    private func give(_ bytes: ByteBuffer) {
        unflushed += bytes.readableBytes
        carrier?.write(bytes)
    }

    // MARK: input

    private func take(_ event: StreamDecoder.Event, _ carrier: Connection) -> Bool {
        switch event {
        case .needBytes:
            return false
        case .violation(let why):
            return fail(why, carrier)
        case .open(let number):
            return accept(number, carrier)
        case .data(let number, let count):
            guard var data = carrier.unread.readSlice(length: count) else { return false }
            return tell(number, carrier) { $0.receive(&data) }
        case .note(let number, let count, let left):
            guard let bytes = carrier.unread.readSlice(length: count) else { return false }
            return tell(number, carrier) { stream in
                stream.receive(note: bytes, isWhole: left == 0)
                return nil
            }
        case .credit(let number, let count):
            return tell(number, carrier) { $0.receive(credit: count) }
        case .end(let number):
            return tell(number, carrier) { stream in
                stream.inputEnded()
                return nil
            }
        case .close(let number):
            return tell(number, carrier) { stream in
                stream.closedByPeer()
                return nil
            }
        }
    }

    /// Frames of a stream that is over may still be on their way.
    private func tell(_ number: UInt32, _ carrier: Connection, _ body: (ConnectionStream) -> String?) -> Bool {
        guard number <= lastNumber else { return fail("stream \(number) was never opened", carrier) }
        guard let stream = streams[number], let complaint = body(stream) else { return true }
        return fail("stream \(number): \(complaint)", carrier)
    }

    private func accept(_ number: UInt32, _ carrier: Connection) -> Bool {
        guard let acceptor else { return fail("the side that accepts streams opened one", carrier) }
        guard number > lastNumber else { return fail("stream \(number) is opened again", carrier) }
        lastNumber = number
        let stream = ConnectionStream(number: number, carrier: self, isAccepted: true)
        guard !isRetired else { return turnAway(stream) }
        if let reason = acceptor.census.enter(ObjectIdentifier(stream)) {
            return turnAway(stream, saying: acceptor.refusal(reason))
        }
        add(stream)
        if let connection = stream.connection { begin(stream, acceptor.makeConversation(connection)) }
        return true
    }

    private func turnAway(_ stream: ConnectionStream, saying text: String = "") -> Bool {
        stream.write(ByteBuffer(string: text))
        stream.end(.close)
        return true
    }

    private func fail(_ why: String, _ carrier: Connection) -> Bool {
        carrier.endReason = .failed("the peer broke the rules of streams: \(why)")
        carrier.abort()
        return false
    }

    // MARK: Conversation

    package func opened(_ connection: Connection) {}

    package func received(_ connection: Connection) {
        var goesOn = true
        while goesOn, connection.isOpen, !connection.closing {
            let (consumed, event) = connection.unread.withUnsafeReadableBytes { decoder.next($0) }
            connection.unread.moveReaderIndex(forwardBy: consumed)
            goesOn = take(event, connection)
        }
        connection.consume(0)
        // Neither side ends one half only.
        if connection.inputEnded { connection.abort() }
        setWish(connection)
    }

    /// Who does not read what it asked for is not heard further. Only the side that accepts streams waits so: if both did,
    /// neither might ever go on.
    private func setWish(_ connection: Connection) {
        guard acceptor != nil, !connection.closing else { return }
        connection.wantsBytes = connection.isWritable
    }

    package func writable(_ connection: Connection) {
        while connection.isWritable, let stream = awaited.popFirst() { stream.takeTurn() }
        setWish(connection)
    }

    package func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {
        if streams.isEmpty { retire() }
    }

    package func draining(_ connection: Connection) {
        for stream in streams.values {
            guard let connection = stream.connection else { continue }
            connection.conversation?.draining(connection)
        }
        retire()
    }

    package func closed(_ reason: ConnectionEnd) {
        isOver = true
        carrier = nil
        awaited = []
        outgoing = ByteBuffer()
        for stream in streams.values { stream.broke(reason) }
    }
}
