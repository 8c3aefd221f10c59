import Mail
import NIOCore
import NIOPosix
import Testing

@testable import Wire

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

    @Test("notes come whole, each behind what was said before it, whoever reads the stream or does not")
    func notes() async throws {
        let streams = try await Streams { StreamsHost { _ in StreamNoter() } }
        let record = Record()
        let sizes = [1, 7_000, StreamFrame.noteBytesMax, 3]
        let client = try await streams.loop.submit { [loop = streams.loop] in
            NIOLoopBound(NoteClient(sizes: sizes, record: record), eventLoop: loop)
        }.get()
        try await streams.with { $0.open(client.value) }
        try await record.waits(for: "3 octets noted, 20 unread")
        // The host says five octets before each note that it gives back.
        #expect(record.all == sizes.enumerated().map { "\($1) octets noted, \(5 * ($0 + 1)) unread" })
        try await streams.loop.submit { client.value.connection?.abort() }.get()
        try await record.waits(for: "closed")
        await Listener.drain([streams.listener], timeout: .zero)
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
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {}
    func draining(_ connection: Connection) {}
    func closed(_ reason: ConnectionEnd) { record.note("closed") }
}
