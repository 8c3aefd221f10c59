import Testing

@testable import Mail

@Suite("Endpoints")
struct EndpointTests {
    @Test(
        "what is printed is what was read",
        arguments: ["127.0.0.1:25", "[::1]:2525", "mx.example.test:0", "unix:/run/hauberk/store.sock"])
    func roundTrip(text: String) {
        #expect(Endpoint(text)?.description == text)
    }

    @Test(
        "anything else is none",
        arguments: [
            "", "25", ":25", "host:", "host:65536", "host:-1", "::1:25", "unix:relative", "unix:", "a b:25", "[[]]:1",
            "[unix]:2", "[host]:25",
        ])
    func malformed(text: String) {
        #expect(Endpoint(text) == nil)
    }

    @Test("only loopback and Unix sockets are local")
    func local() {
        #expect(Endpoint("127.8.9.1:1")?.isLocal == true)
        #expect(Endpoint("[::1]:1")?.isLocal == true)
        #expect(Endpoint("unix:/x")?.isLocal == true)
        #expect(Endpoint("10.0.0.1:1")?.isLocal == false)
        #expect(Endpoint("localhost.example.test:1")?.isLocal == false)
        #expect(Endpoint("127.0.0.1.example.test:1")?.isLocal == false)
    }
}
