import Mail
import NIOCore
import NIOPosix

@testable import Wire

/// A connection to a server that accepts streams, and the streams of this side.
final class Streams: Sendable {
    let loop: any EventLoop
    let listener: Listener
    let port: Int
    private let shared: NIOLoopBound<SharedConnection>
    /// The client that was there from the beginning.
    let first: NIOLoopBound<StreamClient?>

    /// - Parameter first: makes a client whose stream is opened before anything else can happen.
    init(
        idle: Duration = .seconds(60), first makeFirst: (@Sendable () -> StreamClient)? = nil,
        _ makeHost: @escaping @Sendable () -> any Conversation
    ) async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let settings = ListenerOptions(
            endpoint: .tcp(host: "127.0.0.1", port: 0), limits: ConnectionLimits(connectionsMax: 0, perAddressMax: 0))
        listener = try await Listener.bind(settings, group: group, refusal: { _ in "" }) { _ in makeHost() }
        let endpoint = listener.endpoint
        guard case .tcp(_, let port) = endpoint else { throw EndpointError(description: "no port") }
        self.port = port
        let loop = group.next()
        self.loop = loop
        (shared, first) = try await loop.submit {
            let shared = SharedConnection(eventLoop: loop, idleTimeout: idle)
            let target = DialTarget(endpoint: endpoint, timeout: .seconds(60))
            Dialer.connect(target, on: loop, conversation: StreamsBeginning(shared))
            let first = makeFirst?()
            if let first { shared.open(first) }
            return (NIOLoopBound(shared, eventLoop: loop), NIOLoopBound(first, eventLoop: loop))
        }.get()
    }

    /// Does something with the connection, on its event loop.
    func with<Value: Sendable>(_ body: @escaping @Sendable (SharedConnection) -> Value) async throws -> Value {
        try await loop.submit { body(self.shared.value) }.get()
    }

    @discardableResult
    func open(_ make: @escaping @Sendable () -> StreamClient) async throws -> NIOLoopBound<StreamClient> {
        try await loop.submit {
            let client = make()
            self.shared.value.open(client)
            return NIOLoopBound(client, eventLoop: self.loop)
        }.get()
    }

    func on<Value: Sendable>(
        _ client: NIOLoopBound<StreamClient>, _ body: @escaping @Sendable (StreamClient) -> Value
    ) async throws -> Value {
        try await loop.submit { body(client.value) }.get()
    }
}

/// The side of a connection that accepts streams.
final class StreamsHost: Conversation {
    private let census: ConnectionCensus
    private let makeConversation: (Connection) -> any Conversation

    init(
        streamsMax: Int = 0, makeConversation: @escaping (Connection) -> any Conversation
    ) {
        census = ConnectionCensus(limits: ConnectionLimits(connectionsMax: streamsMax, perAddressMax: 0))
        self.makeConversation = makeConversation
    }

    func opened(_ connection: Connection) {
        SharedConnection(
            eventLoop: connection.eventLoop, idleTimeout: .seconds(60),
            acceptor: .init(census: census, refusal: { _ in "too many\n" }, makeConversation: makeConversation)
        ).begin(on: connection)
    }
    func received(_ connection: Connection) {}
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {}
    func draining(_ connection: Connection) {}
    func closed(_ reason: ConnectionEnd) {}
}

/// The side that opens them: once it is connected, streams begin without a word.
final class StreamsBeginning: Conversation {
    private let shared: SharedConnection

    init(_ shared: SharedConnection) { self.shared = shared }

    func opened(_ connection: Connection) { shared.begin(on: connection) }
    func received(_ connection: Connection) {}
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) { connection.abort() }
    func draining(_ connection: Connection) {}
    func closed(_ reason: ConnectionEnd) { shared.closed(reason) }
}

/// Gives back what it gets, as fast as that is taken, and ends when its peer has said all.
final class StreamEcho: Conversation {
    private let record: EchoConversation.Record

    init(record: EchoConversation.Record) { self.record = record }

    func opened(_ connection: Connection) { record.note("opened") }
    func received(_ connection: Connection) {
        if connection.isWritable, connection.unread.readableBytes > 0 {
            let bytes = connection.unread
            connection.consume(bytes.readableBytes)
            connection.write(bytes)
            connection.flush()
        }
        if connection.inputEnded, connection.unread.readableBytes == 0 { return connection.close() }
        connection.wantsBytes = connection.isWritable
    }
    func writable(_ connection: Connection) { received(connection) }
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) { connection.abort() }
    func draining(_ connection: Connection) { record.note("draining") }
    func closed(_ reason: ConnectionEnd) { record.note("closed") }
}

/// Writes so many octets, as fast as they are taken, and closes.
final class StreamSource: Conversation {
    private let record: EchoConversation.Record
    private var left: Int

