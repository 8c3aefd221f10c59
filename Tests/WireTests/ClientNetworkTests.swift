import NIOCore
import Testing

@testable import Wire

@Suite("Clients, as they are counted")
struct ClientNetworkTests {
    @Test("RFC 4291 §2.5.1: an IPv6 host is its /64, an IPv4 host its address")
    func networks() throws {
        let one = ClientNetwork("2001:db8:1:2::1")
        #expect(one == ClientNetwork("2001:DB8:1:2:ffff:ffff:ffff:ffff"))
        #expect(one != ClientNetwork("2001:db8:1:3::1"))
        #expect(ClientNetwork("192.0.2.1") != ClientNetwork("192.0.2.2"))
        #expect(ClientNetwork("fe80::1%eth0") == ClientNetwork("fe80::2"))
    }

    @Test("RFC 4291 §2.5.5.2: a mapped IPv4 address is the IPv4 address, for all that see it")
    func mapped() throws {
        #expect(ClientNetwork("::ffff:192.0.2.1") == ClientNetwork("192.0.2.1"))
        #expect(Peer(address: "::FFFF:192.0.2.1", port: nil).address == "192.0.2.1")
        #expect(Peer(try SocketAddress(ipAddress: "::ffff:192.0.2.1", port: 5)).address == "192.0.2.1")
        #expect(Peer(address: "::ffff:1", port: nil).address == "::ffff:1")
    }

    @Test("A Unix socket is nobody's address")
    func local() {
        #expect(ClientNetwork(Peer(nil).address) == nil && Peer(nil).isLocal)
        #expect(!Peer(address: "192.0.2.1", port: nil).isLocal)
    }
}
