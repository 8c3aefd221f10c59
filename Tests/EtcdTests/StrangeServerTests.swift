import Foundation
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Etcd

/// A server on the loopback address that says the same to everybody, as soon as anything comes, and is no etcd.
final class StrangeServer: Sendable {
    private let channel: any Channel

    /// - Parameters:
    ///   - answer: nil to be silent.
    ///   - later: what it says to the third and to those after it, if that is something else.
    init(_ answer: [UInt8]?, later: [UInt8]? = nil) async throws {
        let clients = ClientCount()
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let answer = clients.next() > 2 ? later ?? answer : answer
                    try channel.pipeline.syncOperations.addHandler(Speaker(answer: answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    var endpoint: String { "http://127.0.0.1:\(channel.localAddress?.port ?? 0)" }

    func close() async { try? await channel.close() }

    private final class ClientCount: Sendable {
        private let count = Mutex(0)

        func next() -> Int {
            count.withLock { count in
                count += 1
                return count
            }
        }
    }

    private final class Speaker: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private var answer: [UInt8]?

        init(answer: [UInt8]?) { self.answer = answer }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard let said = answer else { return }
            answer = nil
            context.write(wrapOutboundOut(ByteBuffer(bytes: said)), promise: nil)
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            context.writeAndFlush(wrapOutboundOut(ByteBuffer())).whenComplete { _ in bound.value.close(promise: nil) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}

@Suite("Servers that are no etcd", .serialized, .timeLimit(.minutes(5)))
struct StrangeServerTests {
    private static func http(_ body: String, status: String = "200 OK") -> [UInt8] {
        Array("HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)".utf8)
    }

    /// What a test's name shows of an answer is not its octets.
    struct Answer: CustomTestStringConvertible {
        let testDescription: String
        let bytes: [UInt8]?

        init(_ name: String, _ bytes: [UInt8]?) { (testDescription, self.bytes) = (name, bytes) }
    }

    private static let answers = [
        Answer("silence", nil), Answer("an end", []), Answer("no HTTP", Array("SSH-2.0-OpenSSH\r\n".utf8)),
        Answer("nothing", http("")), Answer("half an object", http("{")), Answer("a list", http("[]")),
        Answer("null", http("null")), Answer("no base64", http(#"{"kvs":[{"key":"aw==","value":"!"}]}"#)),
        Answer("another place", http("", status: "301 Moved Permanently\r\nLocation: http://127.0.0.1:1/")),
        Answer("an error", http("{}", status: "500 Internal Server Error")),
        Answer("too much", http(String(repeating: " ", count: EtcdTransport.answerBytesMax + 1))),
        Answer("half an answer", Array("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".utf8)),
        Answer("headers", Array(("HTTP/1.1 200 OK\r\n" + String(repeating: "X: y\r\n", count: 20_000)).utf8)),
    ]

    @Test(
        "Whatever a member answers, the request fails with its reason, or the next member is asked", arguments: answers)
    func requests(answer: Answer) async throws {
        let strange = try await StrangeServer(answer.bytes)
        let good = try await StrangeServer(Self.http(#"{"header":{"revision":"5"}}"#))
        // The silent one is not worth more time.
        let timeout = Duration.seconds(answer.bytes == nil ? 3 : 20)
        try await Self.client([strange.endpoint], timeout: timeout) { client in
            await #expect { _ = try await client.get(prefix: "/") } throws: { error in
                guard case .unavailable(let reasons) = error as? EtcdError else { return false }
                return reasons.count == 1 && reasons[0].hasPrefix(strange.endpoint)
            }
        }
        try await Self.client([strange.endpoint, good.endpoint], timeout: timeout) { client in
            let revision = try await client.get(prefix: "/").revision
            #expect(revision == 5)
        }
        await strange.close()
        await good.close()
    }

    @Test("Without a leader a member is asked again, as long as there is patience; one that is gone or no etcd is not")
    func patience() async throws {
        let noLeader = Self.http(#"{"message":"etcdserver: no leader","code":14}"#, status: "503 Service Unavailable")
        let electing = try await StrangeServer(noLeader, later: Self.http(#"{"header":{"revision":"5"}}"#))
        try await Self.client([electing.endpoint], patience: .seconds(60)) { client in
            let revision = try await client.get(prefix: "/").revision
            #expect(revision == 5)
        }
        await electing.close()
        let impatient = try await StrangeServer(noLeader)
        try await Self.client([impatient.endpoint]) { client in
            await #expect(throws: EtcdError.self) { _ = try await client.get(prefix: "/") }
        }
        await impatient.close()
        let strange = try await StrangeServer(Self.http("{"))
        try await Self.client([strange.endpoint], patience: .seconds(86_400)) { client in
            await #expect(throws: EtcdError.self) { _ = try await client.get(prefix: "/") }
        }
        await strange.close()
    }

    @Test("A watch outlives members that answer anything, and ends with its task", arguments: answers)
    func watches(answer: Answer) async throws {
        let strange = try await StrangeServer(answer.bytes)
        try await Self.client([strange.endpoint]) { client in
            let watching = Task {
                var watch = client.watch(prefix: "/", from: 5).makeAsyncIterator()
                return await watch.next()
            }
            try await Task.sleep(for: .milliseconds(300))
            watching.cancel()
            #expect(await watching.value == nil)
        }
        await strange.close()
    }

    @Test("Nobody at all is a reason too, and a registration waits for somebody until it is cancelled")
    func nobody() async throws {
        let gone = try await StrangeServer(nil)
        await gone.close()
        try await Self.client([gone.endpoint]) { client in
            await #expect(throws: EtcdError.self) { _ = try await client.get(prefix: "/") }
            let membership = EtcdMembership(client: client, prefix: "/hauberk/mail", log: client.log)
            let registration = Task { await membership.register("store-1", leaseTime: .seconds(2)) }
            try await Task.sleep(for: .milliseconds(300))
            registration.cancel()
            await registration.value
        }
        #expect(throws: EtcdError.self) {
            _ = try EtcdClient(
                EtcdSettings(endpoints: []), group: MultiThreadedEventLoopGroup.singleton, log: Logger(label: "etcd"))
        }
    }

    private static func client(
        _ endpoints: [String], timeout: Duration = .seconds(20), patience: Duration = .zero,
        _ body: (EtcdClient) async throws -> Void
    ) async throws {
        var settings = EtcdSettings(endpoints: endpoints)
        settings.timeout = timeout
        settings.patience = patience
        settings.watchSilenceMax = .seconds(1)
        let client = try EtcdClient(
            settings, group: MultiThreadedEventLoopGroup.singleton, log: Logger(label: "etcd"))
        do {
            try await body(client)
        } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
    }
}
