import NIOCore

/// Carries bytes both ways between two connections of one event loop, with back-pressure: neither side is read while
/// the other cannot take what came.
///
/// The session makes progress when the client ends a line or gets bytes. A client's single bytes are none, or one byte
/// now and then would hold a session open.
package final class Relay {
    private static let lineFeed = UInt8(ascii: "\n")

    private let client: Connection
    private let server: Connection

    /// Joins the two; what either has unread goes across first.
    /// - Parameters:
    ///   - times: the clocks of the client's side; the server's side has none of its own.
    ///   - ended: called once, when either side is gone.
    package static func join(
        client: Connection, server: Connection, times: ConnectionTimes, ended: @escaping () -> Void
    ) {
        let relay = Relay(client: client, server: server)
        let once = Once(ended)
        client.handOver(to: RelaySide(relay, from: client, to: server, ended: once))
        server.handOver(to: RelaySide(relay, from: server, to: client, ended: once))
        client.setTimes(times)
        server.setTimes(ConnectionTimes(idle: .zero, total: .zero))
        relay.pump(from: server, to: client)
        relay.pump(from: client, to: server)
    }

    private init(client: Connection, server: Connection) {
        self.client = client
        self.server = server
    }

    fileprivate func pump(from source: Connection, to sink: Connection) {
        if source.unread.readableBytes > 0 {
            let bytes = source.unread
            source.consume(bytes.readableBytes)
            sink.write(bytes)
            sink.flush()
            if source === server || bytes.readableBytesView.contains(Self.lineFeed) { client.madeProgress() }
        }
        if source.inputEnded { sink.closeOutput() }
        source.wantsBytes = sink.isWritable
    }
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
    func tlsStarted(_ connection: Connection) {}

    func received(_ connection: Connection) {
        relay.pump(from: source, to: sink)
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
        if sink.isOpen { sink.close() }
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
