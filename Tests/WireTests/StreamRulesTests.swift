import NIOCore
import Testing

@testable import Wire

private typealias Record = EchoConversation.Record

/// What becomes of a connection whose other side sends what it must not.
@Suite("Rules of streams, on real sockets", .timeLimit(.minutes(5)))
struct StreamRulesTests {
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
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {}
    func draining(_ connection: Connection) {}
    func closed(_ reason: ConnectionEnd) {}
}
