package import NIOCore

/// Carries bytes both ways between two connections of one event loop, with back-pressure: neither side is read while
/// the other cannot take what came.
///
/// The session makes progress when the client ends a line or gets bytes. A client's single bytes are none, or one byte
/// now and then would hold a session open.
package final class Relay {
    private static let lineFeed = UInt8(ascii: "\n")

    private let client: Connection
    fileprivate let server: Connection
    fileprivate let shortcut: (any RelayShortcut)?

    /// Joins the two; what either has unread goes across first.
    /// - Parameters:
    ///   - times: the clocks of the client's side; the server's side has none of its own.
    ///   - shortcut: what may answer the client in the server's stead.
    ///   - ended: called once, when either side is gone.
    package static func join(
        client: Connection, server: Connection, times: ConnectionTimes, shortcut: (any RelayShortcut)? = nil,
        ended: @escaping () -> Void
    ) {
        let relay = Relay(client: client, server: server, shortcut: shortcut)
        let once = Once(ended)
        client.handOver(to: RelaySide(relay, from: client, to: server, ended: once))
        server.handOver(to: RelaySide(relay, from: server, to: client, ended: once))
        client.setTimes(times)
        server.setTimes(ConnectionTimes(idle: .zero, total: .zero))
        relay.pump(from: server, to: client)
        relay.pump(from: client, to: server)
    }

    private init(client: Connection, server: Connection, shortcut: (any RelayShortcut)?) {
        self.client = client
        self.server = server
        self.shortcut = shortcut
    }

    fileprivate func pump(from source: Connection, to sink: Connection) {
        if source.unread.readableBytes > 0 {
            if source === client, let shortcut, shortcut.answers(client, insteadOf: server) {
                client.madeProgress()
            } else {
                carry(from: source, to: sink)
            }
        }
        if source.inputEnded { sink.closeOutput() }
        source.wantsBytes = sink.isWritable
    }

    /// One side is gone. What the server had said before goes out, however late the client takes it.
    fileprivate func ended(_ source: Connection, _ sink: Connection) {
        guard sink.isOpen else { return }
        if source === server, source.unread.readableBytes > 0 { carry(from: source, to: sink) }
        sink.close()
    }

    private func carry(from source: Connection, to sink: Connection) {
        let bytes = source.unread
        source.consume(bytes.readableBytes)
        if source === client { shortcut?.forwards(bytes, to: server) }
        sink.write(bytes)
        // What comes in one round of the event loop leaves in one piece.
        sink.flushSoon()
        if source === server || bytes.readableBytesView.contains(Self.lineFeed) { client.madeProgress() }
    }
}

/// What may answer a relay's client in the server's stead.
package protocol RelayShortcut: AnyObject {
    /// Answers all that `client` has unread, takes it, and flushes; or does nothing and says false.
    func answers(_ client: Connection, insteadOf server: Connection) -> Bool
    /// The client's bytes are written to the server next.
    func forwards(_ bytes: ByteBuffer, to server: Connection)
    /// The server's conversation says something beside the session.
    func noted(_ note: ByteBuffer, from server: Connection)
}

/// One direction's driver: the conversation of `source`.
private final class RelaySide: Conversation {
    private let relay: Relay
    private let source: Connection
    private let sink: Connection
    private let ended: Once

    init(_ relay: Relay, from source: Connection, to sink: Connection, ended: Once) {
        self.relay = relay
        self.source = source
        self.sink = sink
        self.ended = ended
    }

    func opened(_ connection: Connection) {}

    func received(_ connection: Connection) {
        relay.pump(from: source, to: sink)
    }

    func noted(_ connection: Connection, _ note: ByteBuffer) {
        if connection === relay.server { relay.shortcut?.noted(note, from: connection) }
    }

    func writable(_ connection: Connection) {
        relay.pump(from: sink, to: source)
    }

    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {
        source.abort()
    }

    /// A session under way may go on until the process stops.
    func draining(_ connection: Connection) {}

    func closed(_ reason: ConnectionEnd) {
        relay.ended(source, sink)
        ended.call()
    }
}

private final class Once {
    private var body: (() -> Void)?

    init(_ body: @escaping () -> Void) { self.body = body }

    func call() {
        body?()
        body = nil
    }
}
