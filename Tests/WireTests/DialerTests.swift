import Mail
import NIOCore
import NIOPosix
import Testing

@testable import Wire

@Suite("Dialling")
struct DialerTests {
    @Test(
        "a conversation hears of its connection when its caller is done, also where the system knows at once",
        arguments: [Endpoint.unix(path: "/nonexistent/socket"), .tcp(host: "127.0.0.1", port: 1)])
    func notBefore(endpoint: Endpoint) async throws {
        let record = EchoConversation.Record()
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let heardAtOnce = try await loop.submit {
            let target = DialTarget(endpoint: endpoint, timeout: .seconds(30))
            Dialer.connect(target, on: loop, conversation: EchoConversation(record: record))
            return record.all
        }.get()
        #expect(heardAtOnce == [])
        try await record.waits(for: "closed")
    }
}
