import SASL
import Testing

let testNonce = "3rfcNHYJY1ZVvWVs7j"
/// RFC 2195 §2
let testChallenge = "<1896.697170952@postoffice.reston.mci.net>"

func exchange(_ mechanism: SASLMechanism, reportsErrors: Bool = false) -> SASLServerExchange {
    SASLServerExchange(
        mechanism: mechanism, nonce: testNonce, challenge: testChallenge, secret: [1, 2, 3],
        reportsErrors: reportsErrors)
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

func isMalformed(_ step: SASLServerExchange.Step) -> Bool {
    if case .failed(.malformed) = step { true } else { false }
}

@Suite struct MechanismTests {
    @Test("RFC 4422 §3.1: a mechanism is known by its name, in any case")
    func names() {
        #expect(SASLMechanism(name: "PLAIN") == .plain)
        #expect(SASLMechanism(name: "login") == .login)
        #expect(SASLMechanism(name: "Scram-Sha-256") == .scramSHA256)
        #expect(SASLMechanism(name: "cram-md5") == .cramMD5)
        #expect(SASLMechanism(name: "SCRAM-SHA-256-PLUS") == nil)
        #expect(SASLMechanism(name: "ſCRAM-SHA-256") == nil)
        #expect(SASLMechanism.allCases.filter(\.sendsPassword) == [.plain, .login])
    }
}

@Suite struct PlainTests {
    @Test("RFC 4616 §4: user and password, without an authorization identity")
    func example() {
        var exchange = exchange(.plain)
        #expect(
            exchange.start(initialResponse: bytes("\0tim\0tanstaaftanstaaf"))
                == .checkPassword(user: "tim", password: "tanstaaftanstaaf"))
    }

    @Test("RFC 4616 §2: without an initial response the server sends an empty challenge")
    func withoutInitialResponse() {
        var exchange = exchange(.plain)
        #expect(exchange.start(initialResponse: nil) == .challenge([]))
        #expect(exchange.receive(bytes("\0tim\0secret")) == .checkPassword(user: "tim", password: "secret"))
    }

    @Test("RFC 4616 §2: an authorization identity may be said if it is the user; nobody acts for somebody else")
    func authorization() {
        var own = exchange(.plain)
        #expect(
            own.start(initialResponse: bytes("tim\0tim\0secret")) == .checkPassword(user: "tim", password: "secret"))
        var other = exchange(.plain)
        let step = other.start(initialResponse: bytes("Kurt\0tim\0secret"))
        guard case .failed(.unsupported) = step else {
            Issue.record("\(step)")
            return
        }
    }

    @Test(
        "RFC 4616 §2: anything but two NULs between non-empty fields is malformed",
        arguments: [
            "", "tim", "tim\0secret", "\0tim\0", "\0\0secret", "\0tim\0secret\0", "\0tim\0sec\0ret", "\0t\nim\0secret",
            "\0\(String(repeating: "u", count: 513))\0secret", "\0tim\0\(String(repeating: "p", count: 512))",
        ])
    func malformed(message: String) {
        var exchange = exchange(.plain)
        #expect(isMalformed(exchange.start(initialResponse: bytes(message))))
        #expect(isMalformed(exchange.receive(bytes("\0tim\0secret"))), "an exchange that failed is over")
    }

    @Test("RFC 4616 §2: fields are UTF-8", arguments: [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82]])
    func notUTF8(octets: [UInt8]) {
        var inUser = exchange(.plain)
        #expect(isMalformed(inUser.start(initialResponse: [0] + octets + [0] + bytes("secret"))))
        var inPassword = exchange(.plain)
        #expect(isMalformed(inPassword.start(initialResponse: bytes("\0tim\0") + octets)))
    }

    @Test("RFC 4616 §2: fields of 255 octets are taken")
    func longFields() {
        let (user, password) = (String(repeating: "ü", count: 127), String(repeating: "p", count: 255))
        var exchange = exchange(.plain)
        #expect(
            exchange.start(initialResponse: bytes("\0\(user)\0\(password)"))
                == .checkPassword(user: user, password: password))
    }
}

@Suite struct LoginTests {
    @Test("LOGIN asks for the user name, then for the password")
    func dialogue() {
        var exchange = exchange(.login)
        #expect(exchange.start(initialResponse: nil) == .challenge(bytes("Username:")))
        #expect(exchange.receive(bytes("tim")) == .challenge(bytes("Password:")))
        #expect(exchange.receive(bytes("secret")) == .checkPassword(user: "tim", password: "secret"))
        #expect(isMalformed(exchange.receive(bytes("more"))))
    }

    @Test("An initial response to LOGIN is the user name")
    func initialResponse() {
        var exchange = exchange(.login)
        #expect(exchange.start(initialResponse: bytes("tim")) == .challenge(bytes("Password:")))
        #expect(exchange.receive(bytes("secret")) == .checkPassword(user: "tim", password: "secret"))
    }

    @Test("An empty user, an empty password or a NUL in either is malformed")
    func malformed() {
        for (user, password) in [("", "x"), ("a\0b", "x"), ("tim", ""), ("tim", "sec\0ret")] {
            var exchange = exchange(.login)
            _ = exchange.start(initialResponse: nil)
            let first = exchange.receive(bytes(user))
            #expect(isMalformed(first) || isMalformed(exchange.receive(bytes(password))))
        }
    }
}

@Suite struct ClientTests {
    @Test("PLAIN and LOGIN clients are understood by the server, with and without an initial response")
    func passwords() {
        for mechanism in [SASLMechanism.plain, .login] {
            for sendsInitialResponse in [true, false] {
                var client = SASLClientExchange(
                    mechanism: mechanism == .plain ? .plain : .login, user: "tim", password: "sécret",
                    nonce: "clientnonce")
                var server = exchange(mechanism)
                var step = server.start(initialResponse: sendsInitialResponse ? client.initialResponse() : nil)
                while case .challenge(let challenge) = step, case .respond(let response) = client.receive(challenge) {
                    step = server.receive(response)
                }
                #expect(step == .checkPassword(user: "tim", password: "sécret"))
            }
        }
    }
}