    init(octets: Int, record: EchoConversation.Record) {
        left = octets
        self.record = record
    }

    func opened(_ connection: Connection) { writable(connection) }
    func received(_ connection: Connection) {}
    func writable(_ connection: Connection) {
        while left > 0, connection.isWritable {
            let piece = min(left, 50_000)
            connection.write([UInt8](repeating: 0x78, count: piece))
            left -= piece
            record.note("\(left)")
        }
        connection.flush()
        if left == 0 { connection.close() }
    }
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) { connection.abort() }
    func draining(_ connection: Connection) {}
    func closed(_ reason: ConnectionEnd) { record.note("closed") }
}

/// Says something, ends its half, and keeps what comes: all of it, or only once it is told to take it.
final class StreamClient: Conversation {
    private let record: EchoConversation.Record
    private var text: ByteBuffer
    private(set) var connection: Connection?
    private var got = ByteBuffer()
    private let ends: Bool
    /// While false nothing is taken.
    var takes: Bool { didSet { if takes, let connection { take(connection) } } }

    init(says text: [UInt8], ends: Bool = true, takes: Bool = true, record: EchoConversation.Record) {
        self.text = ByteBuffer(bytes: text)
        self.ends = ends
        self.takes = takes
        self.record = record
    }

    var unreadCount: Int { connection?.unread.readableBytes ?? 0 }

    func opened(_ connection: Connection) {
        self.connection = connection
        connection.wantsBytes = takes
        writable(connection)
    }

    func writable(_ connection: Connection) {
        while connection.isWritable, let piece = text.readSlice(length: min(10_000, text.readableBytes)),
            piece.readableBytes > 0
        {
            connection.write(piece)
        }
        connection.flush()
        if ends, text.readableBytes == 0 { connection.closeOutput() }
    }

    func received(_ connection: Connection) { if takes { take(connection) } }

    private func take(_ connection: Connection) {
        connection.wantsBytes = true
        got.writeBuffer(&connection.unread)
        connection.consume(0)
        if connection.inputEnded { connection.close() }
    }

    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) { connection.abort() }
    func draining(_ connection: Connection) {}
    func closed(_ reason: ConnectionEnd) {
        connection = nil
        if case .failed = reason { record.note("failed") }
        record.note(
            "got \(got.readableBytes) \(got.readableBytesView.reduce(into: UInt64(0)) { $0 = $0 &* 31 &+ UInt64($1) })")
        record.note("closed")
    }

    /// What `closed` notes of a text that came whole.
    static func note(of text: [UInt8]) -> String {
        "got \(text.count) \(text.reduce(into: UInt64(0)) { $0 = $0 &* 31 &+ UInt64($1) })"
    }
}

/// Takes nothing, and notes its end.
final class StreamDeaf: Conversation {
    private let record: EchoConversation.Record

    init(record: EchoConversation.Record) { self.record = record }

    func opened(_ connection: Connection) { connection.wantsBytes = false }
    func received(_ connection: Connection) {}
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {}
    func draining(_ connection: Connection) {}
    func closed(_ reason: ConnectionEnd) { record.note("closed") }
}

/// Gives each note back, behind a word on the stream.
final class StreamNoter: Conversation {
    func noted(_ connection: Connection, _ note: ByteBuffer) {
        connection.write(Array("word\n".utf8))
        connection.send(note: note)
        connection.flush()
    }

    func opened(_ connection: Connection) {}
    func received(_ connection: Connection) {}
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {}
    func draining(_ connection: Connection) {}
    func closed(_ reason: ConnectionEnd) {}
}

/// Sends notes, reads nothing, and records the notes that come back whole.
final class NoteClient: Conversation {
    private let sizes: [Int]
    private let record: EchoConversation.Record
    private(set) var connection: Connection?

    init(sizes: [Int], record: EchoConversation.Record) {
        self.sizes = sizes
        self.record = record
    }

    func opened(_ connection: Connection) {
        self.connection = connection
        connection.wantsBytes = false
        for size in sizes { connection.send(note: Self.note(size)) }
        connection.flush()
    }

    func noted(_ connection: Connection, _ note: ByteBuffer) {
        let octets = note.readableBytes
        let isRight = note == Self.note(octets)
        record.note("\(octets) octets \(isRight ? "noted" : "mixed"), \(connection.unread.readableBytes) unread")
    }

    private static func note(_ size: Int) -> ByteBuffer { ByteBuffer(bytes: (0..<size).map { UInt8($0 % 251) }) }

    func received(_ connection: Connection) {}
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {}
    func draining(_ connection: Connection) {}
    func closed(_ reason: ConnectionEnd) {
        connection = nil
        record.note("closed")
    }
}
