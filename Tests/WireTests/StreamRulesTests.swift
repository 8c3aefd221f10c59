import NIOCore
import SeededRandom
import Synchronization
import Testing

@testable import Wire

private typealias Record = EchoConversation.Record

/// What becomes of a connection whose other side sends what it must not.
@Suite("Rules of streams, on real sockets", .timeLimit(.minutes(5)))
struct StreamRulesTests {
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

    @Test("whatever frames a peer sends, each of its streams is answered with its own octets, and ends once")
    func anyFrames() async throws {
        let counts = StreamFickle.Counts()
        let streams = try await Streams { StreamsHost { _ in StreamFickle(counts) } }
        var answered = 0
        for seed in 0..<300 {
            let frames = RandomFrames(seed: UInt64(seed))
            let peer = try SocketClient(port: streams.port)
            for piece in frames.pieces { try await peer.send(bytes: piece) }
            peer.endInput()
            for (stream, answer) in try frames.answers(in: try await peer.readBytes()) {
                #expect(frames.data[stream, default: []].starts(with: answer), "seed \(seed), stream \(stream)")
                answered += answer.count
            }
        }
        #expect(answered > 100_000)
        try await streams.with { $0.retire() }
        await Listener.drain([streams.listener], timeout: .seconds(60))
        for _ in 0..<6000 where counts.all.closed < counts.all.opened { try await Task.sleep(for: .milliseconds(10)) }
        let (opened, closed) = counts.all
        #expect(opened > 1_000 && closed == opened, "\(opened) opened, \(closed) closed")
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

private func frame(_ kind: StreamFrame.Kind, _ stream: UInt32, _ bytes: [UInt8] = [], count: Int? = nil) -> [UInt8] {
    withUnsafeBytes(of: StreamFrame.head(kind, stream, length: count ?? bytes.count).bigEndian) { Array($0) } + bytes
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

/// Gives back what it gets, notes too, until an octet tells it to do something else.
private final class StreamFickle: Conversation {
    final class Counts: Sendable {
        private let counts = Mutex((opened: 0, closed: 0))
        func addOpened() { counts.withLock { $0.opened += 1 } }
        func addClosed() { counts.withLock { $0.closed += 1 } }
        var all: (opened: Int, closed: Int) { counts.withLock { $0 } }
    }

    /// Octets that are no plain ones: rest, end its half, close, give up.
    static let commands: ClosedRange<UInt8> = 0xFC...0xFF
    private let counts: Counts

    init(_ counts: Counts) { self.counts = counts }

    func opened(_ connection: Connection) { counts.addOpened() }

    func received(_ connection: Connection) {
        while connection.isOpen, connection.isWritable, connection.unread.readableBytes > 0 {
            let unread = connection.unread.readableBytesView
            let plain = unread.prefix { !Self.commands.contains($0) }
            connection.write(Array(plain))
            let command = unread.dropFirst(plain.count).first
            connection.consume(plain.count + (command == nil ? 0 : 1))
            switch command {
            case 0xFC?: connection.wantsBytes = false
            case 0xFD?: connection.closeOutput()
            case 0xFE?: connection.close()
            case 0xFF?: connection.abort()
            default: break
            }
        }
        connection.flush()
        if connection.inputEnded { connection.close() }
    }

    func noted(_ connection: Connection, _ note: ByteBuffer) {
        guard connection.isWritable else { return }
        connection.send(note: note)
        connection.flush()
    }

    func writable(_ connection: Connection) { received(connection) }
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {}
    func draining(_ connection: Connection) { connection.abort() }
    func closed(_ reason: ConnectionEnd) { counts.addClosed() }
}

/// Frames of a few streams, most of them as they should be.
private struct RandomFrames {
    private(set) var pieces: [[UInt8]] = []
    /// The plain octets of each stream's data.
    private(set) var data: [UInt32: [UInt8]] = [:]

    init(seed: UInt64) {
        var random = SplitMix(seed: seed)
        var newest: UInt32 = 0
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 1...120, using: &random) {
            let isNew = newest == 0 || Int.random(in: 0..<8, using: &random) == 0
            if isNew { newest += .random(in: 1...3, using: &random) }
            let stream = isNew ? newest : .random(in: (newest > 6 ? newest - 6 : 1)...newest, using: &random)
            bytes += isNew ? frame(.open, stream) : Self.next(on: stream, &data, &random)
        }
        while !bytes.isEmpty {
            let piece = bytes.prefix(.random(in: 1...4_000, using: &random))
            pieces.append(Array(piece))
            bytes.removeFirst(piece.count)
        }
    }

    private static func next(on stream: UInt32, _ data: inout [UInt32: [UInt8]], _ random: inout SplitMix) -> [UInt8] {
        let count = Int.random(in: 1...900, using: &random)
        let octets = (0..<count).map { _ in UInt8.random(in: 0..<0xFC, using: &random) }
        switch Int.random(in: 0..<200, using: &random) {
        case ..<120:
            data[stream, default: []] += octets
            return frame(.data, stream, octets)
        case ..<150:
            return frame(.data, stream, [.random(in: StreamFickle.commands, using: &random)])
        case ..<170: return frame(.note, stream, octets)
        case ..<185: return frame(.close, stream)
        case ..<195: return frame(.end, stream)
        case ..<197: return frame(.credit, stream, count: octets.count)
        case ..<199: return frame(.open, stream)
        default: return octets.map { $0 ^ UInt8.random(in: 0...255, using: &random) }
        }
    }

    /// The octets of each stream that the other side answered.
    /// - Throws: if that is not made of frames, or of streams that nobody opened.
    func answers(in bytes: [UInt8]) throws -> [UInt32: [UInt8]] {
        var answers: [UInt32: [UInt8]] = [:]
        var decoder = StreamDecoder()
        var rest = bytes[...]
        while true {
            let (consumed, event) = rest.withUnsafeBytes { decoder.next($0) }
            rest = rest.dropFirst(consumed)
            switch event {
            case .needBytes: return answers
            case .data(let stream, let count):
                answers[stream, default: []] += rest.prefix(count)
                rest = rest.dropFirst(count)
            case .note(_, let count, _): rest = rest.dropFirst(count)
            case .credit, .end, .close: break
            case .open, .violation: throw Wrong(event: event)
            }
        }
    }

    struct Wrong: Error { let event: StreamDecoder.Event }
}
