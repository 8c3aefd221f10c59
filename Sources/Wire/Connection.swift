package import NIOCore
import NIOSSL

/// One established connection on its event loop: unread bytes, output, TLS and the two clocks.
///
/// Not Sendable on purpose: everything here is called on `eventLoop`. Work elsewhere comes back through
/// `completion(_:)` or `perform(_:then:)`.
package final class Connection {
    package let eventLoop: any EventLoop
    /// What carries its bytes: a socket, or a stream of a connection that several share. One of the two is there.
    private let channel: (any Channel)?
    private let stream: ConnectionStream?

    /// Bytes that the conversation has not taken yet. At most one read's worth is added while `wantsBytes` is true.
    package var unread = ByteBuffer()
    /// While false the conversation is told of no bytes, and no more than one read's worth comes from the peer.
    package var wantsBytes = true {
        didSet { if wantsBytes, !oldValue { inputWanted() } }
    }
    /// The peer will send no more (it closed its half); it may still read our answers.
    package internal(set) var inputEnded = false
    package internal(set) var isOpen = true
    package internal(set) var peer: Peer
    /// The TLS version (`TLSv1.3`) once TLS is up.
    package internal(set) var tlsVersion: String?
    package var isTLS: Bool { tlsVersion != nil }
    /// Whether as little waits to be sent that more may be written; if not, `writable` will say so.
    package var isWritable: Bool {
        if let stream { stream.isReady } else { isChannelWritable }
    }
    var isChannelWritable = true

    var conversation: (any Conversation)?
    var endReason: ConnectionEnd = .closed
    private var timer = ConnectionTimer()
    private var readPending = false
    /// It was told to end: nothing more is written, and what comes is told to nobody.
    private(set) var closing = false
    private var outputEnded = false
    /// Ends a connection whose last words are not taken.
    private var force: Scheduled<Void>?
    /// Whether something was written since the last flush.
    private var hasUnflushed = false
    private var flushPlanned = false
    /// How much has been thrown away since the end of the conversation; nil while nothing is to be.
    private var linger: Int?

    init(channel: any Channel, peer: Peer) {
        self.channel = channel
        stream = nil
        eventLoop = channel.eventLoop
        self.peer = peer
    }

    init(stream: ConnectionStream, eventLoop: any EventLoop, peer: Peer) {
        channel = nil
        self.stream = stream
        self.eventLoop = eventLoop
        self.peer = peer
    }

    /// Whether it shares a connection with others, and can itself carry no streams.
    package var isStream: Bool { stream != nil }

    /// Hands the connection to another driver: what comes from now on is the new conversation's.
    package func handOver(to next: any Conversation) {
        conversation = next
    }

    /// What a new channel needs to become a connection; set here, because each of a bootstrap's options costs futures.
    static func configure(_ channel: any Channel) throws {
        let options = channel.syncOptions
        try options?.setOption(.autoRead, value: false)
        try options?.setOption(.allowRemoteHalfClosure, value: true)
        // A piece of 64 KiB is too much to write, once the system's own buffer is full.
        try options?.setOption(.writeBufferWaterMark, value: .init(low: 32 << 10, high: 60 << 10))
        try options?.setOption(.recvAllocator, value: ReadSize())
        // More than one read in a round would only be copied together, and be kept for each connection with a large message.
        try options?.setOption(.maxMessagesPerRead, value: 1)
    }

    // MARK: output

    package func write(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        write(ByteBuffer(bytes: bytes))
    }

    package func write(_ buffer: ByteBuffer) {
        guard isOpen, !closing else { return }
        hasUnflushed = true
        if let stream { stream.write(buffer) } else { channel?.write(buffer, promise: nil) }
    }

    /// Tells the conversation at a stream's other end something that is not of the stream, behind all that was written. Only
    /// on a stream, and while `isWritable`.
    package func send(note: ByteBuffer) {
        guard let stream, isOpen, !closing else { return }
        hasUnflushed = true
        stream.send(note: note)
    }

    /// Sends what is written, if there is anything.
    package func flush() {
        guard hasUnflushed else { return }
        hasUnflushed = false
        if let stream { stream.flush() } else { channel?.flush() }
    }

    /// Sends what is written by the end of this round of the event loop: in one piece, and in one system call.
    package func flushSoon() {
        guard hasUnflushed, !flushPlanned else { return }
        flushPlanned = true
        eventLoop.assumeIsolated().execute { [self] in
            flushPlanned = false
            flush()
        }
    }

    /// Whether the peer's message was read whole and has no answer yet: the end of the process waits for it a while.
    package var owesAnswer = false

    /// Sends what is written and closes; but a peer that is still sending is heard out for a while. A socket that is
    /// closed with unread bytes in it sends a reset, and that takes our last words from the peer.
    package func closeLingering() {
        guard isOpen, !closing else { return }
        // The end of a stream takes nothing from its peer.
        guard let channel, !inputEnded else { return close() }
        closing = true
        linger = 0
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        force = eventLoop.scheduleTask(in: Self.lastWordsTime) { bound.value.abort() }
        channel.writeAndFlush(ByteBuffer()).whenComplete { _ in bound.value.awaitEnd() }
    }

    private func awaitEnd() {
        guard isOpen, let channel else { return }
        if inputEnded { return abort() }
        outputEnded = true
        channel.close(mode: .output, promise: nil)
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let end = eventLoop.scheduleTask(in: Self.lingerTime) { bound.value.abort() }
        channel.closeFuture.whenComplete { _ in end.cancel() }
        requestRead()
    }

    private static let lingerTime = TimeAmount.seconds(5)
    private static let lingerBytesMax = 16 << 20

    /// The peer has ended its half while we heard it out: true if that was all that was awaited.
    func lingeringEnded() -> Bool {
        guard linger != nil else { return false }
        if outputEnded { abort() }
        return true
    }

    /// Sends what is written, then closes.
    package func close() {
        guard isOpen, !closing else { return }
        closing = true
        wantsBytes = false
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        if let channel {
            channel.writeAndFlush(ByteBuffer()).whenComplete { _ in bound.value.abort() }
            if isOpen { force = eventLoop.scheduleTask(in: Self.lastWordsTime) { bound.value.abort() } }
        } else if let stream {
            stream.end(.close)
            // It may have to wait until the peer takes what was written before.
            if !stream.isOver { force = eventLoop.scheduleTask(in: Self.lastWordsTime) { bound.value.abort() } }
        }
    }

    /// A peer that never reads our last words must not keep the connection.
    private static let lastWordsTime = TimeAmount.seconds(30)

    /// Says that no more output comes; the peer may still send.
    func closeOutput() {
        guard isOpen, !closing, !outputEnded else { return }
        // With both halves gone the channel would drop what is still to be sent.
        if inputEnded { return close() }
        flush()
        outputEnded = true
        if let stream { stream.end(.end) } else { channel?.close(mode: .output, promise: nil) }
    }

    /// Closes at once; unsent output is lost.
    package func abort() {
        closing = true
        if let stream { return stream.abort() }
        // With half-closure on, NIOSSL takes the peer's close_notify for the end of input only, and waits on.
        if isTLS { try? channel?.syncOptions?.setOption(.allowRemoteHalfClosure, value: false) }
        requestRead()
        channel?.close(promise: nil)
    }

    // MARK: input

    /// Asks for one read, unless one is on its way, or nobody wants bytes and there are some already: a socket that is
    /// always asked for one costs the event loop nothing, and one that is not asked costs two system calls each time.
    /// The end of TLS takes reads of its own: the peer's last word must be heard.
    func requestRead() {
        let isEnding = closing && (isTLS || linger != nil)
        let hasRoom = !closing && unread.readableBytes == 0
        guard isOpen, !readPending, !inputEnded, wantsBytes || hasRoom || isEnding else { return }
        readPending = true
        channel?.read()
    }

    /// What came in advance is told now, unless the conversation takes it before.
    private func inputWanted() {
        requestRead()
        guard unread.readableBytes > 0 else { return }
        eventLoop.assumeIsolated().execute { [self] in tellUnread() }
    }

    func tellUnread() {
        guard wantsBytes, unread.readableBytes > 0 else { return }
        conversation?.received(self)
    }

    func readFinished() {
        readPending = false
        guard closing else { return }
        linger = linger.map { $0 + unread.readableBytes }
        unread = ByteBuffer()
        if let linger, linger > Self.lingerBytesMax { abort() }
    }

    /// The conversation took `count` bytes of `unread`. An emptied buffer is let go, so that an idle connection holds
    /// none.
    package func consume(_ count: Int) {
        // A connection that broke meanwhile has dropped its unread bytes.
        unread.moveReaderIndex(forwardBy: min(count, unread.readableBytes))
        if unread.readableBytes == 0 { unread = ByteBuffer() }
        stream?.noteTaken()
    }

    // MARK: time

    /// Starts both clocks, or sets them anew.
    package func setTimes(_ times: ConnectionTimes) {
        timer.set(times, connection: self)
    }

    /// A command or a good piece of a message came through: the idle clock starts again. Single bytes do not count, or a
    /// peer could hold a connection open with one byte a minute.
    package func madeProgress() {
        timer.lastProgress = .now()
    }

    func timerFired() {
        guard isOpen, let timeout = timer.fired(self) else { return }
        // Without a conversation it is still in its handshake.
        guard !closing, let conversation else { return abort() }
        conversation.timedOut(self, timeout)
    }

    func ended() {
        isOpen = false
        timer.cancel()
        force?.cancel()
        let last = conversation
        conversation = nil
        last?.closed(endReason)
    }

    // MARK: TLS

    /// Wraps the connection in TLS from the next byte on. The reply that announces it must be written before.
    package func startTLS(_ tls: ServerTLS) {
        flush()
        do {
            try addServerTLS(tls)
        } catch {
            endReason = .failed("TLS: \(error)")
            abort()
        }
    }

    /// The same as a client: the server has agreed to STARTTLS.
    ///
    /// - Parameter name: the name that the server's certificate must bear; nil to take any that `tls` trusts.
    package func startTLS(_ tls: ClientTLS, name: String?) {
        flush()
        do {
            try addClientTLS(tls, name: name)
        } catch {
            endReason = .failed("TLS: \(error)")
            abort()
        }
    }

    func addServerTLS(_ tls: ServerTLS) throws {
        try addFirst(NIOSSLServerHandler(context: tls.context))
    }

    /// - Parameter name: the name that the peer's certificate must bear; nil to take any that the CA signed.
    func addClientTLS(_ tls: ClientTLS, name: String?) throws {
        try addFirst(tls.makeHandler(name: name))
    }

    private func addFirst(_ handler: some ChannelHandler) throws {
        guard let channel else {
            throw EndpointError(description: "a stream has the TLS of its connection")
        }
        try channel.pipeline.syncOperations.addHandler(handler, position: .first)
    }

    // MARK: elsewhere and back

    /// A callback that may be called once from any thread and runs `body` on the connection's loop.
    package func completion<Value: Sendable>(_ body: @escaping (Value) -> Void) -> @Sendable (Value) -> Void {
        let bound = NIOLoopBound(body, eventLoop: eventLoop)
        return { value in bound.eventLoop.execute { bound.value(value) } }
    }

    /// Runs async work off the loop and comes back with its value.
    @discardableResult
    package func perform<Value: Sendable>(
        _ work: @escaping @Sendable () async -> Value, then body: @escaping (Value) -> Void
    ) -> Task<Void, Never> {
        let back = completion(body)
        return Task { back(await work()) }
    }

    /// Runs `body` on the loop once everything that had arrived by now has been read.
    package func afterPolling(_ body: @escaping () -> Void) {
        let bound = NIOLoopBound(body, eventLoop: eventLoop)
        // A round of the loop is poll, read, tasks: the second task runs behind a poll that the first did not see.
        eventLoop.execute { bound.eventLoop.execute { bound.value() } }
    }

    /// Runs `body` on the loop after `delay`, unless it is cancelled.
    @discardableResult
    package func after(_ delay: Duration, _ body: @escaping () -> Void) -> Scheduled<Void> {
        let bound = NIOLoopBound(body, eventLoop: eventLoop)
        return eventLoop.scheduleTask(in: TimeAmount(delay)) { bound.value() }
    }
}

/// Who is at the other end, as far as the transport knows; behind a balancer, as its PROXY header says.
package struct Peer: Sendable, Hashable {
    /// The address without port, as text: `192.0.2.1`, `2001:db8::1`, or `unix`.
    package let address: String
    package let port: Int?

    package init(address: String, port: Int?) {
        self.address = ClientNetwork.unmapped(address)
        self.port = port
    }

    init(_ socket: SocketAddress?) {
        self.init(address: socket?.ipAddress ?? Self.local, port: socket?.port)
    }

    private static let local = "unix"

    /// Whether it came over a Unix socket.
    package var isLocal: Bool { address == Self.local }
}
