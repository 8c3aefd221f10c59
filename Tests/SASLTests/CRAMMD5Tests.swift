import Digests
import SASL
import Testing

@Suite struct CRAMMD5Tests {
    private let digest = "b913a602c7eda7a495b4e6e7334d3890"

    private func started() -> SASLServerExchange {
        var exchange = exchange(.cramMD5)
        #expect(exchange.start(initialResponse: nil) == .challenge(bytes(testChallenge)))
        return exchange
    }

    @Test("RFC 2195 §2: the example")
    func example() {
        let made = CRAMMD5.digest(challenge: testChallenge, secret: "tanstaaftanstaaf")
        #expect(made.map { Hex.encode($0) } == digest)
        var exchange = started()
        #expect(
            exchange.receive(bytes("tim \(digest)"))
                == .checkDigest(user: "tim", challenge: testChallenge, digest: made ?? []))
        #expect(isMalformed(exchange.receive(bytes("tim \(digest)"))), "one answer is all")
    }

    @Test("RFC 2195 §2: a user name may hold spaces, and clients may write digits in capitals")
    func spaces() {
        var exchange = started()
        #expect(
            exchange.receive(bytes("tim o reilly \(digest.uppercased())"))
                == .checkDigest(user: "tim o reilly", challenge: testChallenge, digest: Hex.decode(digest) ?? []))
    }

    @Test(
        "RFC 4954 §4, RFC 5034 §4: the server begins, so that an initial response is refused",
        arguments: ["", "tim"])
    func initialResponse(response: String) {
        var exchange = exchange(.cramMD5)
        #expect(isMalformed(exchange.start(initialResponse: bytes(response))))
        #expect(isMalformed(exchange.receive(bytes("tim \(digest)"))), "an exchange that failed is over")
    }

    @Test(
        "RFC 2195 §2: anything but a user, a space and 32 hexadecimal digits is malformed",
        arguments: [
            "", "tim", " ", "tim ", "b913a602c7eda7a495b4e6e7334d3890", " b913a602c7eda7a495b4e6e7334d3890",
            "tim b913a602c7eda7a495b4e6e7334d389", "tim b913a602c7eda7a495b4e6e7334d38901",
            "tim b913a602c7eda7a495b4e6e7334d389g", "tim b913a602c7eda7a495b4e6e7334d3890 ",
            "tim b913a602c7eda7a495b4e6e7334d3890\0", "t\nim b913a602c7eda7a495b4e6e7334d3890",
            "\(String(repeating: "u", count: 513)) b913a602c7eda7a495b4e6e7334d3890",
            "\(String(repeating: "u", count: 5000)) b913a602c7eda7a495b4e6e7334d3890",
        ])
    func malformed(message: String) {
        var exchange = started()
        #expect(isMalformed(exchange.receive(bytes(message))))
        #expect(isMalformed(exchange.receive(bytes("tim \(digest)"))))
    }

    @Test("RFC 2195 §2: a user name is UTF-8", arguments: [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80]])
    func notUTF8(octets: [UInt8]) {
        var exchange = started()
        #expect(isMalformed(exchange.receive(octets + bytes(" \(digest)"))))
    }

    @Test("RFC 2195 §2: a challenge is digits, the time and the host, and never comes twice")
    func challenges() throws {
        func seed() -> [UInt8] { SecureRandom.bytes(16) }
        var made: Set<String> = []
        for _ in 0..<8 {
            var challenges = CRAMMD5.Challenges(seed: seed(), seconds: 697_170_952, hostname: "mx.example.test")
            for _ in 0..<8 {
                let challenge = challenges.next()
                let match = try #require(challenge.wholeMatch(of: #/<([0-9]+)\.697170952@mx\.example\.test>/#))
                // 38 digits in the mean, of 128 bits; that as many as these begin with zeros comes about never.
                #expect(match.1.count > 24)
                made.insert(challenge)
            }
        }
        #expect(made.count == 64)
        var (one, same) = (
            CRAMMD5.Challenges(seed: Array(0..<16), seconds: 1, hostname: "h"),
            CRAMMD5.Challenges(seed: Array(0..<16), seconds: 1, hostname: "h")
        )
        #expect(one.next() == same.next(), "nothing but the seed is random")
    }

    @Test("RFC 2195 §2: our client is understood by our server")
    func bothSides() {
        var client = SASLClientExchange(
            mechanism: .cramMD5, user: "tim", password: "tanstaaftanstaaf", nonce: "clientnonce")
        #expect(client.initialResponse() == nil)
        var exchange = started()
        guard case .respond(let response) = client.receive(bytes(testChallenge)) else {
            Issue.record("no response")
            return
        }
        #expect(
            exchange.receive(response)
                == .checkDigest(user: "tim", challenge: testChallenge, digest: Hex.decode(digest) ?? []))
    }

    @Test("RFC 2195 §2: who answers has seen the challenge")
    func owesChallenge() {
        #expect(exchange(.cramMD5).owesChallenge)
        #expect(!started().owesChallenge)
    }
}
