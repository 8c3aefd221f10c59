import Mail
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Hops
@testable import Wire

/// What happened, in its order.
private final class Record: Sendable {
    private let events = Mutex<[String]>([])

    func note(_ event: String) { events.withLock { $0.append(event) } }
    var all: [String] { events.withLock { $0 } }

    func count(_ event: String) -> Int { all.count(where: { $0 == event }) }

    /// Waits until something has happened so often.
    func waits(for event: String, count wanted: Int = 1) async throws {
        for _ in 0..<6000 where count(event) < wanted { try await Task.sleep(for: .milliseconds(10)) }
        #expect(count(event) >= wanted, "\(event): \(all)")
    }
}

/// A node that answers XSTREAMS as it is told, and then says a line on each stream.
private final class FakeNode: Conversation {
    enum Answer { case agrees, refuses, isSilent }

    private let answer: Answer
    private let record: Record
    private var line: [UInt8] = []

    init(_ answer: Answer, record: Record) {
        self.answer = answer
        self.record = record
    }

    func opened(_ connection: Connection) {
        record.note("connected")
        connection.write(Array("+OK node\r\n".utf8))
        connection.flush()
    }

    func received(_ connection: Connection) {
        line += connection.unread.readableBytesView
        connection.consume(connection.unread.readableBytes)
        if connection.inputEnded { return connection.close() }
        guard line == Array("XSTREAMS\r\n".utf8) else { return }
        switch answer {
        case .isSilent: break
        case .refuses:
            connection.write(Array("-ERR what?\r\n".utf8))
            connection.flush()
        case .agrees: agree(connection)
        }
    }

    private func agree(_ connection: Connection) {
        connection.write(Array("+OK streams follow\r\n".utf8))
        let census = ConnectionCensus(limits: ConnectionLimits(connectionsMax: 0, perAddressMax: 0))
        SharedConnection(
            eventLoop: connection.eventLoop, idleTimeout: .seconds(60),
            acceptor: .init(census: census, refusal: { _ in "" }) { [record] _ in
                Session(says: "hello\n", record, "node")
            }
        ).begin(on: connection)
    }

    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {}
    func draining(_ connection: Connection) {}
    func closed(_ reason: ConnectionEnd) { record.note("lost") }
}

/// Says a line, and notes what it hears and how it ends.
private final class Session: Conversation {
    private let text: String
    private let record: Record
    private let name: String
    private(set) var connection: Connection?
    var way: SessionLink.Way?

    init(says text: String, _ record: Record, _ name: String) {
        self.text = text
        self.record = record
        self.name = name
    }

    func opened(_ connection: Connection) {
        self.connection = connection
        connection.write(Array(text.utf8))
        connection.flush()
    }

    func received(_ connection: Connection) {
        record.note("\(name) hears \(String(decoding: connection.unread.readableBytesView, as: UTF8.self))")
        connection.consume(connection.unread.readableBytes)
        if connection.inputEnded { connection.close() }
    }

    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {}
    func draining(_ connection: Connection) {}
    func closed(_ reason: ConnectionEnd) {
        connection = nil
        guard case .failed(let why) = reason else { return record.note("\(name) ends") }
        record.note("\(name) fails")
        record.note(why)
    }
}

