import Foundation
import Mail
import NIOCore
import NIOPosix
import POP3
import Testing

@testable import Hops
@testable import Wire

/// A node that has a digest for everybody, and closes at QUIT or leaves that to the other side.
private final class PoliteNode: Conversation {
    private let closesFirst: Bool
    private var unread: [UInt8] = []

    init(closesFirst: Bool) { self.closesFirst = closesFirst }

    private func say(_ text: String, _ connection: Connection) {
        connection.write(Array("\(text)\r\n".utf8))
        connection.flush()
    }

    func opened(_ connection: Connection) { say("+OK node", connection) }

    func received(_ connection: Connection) {
        unread += connection.unread.readableBytesView
        connection.consume(connection.unread.readableBytes)
        while let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
            let isQuit = unread.starts(with: "QUIT".utf8)
            unread.removeSubrange(...end)
            say(isQuit ? "+OK bye" : "+OK epoch=1", connection)
            if isQuit, closesFirst { return connection.close() }
        }
        if connection.inputEnded { connection.close() }
    }

    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {}
    func draining(_ connection: Connection) { connection.close() }
    func closed(_ reason: ConnectionEnd) {}
}

@Suite("Who has asked a node closes the connection, whoever closes it first", .timeLimit(.minutes(5)))
struct GoodbyeTests {
    private static let group = MultiThreadedEventLoopGroup.singleton

    private func node(closesFirst: Bool) async throws -> (Listener, Int) {
        let options = ListenerOptions(
            endpoint: .tcp(host: "127.0.0.1", port: 0), limits: ConnectionLimits(connectionsMax: 0, perAddressMax: 0))
        let listener = try await Listener.bind(options, group: Self.group, refusal: { _ in "" }) { _ in
            PoliteNode(closesFirst: closesFirst)
        }
        guard case .tcp(_, let port) = listener.endpoint else { throw EndpointError(description: "no port") }
        return (listener, port)
    }

    /// Connections to the port that this side has not closed.
    private func connections(to port: Int) throws -> Int {
        let table = try String(contentsOfFile: "/proc/self/net/tcp", encoding: .utf8)
        return table.split(separator: "\n").count { (line: Substring) -> Bool in
            let words = line.split(separator: " ")
            // ESTABLISHED, or CLOSE_WAIT.
            return words.count > 3 && ["01", "08"].contains(words[3])
                && words[2].split(separator: ":").last.flatMap { Int($0, radix: 16) } == port
        }
    }

    private func areGone(to port: Int) async throws {
        for _ in 0..<500 where try connections(to: port) > 0 { try await Task.sleep(for: .milliseconds(10)) }
        #expect(try connections(to: port) == 0)
    }

    @Test("After many questions, over one connection or each over its own", arguments: [true, false])
    func links(closesFirst: Bool) async throws {
        let (listener, port) = try await node(closesFirst: closesFirst)
        let loop = Self.group.next()
        for _ in 0..<20 {
            let answer: PeerLink.Answer = await withCheckedContinuation { asked in
                loop.execute {
                    let link = PeerLink(
                        target: { DialTarget(endpoint: .tcp(host: "127.0.0.1", port: port), timeout: .seconds(10)) },
                        health: NodeHealth(), timeout: .seconds(60), eventLoop: loop)
                    link.ask(.xstatus()) { asked.resume(returning: $0) }
                    // What is asked is answered all the same.
                    link.quit()
                }
            }
            #expect(try answer.get().text == "epoch=1")
        }
        try await areGone(to: port)
        await listener.drain()
    }

    @Test("After a mailbox was read", arguments: [true, false])
    func maildrops(closesFirst: Bool) async throws {
        let (listener, port) = try await node(closesFirst: closesFirst)
        let loop = Self.group.next()
        for _ in 0..<20 {
            let answer: Result<[[UInt8]], PeerError> = await withCheckedContinuation { asked in
                loop.execute {
                    let maildrop = RemoteMaildrop(timeout: .seconds(60))
                    maildrop.connect(
                        DialTarget(endpoint: .tcp(host: "127.0.0.1", port: port), timeout: .seconds(10)), on: loop)
                    maildrop.ask(.noop) { asked.resume(returning: $0) }
                    maildrop.quit()
                }
            }
            #expect(try answer.get() == [])
        }
        try await areGone(to: port)
        await listener.drain()
    }
}
