import Digests
import SASL
import Testing

@Suite struct SASLClientMechanismTests {
    @Test("Strongest first, of what is offered and allowed")
    func strongest() {
        let all = ["LOGIN", "PLAIN", "CRAM-MD5", "SCRAM-SHA-256"]
        #expect(SASLClientMechanism.strongest(offered: all) { _ in true } == .scramSHA256)
        #expect(SASLClientMechanism.strongest(offered: all) { $0 != .scramSHA256 } == .cramMD5)
        #expect(SASLClientMechanism.strongest(offered: all, where: \.sendsPassword) == .plain)
        #expect(SASLClientMechanism.strongest(offered: ["LOGIN"]) { _ in true } == .login)
        #expect(SASLClientMechanism.strongest(offered: ["plain", "X"]) { _ in true } == nil)
        #expect(SASLClientMechanism.strongest(offered: all) { _ in false } == nil)
    }

    @Test("RFC 2104 §4, RFC 2195 §2: HMAC-MD5, also with a key longer than a block")
    func hmac() {
        func code(_ key: [UInt8], _ text: String) -> String? {
            HMACMD5.authenticate(key: key, message: Array(text.utf8)).map { Hex.encode($0) }
        }
        #expect(code(Array(repeating: 0x0B, count: 16), "Hi There") == "9294727a3638bb1c13f48ef8158bfc9d")
        #expect(code(Array("Jefe".utf8), "what do ya want for nothing?") == "750c783e6ab0b503eaa86e310a5db738")
        #expect(
            code(Array(repeating: 0xAA, count: 80), "Test Using Larger Than Block-Size Key - Hash Key First")
                == "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd")
        #expect(code([], "") != nil)
    }

    @Test("RFC 2195 §2: CRAM-MD5 waits for the challenge, answers it once, and takes no empty or endless one")
    func cramMD5() {
        var client = SASLClientExchange(mechanism: .cramMD5, user: "tim", password: "tanstaaftanstaaf", nonce: "abc")
        #expect(client.initialResponse() == nil)
        #expect(
            client.receive(bytes("<1896.697170952@postoffice.reston.mci.net>"))
                == .respond(bytes("tim b913a602c7eda7a495b4e6e7334d3890")))
        #expect(!client.isServerVerified)
        for challenge in [[], Array(repeating: UInt8(ascii: "x"), count: 5000)] as [[UInt8]] {
            var other = SASLClientExchange(mechanism: .cramMD5, user: "tim", password: "t", nonce: "abc")
            #expect(other.receive(challenge) == .failed(.malformed("no challenge")))
            #expect(client.receive(challenge) == .failed(.malformed("a challenge after the end")))
        }
    }
}
