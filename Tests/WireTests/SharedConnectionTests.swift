import Mail
import NIOCore
import NIOPosix
import Testing

@testable import Wire

/// A connection to a server that accepts streams, and the streams of this side.
private final class Streams: Sendable {
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

private typealias Record = EchoConversation.Record

@Suite("Streams of one connection, on real sockets", .timeLimit(.minutes(5)))
struct SharedConnectionTests {
    private func text(_ count: Int, _ seed: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761 &+ seed &* 97) >> 7) }
    }

    @Test("many streams carry much both ways at once, each its own, and each ends by itself")
    func many() async throws {
        let hostRecord = Record()
        let streams = try await Streams { StreamsHost { _ in StreamEcho(record: hostRecord) } }
        let records = (0..<60).map { _ in Record() }
        for (number, record) in records.enumerated() {
            let said = text(number * 9_000 + 1, number)
            try await streams.open { StreamClient(says: said, record: record) }
        }
        for (number, record) in records.enumerated() {
            try await record.waits(for: "closed")
            #expect(record.all == [StreamClient.note(of: text(number * 9_000 + 1, number)), "closed"])
        }
        #expect(streams.listener.connectionCount == 1)
        try await streams.with { $0.retire() }
        await streams.listener.drain()
    }

    @Test("who does not read holds up nobody else, and no more than a window is kept for him")
    func slow() async throws {
        let source = Record()
        let octets = 8 << 20
        let streams = try await Streams { StreamsHost { _ in StreamSource(octets: octets, record: source) } }
        let slow = Record()
        let client = try await streams.open { StreamClient(says: [], ends: false, takes: false, record: slow) }
        for _ in 0..<6000 where try await streams.on(client, { $0.unreadCount }) < ConnectionStream.openingWindow {
            try await Task.sleep(for: .milliseconds(10))
        }
        let fast = Record()
        try await streams.open { StreamClient(says: [], ends: false, record: fast) }
        try await fast.waits(for: "closed")
        let whole = StreamClient.note(of: [UInt8](repeating: 0x78, count: octets))
        #expect(fast.all == [whole, "closed"])
        #expect(try await streams.on(client) { $0.unreadCount } == ConnectionStream.openingWindow)
        #expect(slow.all == [])
        try await streams.on(client) { $0.takes = true }
        try await slow.waits(for: "closed")
        #expect(slow.all == [whole, "closed"])
        await streams.listener.drain()
    }

    @Test(
        "what was said before a stream was closed, or its connection broke, comes to who reads late",
        arguments: [false, true])
    func late(breaks: Bool) async throws {
        let source = Record()
        let octets = 100_000
        let streams = try await Streams { StreamsHost { _ in StreamSource(octets: octets, record: source) } }
        let record = Record()
        let client = try await streams.open { StreamClient(says: [], ends: false, takes: false, record: record) }
        try await source.waits(for: "closed")
        if breaks { await Listener.drain([streams.listener], timeout: .zero) }
        try await Task.sleep(for: .milliseconds(100))
        try await streams.on(client) { $0.takes = true }
        try await record.waits(for: "closed")
        #expect(record.all == [StreamClient.note(of: [UInt8](repeating: 0x78, count: octets)), "closed"])
        await streams.listener.drain()
    }

    @Test("a connection that breaks ends all its streams, on both sides, once")
    func breaks() async throws {
        let host = Record()
        let streams = try await Streams { StreamsHost { _ in StreamEcho(record: host) } }
        let records = (0..<20).map { _ in Record() }
        for record in records { try await streams.open { StreamClient(says: [1, 2, 3], ends: false, record: record) } }
        let client = Record()
        try await streams.open { StreamClient(says: [1], record: client) }
        try await client.waits(for: "closed")
        await Listener.drain([streams.listener], timeout: .zero)
        for record in records {
            try await record.waits(for: "closed")
            #expect(record.all == [StreamClient.note(of: [1, 2, 3]), "closed"])
        }
        for _ in 0..<6000 where host.all.count(where: { $0 == "closed" }) < 21 {
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(host.all.count(where: { $0 == "closed" }) == 21)
        #expect(try await streams.with { !$0.takesStreams })
    }

    @Test("a stream that is given up ends at the other side; others go on")
    func abort() async throws {
        let source = Record()
        let streams = try await Streams { StreamsHost { _ in StreamSource(octets: 1 << 30, record: source) } }
        let (first, second) = (Record(), Record())
        let one = try await streams.open { StreamClient(says: [], ends: false, takes: false, record: first) }
        let other = try await streams.open { StreamClient(says: [], ends: false, takes: false, record: second) }
        try await streams.on(one) { $0.connection?.abort() }
        try await first.waits(for: "closed")
        try await source.waits(for: "closed")
        #expect(source.all.count(where: { $0 == "closed" }) == 1)
        #expect(try await streams.on(other) { $0.connection?.isOpen } == true)
        try await streams.on(other) { $0.connection?.abort() }
        try await second.waits(for: "closed")
        await streams.listener.drain()
    }

    @Test("one stream too many is told so, and its place is free when another has left")
    func census() async throws {
        let host = Record()
        let streams = try await Streams { StreamsHost(streamsMax: 2) { _ in StreamEcho(record: host) } }
        let records = (0..<4).map { _ in Record() }
        func open(_ number: Int) async throws -> NIOLoopBound<StreamClient> {
            try await streams.open { StreamClient(says: [], ends: false, record: records[number]) }
        }
        let clients = [try await open(0), try await open(1), try await open(2)]
        try await records[2].waits(for: "closed")
        #expect(records[2].all == [StreamClient.note(of: Array("too many\n".utf8)), "closed"])
        try await streams.on(clients[0]) { $0.connection?.abort() }
        try await host.waits(for: "closed")
        let last = try await open(3)
        try await streams.on(last) { client in
            client.connection?.write([7])
            client.connection?.closeOutput()
        }
        try await records[3].waits(for: "closed")
        #expect(records[3].all == [StreamClient.note(of: [7]), "closed"])
        await Listener.drain([streams.listener], timeout: .zero)
    }

    @Test("a connection without streams is closed after a while, and one that has some is not")
    func idle() async throws {
        let host = Record()
        let record = Record()
        let streams = try await Streams(
            idle: .milliseconds(200), first: { StreamClient(says: [5], ends: false, record: record) }
        ) { StreamsHost { _ in StreamEcho(record: host) } }
        try await host.waits(for: "opened")
        try await Task.sleep(for: .milliseconds(600))
        #expect(streams.listener.connectionCount == 1)
        try await streams.loop.submit { streams.first.value?.connection?.closeOutput() }.get()
        try await record.waits(for: "closed")
        #expect(record.all == [StreamClient.note(of: [5]), "closed"])
        for _ in 0..<6000 where streams.listener.connectionCount > 0 { try await Task.sleep(for: .milliseconds(10)) }
        #expect(streams.listener.connectionCount == 0)
        #expect(try await streams.with { !$0.takesStreams })
    }

    @Test("a connection that is retired ends with its last stream")
    func retired() async throws {
        let host = Record()
        let streams = try await Streams { StreamsHost { _ in StreamEcho(record: host) } }
        let record = Record()
        let client = try await streams.open { StreamClient(says: [5], ends: false, record: record) }
        try await streams.with { $0.retire() }
        #expect(try await streams.with { !$0.takesStreams })
        try await streams.on(client) { client in
            client.connection?.write([6])
            client.connection?.closeOutput()
        }
        try await record.waits(for: "closed")
        #expect(record.all == [StreamClient.note(of: [5, 6]), "closed"])
        for _ in 0..<6000 where streams.listener.connectionCount > 0 { try await Task.sleep(for: .milliseconds(10)) }
        #expect(streams.listener.connectionCount == 0)
    }

    @Test("a host that drains tells its streams, and turns new ones away")
    func draining() async throws {
        let host = Record()
        let streams = try await Streams { StreamsHost { _ in StreamEcho(record: host) } }
        let (old, new) = (Record(), Record())
        let client = try await streams.open { StreamClient(says: [5], ends: false, record: old) }
        try await host.waits(for: "opened")
        await streams.listener.drain()
        try await host.waits(for: "draining")
        try await streams.open { StreamClient(says: [6], ends: false, record: new) }
        try await new.waits(for: "closed")
        #expect(new.all == [StreamClient.note(of: []), "closed"])
        try await streams.on(client) { $0.connection?.closeOutput() }
        try await old.waits(for: "closed")
        #expect(old.all == [StreamClient.note(of: [5]), "closed"])
        for _ in 0..<6000 where streams.listener.connectionCount > 0 { try await Task.sleep(for: .milliseconds(10)) }
        #expect(streams.listener.connectionCount == 0)
    }

    @Test("streams of a connection that never comes up hear why")
    func nobodyThere() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let record = Record()
        try await loop.submit {
            let shared = SharedConnection(eventLoop: loop, idleTimeout: .seconds(60))
            let target = DialTarget(endpoint: .tcp(host: "127.0.0.1", port: 1), timeout: .seconds(60))
            Dialer.connect(target, on: loop, conversation: StreamsBeginning(shared))
            shared.open(StreamClient(says: [1, 2, 3], record: record))
        }.get()
        try await record.waits(for: "closed")
        #expect(record.all == ["failed", StreamClient.note(of: []), "closed"])
    }

    @Test("nothing of a stream is left when it is over")
    func leaks() async throws {
        let host = Record()
        let streams = try await Streams { StreamsHost { _ in StreamEcho(record: host) } }
        let record = Record()
        let left = try await streams.loop.submit { [loop = streams.loop] in
            NIOLoopBound(WeakClient(), eventLoop: loop)
        }.get()
        try await streams.with { shared in
            let client = StreamClient(says: [1, 2, 3], record: record)
            shared.open(client)
            left.value.client = client
            left.value.connection = client.connection
        }
        try await record.waits(for: "closed")
        // What ended it has returned by then.
        let isGone = try await streams.loop.submit { left.value.client == nil && left.value.connection == nil }.get()
        #expect(isGone)
        await Listener.drain([streams.listener], timeout: .zero)
    }

    private final class WeakClient {
        weak var client: StreamClient?
        weak var connection: Connection?
    }

    // MARK: peers that break the rules

    private func frame(_ kind: StreamFrame.Kind, _ stream: UInt32, _ bytes: [UInt8] = [], count: Int? = nil) -> [UInt8]
    {
        withUnsafeBytes(of: StreamFrame.head(kind, stream, length: count ?? bytes.count).bigEndian) { Array($0) }
            + bytes
    }

    private var broken: [(String, [UInt8])] {
        let long = [UInt8](repeating: 1, count: ConnectionStream.acceptingWindow)
        return [
            ("no frame", Array("XOPEN a@b\r\n".utf8)),
            ("data of a stream that was never opened", frame(.data, 2, [1])),
            ("credit of a stream that was never opened", frame(.credit, 2, count: 1)),
            ("the end of a stream that was never opened", frame(.end, 2)),
            ("a stream that is opened twice", frame(.open, 1)),
            ("numbers that go down", frame(.open, 5) + frame(.open, 3)),
            ("more than the window", frame(.open, 2) + frame(.end, 1) + frame(.data, 2, long + [1])),
            ("more credit than there was", frame(.credit, 1, count: 1)),
            ("the most credit there is", frame(.credit, 1, count: 0xFFFFFF)),
            ("data behind its end", frame(.data, 1, [1]) + frame(.end, 1) + frame(.data, 1, [1])),
            ("nothing", frame(.data, 1)),
        ]
    }

    @Test("a peer that breaks the rules loses its connection, and nobody else anything")
    func violations() async throws {
        let host = Record()
        let streams = try await Streams { StreamsHost { _ in StreamDeaf(record: host) } }
        let record = Record()
        let client = try await streams.open { StreamClient(says: [], ends: false, record: record) }
        for (number, (what, bytes)) in broken.enumerated() {
            let peer = try SocketClient(port: streams.port)
            try await peer.send(bytes: frame(.open, 1) + bytes)
            #expect(try await peer.read() == "", "\(what)")
            for _ in 0..<6000 where host.all.count < number + 1 { try await Task.sleep(for: .milliseconds(10)) }
            #expect(host.all.count >= number + 1, "\(what)")
        }
        #expect(try await streams.on(client) { $0.connection?.isOpen } == true)
        await Listener.drain([streams.listener], timeout: .zero)
    }

    @Test("an accepting side that breaks the rules loses its connection, and its streams end")
    func violationsOfHost() async throws {
        let long = [UInt8](repeating: 1, count: ConnectionStream.openingWindow)
        for (what, bytes) in [
            ("no frame", Array("+OK ready\r\n".utf8)), ("it opens a stream itself", frame(.open, 2)),
            ("data of a stream that was never opened", frame(.data, 3, [1])),
            ("more than the window", frame(.data, 1, long + [1])),
            ("more credit than there was", frame(.credit, 1, count: 1)),
            ("data behind its end", frame(.end, 1) + frame(.data, 1, [1])),
        ] {
            let streams = try await Streams { RawHost(says: bytes) }
            let record = Record()
            try await streams.with { shared in
                shared.open(StreamClient(says: [], ends: false, takes: false, record: record))
                shared.open(StreamClient(says: [], ends: false, record: record))
            }
            for _ in 0..<6000 where try await streams.with({ $0.takesStreams }) {
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(try await streams.with { !$0.takesStreams }, "\(what)")
            try await record.waits(for: "closed")
            for _ in 0..<6000 where streams.listener.connectionCount > 0 {
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(streams.listener.connectionCount == 0, "\(what)")
        }
    }

    @Test("an accepting side that has ended its half still hears the other")
    func halfClose() async throws {
        let host = Record()
        let streams = try await Streams { StreamsHost { _ in StreamHalf(record: host) } }
        let record = Record()
        let client = try await streams.open { StreamClient(says: [1], ends: false, takes: false, record: record) }
        try await host.waits(for: "1")
        try await Task.sleep(for: .milliseconds(100))
        try await streams.on(client) { client in
            client.connection?.write([2, 3])
            client.connection?.flush()
        }
        try await host.waits(for: "2")
        try await streams.on(client) { $0.takes = true }
        try await record.waits(for: "closed")
        #expect(record.all == [StreamClient.note(of: Array("half".utf8)), "closed"])
        await Listener.drain([streams.listener], timeout: .zero)
    }

    @Test("a conversation that gives its stream up at once leaves no trace of it")
    func stillborn() async throws {
        let streams = try await Streams {
            StreamsHost(streamsMax: 1) { connection in
                connection.abort()
                return StreamDeaf(record: Record())
            }
        }
        for _ in 0..<3 {
            let record = Record()
            try await streams.open { StreamClient(says: [1], ends: false, record: record) }
            try await record.waits(for: "closed")
            #expect(record.all == [StreamClient.note(of: []), "closed"])
        }
        await Listener.drain([streams.listener], timeout: .zero)
    }

    @Test("late frames of a stream that is over are dropped")
    func lateFrames() async throws {
        let host = Record()
        let streams = try await Streams { StreamsHost { _ in StreamEcho(record: host) } }
        let peer = try SocketClient(port: streams.port)
        try await peer.send(
            bytes: frame(.open, 1) + frame(.close, 1) + frame(.data, 1, [1, 2]) + frame(.credit, 1, count: 9)
                + frame(.end, 1)
                + frame(.close, 1) + frame(.open, 2) + frame(.data, 2, Array("ping".utf8)))
        #expect(try await peer.read(until: "ping").utf8.count == 12)
        await Listener.drain([streams.listener], timeout: .zero)
    }

    @Test("who does not read the answers is not heard further")
    func unread() async throws {
        let host = Record()
        let streams = try await Streams { StreamsHost(streamsMax: 1) { _ in StreamEcho(record: host) } }
        let peer = try SocketClient(port: streams.port)
        // Each of these streams is refused in words, and nobody reads them.
        let sent = try await peer.sendUntilBlocked { number in frame(.open, UInt32(number + 1)) }
        #expect(sent < 64 << 20)
        await Listener.drain([streams.listener], timeout: .zero)
    }
}

/// Takes nothing, and notes its end.
private final class StreamDeaf: Conversation {
    private let record: EchoConversation.Record

    init(record: EchoConversation.Record) { self.record = record }

    func opened(_ connection: Connection) { connection.wantsBytes = false }
    func received(_ connection: Connection) {}
    func writable(_ connection: Connection) {}
    func tlsStarted(_ connection: Connection) {}
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {}
    func draining(_ connection: Connection) {}
    func closed(_ reason: ConnectionEnd) { record.note("closed") }
}

/// Says something that is no answer of an accepting side, and takes what comes.
private final class RawHost: Conversation {
    private let bytes: [UInt8]

    init(says bytes: [UInt8]) { self.bytes = bytes }

    func opened(_ connection: Connection) {}
    func received(_ connection: Connection) {
        // The first stream is open by then.
        if connection.unread.readableBytes > 0 {
            connection.write(bytes)
            connection.flush()
        }
        connection.consume(connection.unread.readableBytes)
        if connection.inputEnded { connection.close() }
    }
    func writable(_ connection: Connection) {}
    func tlsStarted(_ connection: Connection) {}
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {}
    func draining(_ connection: Connection) {}
    func closed(_ reason: ConnectionEnd) {}
}

/// Says a word and ends its half at the first octet; closes after two more.
private final class StreamHalf: Conversation {
    private let record: Record
    private var count = 0

    init(record: Record) { self.record = record }

    func opened(_ connection: Connection) {}
    func received(_ connection: Connection) {
        let bytes = connection.unread.readableBytes
        connection.consume(bytes)
        guard bytes > 0 else { return }
        count += bytes
        record.note("\(bytes)")
        if count == 1 {
            connection.write(Array("half".utf8))
            connection.closeOutput()
        }
        if count == 3 { connection.close() }
    }
    func writable(_ connection: Connection) {}
    func tlsStarted(_ connection: Connection) {}
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {}
    func draining(_ connection: Connection) {}
    func closed(_ reason: ConnectionEnd) { record.note("closed") }
}