@Suite("The way for POP3 sessions to a node", .timeLimit(.minutes(5)))
struct SessionLinkTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.next()
    private let record = Record()

    private func node(_ answer: FakeNode.Answer) async throws -> Listener {
        let settings = ListenerOptions(
            endpoint: .tcp(host: "127.0.0.1", port: 0), limits: ConnectionLimits(connectionsMax: 0, perAddressMax: 0))
        return try await Listener.bind(settings, group: MultiThreadedEventLoopGroup.singleton, refusal: { _ in "" }) {
            [record] _ in FakeNode(answer, record: record)
        }
    }

    private func link(to endpoint: Endpoint, timeout: Duration = .seconds(60)) async throws -> NIOLoopBound<SessionLink>
    {
        try await loop.submit { [loop] in
            let target = DialTarget(endpoint: endpoint, timeout: timeout)
            return NIOLoopBound(
                SessionLink(target: { target }, idleTimeout: .seconds(60), eventLoop: loop), eventLoop: loop)
        }.get()
    }

    private func open(_ name: String, _ link: NIOLoopBound<SessionLink>) async throws -> NIOLoopBound<Session> {
        try await loop.submit { [loop, record] in
            let session = Session(says: "XOPEN \(name)\r\n", record, name)
            session.way = link.value.open(session)
            return NIOLoopBound(session, eventLoop: loop)
        }.get()
    }

    /// Whether the session has a connection that was made for it.
    private func isFresh(_ session: NIOLoopBound<Session>) async throws -> Bool? {
        try await loop.submit { session.value.way?.isFresh }.get()
    }

    @Test("sessions share one connection, also those that begin before it is there")
    func shared() async throws {
        let node = try await node(.agrees)
        let link = try await link(to: node.endpoint)
        for name in ["a", "b", "c"] { _ = try await open(name, link) }
        for name in ["a", "b", "c"] {
            try await record.waits(for: "\(name) hears hello\n")
            try await record.waits(for: "node hears XOPEN \(name)\r\n")
        }
        _ = try await open("d", link)
        try await record.waits(for: "d hears hello\n")
        #expect(record.count("connected") == 1)
        await Listener.drain([node], timeout: .zero)
        for name in ["a", "b", "c", "d"] { try await record.waits(for: "\(name) ends") }
    }

    @Test("a node that refuses, or is not there, fails its sessions with the reason")
    func refused() async throws {
        let node = try await node(.refuses)
        _ = try await open("a", link(to: node.endpoint))
        try await record.waits(for: "a fails")
        #expect(record.all.contains("the node refuses: what?"))
        await Listener.drain([node], timeout: .zero)
        let link = try await link(to: .tcp(host: "127.0.0.1", port: 1))
        for name in ["b", "c"] { _ = try await open(name, link) }
        for name in ["b", "c"] { try await record.waits(for: "\(name) fails") }
        // The next one tries anew.
        let next = try await open("d", link)
        #expect(try await isFresh(next) == true)
        try await record.waits(for: "d fails")
    }

    @Test("a node that does not answer fails its sessions after the time for connecting")
    func silent() async throws {
        let node = try await node(.isSilent)
        _ = try await open("a", link(to: node.endpoint, timeout: .milliseconds(200)))
        try await record.waits(for: "a fails")
        #expect(record.all.contains("the node does not answer"))
        try await record.waits(for: "lost")
        await Listener.drain([node], timeout: .zero)
    }

    @Test("after a session without a sign of life the next has a new connection, which others do not lose by it")
    func distrust() async throws {
        let node = try await node(.agrees)
        let link = try await link(to: node.endpoint)
        let old = try await open("old", link)
        try await record.waits(for: "old hears hello\n")
        #expect(try await isFresh(old) == true)
        try await loop.submit { old.value.way?.distrust() }.get()
        let new = try await open("new", link)
        try await record.waits(for: "new hears hello\n")
        #expect(try await isFresh(new) == true)
        // Whoever else was on the old one says so later.
        try await loop.submit { old.value.way?.distrust() }.get()
        let newer = try await open("newer", link)
        try await record.waits(for: "newer hears hello\n")
        #expect(try await isFresh(newer) == false)
        #expect(record.count("connected") == 2)
        try await loop.submit {
            old.value.connection?.write(Array("more".utf8))
            old.value.connection?.flush()
        }.get()
        try await record.waits(for: "node hears more")
        try await loop.submit { old.value.connection?.abort() }.get()
        try await record.waits(for: "old ends")
        for _ in 0..<6000 where node.connectionCount > 1 { try await Task.sleep(for: .milliseconds(10)) }
        #expect(node.connectionCount == 1)
        await Listener.drain([node], timeout: .zero)
    }

    @Test("who quits waits for the sessions that there are")
    func quit() async throws {
        let node = try await node(.agrees)
        let link = try await link(to: node.endpoint)
        let session = try await open("a", link)
        try await record.waits(for: "a hears hello\n")
        try await loop.submit { link.value.quit() }.get()
        try await Task.sleep(for: .milliseconds(100))
        #expect(node.connectionCount == 1)
        try await loop.submit { session.value.connection?.close() }.get()
        for _ in 0..<6000 where node.connectionCount > 0 { try await Task.sleep(for: .milliseconds(10)) }
        #expect(node.connectionCount == 0)
        await node.drain()
    }
}
