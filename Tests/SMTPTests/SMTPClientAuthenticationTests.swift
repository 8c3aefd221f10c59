import Mail
import SASL
import SMTP
import Testing

@Suite("SMTP client, logging in")
struct SMTPClientAuthenticationTests {
    private typealias Credentials = SMTPClientSettings.Credentials
    private let alice = Credentials(user: "alice@example.test", password: "secret")
    private let plain = "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\n"

    /// A client that has heard what the server offers, and what it says then.
    private func greeted(
        _ offer: String?, _ credentials: Credentials, isTLS: Bool = true, nonce: String? = "abc"
    ) -> (TestedClient, String) {
        let client = TestedClient(mode: .smtp, credentials: credentials, isTLS: isTLS, nonce: nonce)
        _ = client.hear("220 mx\r\n")
        return (client, client.hear(offer.map { "250-mx\r\n250 AUTH \($0)\r\n" } ?? "250 mx\r\n"))
    }

    private func base64(_ text: String) -> String { Base64.encode(text.bytes) }

    @Test("RFC 4954 §4, RFC 4616: AUTH comes before mail")
    func plainLogin() {
        let (client, said) = greeted("LOGIN PLAIN", alice)
        #expect(said == plain)
        client.submit(1, ["a@x.test"])
        #expect(client.said() == "" && client.events == [])
        #expect(client.hear("235 ok\r\n").hasPrefix("MAIL FROM"))
        #expect(client.capabilities.mechanisms == ["LOGIN", "PLAIN"])
    }

    @Test(
        "The strongest mechanism that both sides have is used",
        arguments: [
            ("LOGIN PLAIN CRAM-MD5 SCRAM-SHA-256 GSSAPI", "SCRAM-SHA-256"), ("PLAIN CRAM-MD5 SCRAM-SHA-1", "CRAM-MD5"),
            ("LOGIN PLAIN", "PLAIN"), ("login", "LOGIN"),
        ])
    func strongest(_ offer: String, _ chosen: String) {
        #expect(greeted(offer, alice).1.split(whereSeparator: \.isWhitespace)[1] == chosen)
    }

    @Test("Without a nonce there is no SCRAM, and what the settings do not list is not used")
    func allowed() {
        #expect(greeted("PLAIN SCRAM-SHA-256", alice, nonce: nil).1 == plain)
        var few = alice
        few.mechanisms = [.login]
        #expect(greeted("PLAIN SCRAM-SHA-256 LOGIN", few).1 == "AUTH LOGIN\r\n")
    }

    @Test("RFC 4954 §4: the password itself crosses under TLS only, unless the settings allow it")
    func withoutTLS() {
        for offer in ["PLAIN", "LOGIN", "PLAIN LOGIN"] {
            let (client, said) = greeted(offer, alice, isTLS: false)
            #expect(said == "")
            #expect(
                client.events == [
                    .closed(
                        Reason(
                            451, "4.7.0",
                            "the server wants a password without TLS: use TLS, or allow it (it offers \(offer))"))
                ])
        }
        #expect(greeted("PLAIN CRAM-MD5", alice, isTLS: false).1 == "AUTH CRAM-MD5\r\n")
        var lax = alice
        lax.allowsPlainWithoutTLS = true
        #expect(greeted("PLAIN", lax, isTLS: false).1 == plain)
    }

    @Test("A server with no mechanism of ours is left, with the reason", arguments: [nil, "GSSAPI XOAUTH2"])
    func none(_ offer: String?) {
        let (client, said) = greeted(offer, alice)
        #expect(said == "")
        let text = "the server offers no log-in that we may use (it offers \(offer ?? "none"))"
        #expect(client.events == [.closed(Reason(451, "4.7.0", text))])
    }

    @Test("RFC 4954 §4: LOGIN asks for user and password, one after the other")
    func login() {
        let (client, said) = greeted("LOGIN", alice)
        #expect(said == "AUTH LOGIN\r\n")
        #expect(client.hear("334 VXNlcm5hbWU6\r\n") == base64("alice@example.test") + "\r\n")
        #expect(client.hear("334 UGFzc3dvcmQ6\r\n") == base64("secret") + "\r\n")
        _ = client.hear("235 ok\r\n")
        #expect(client.events == [.ready(client.capabilities)])
    }

    @Test("RFC 2195 §2: the example of CRAM-MD5")
    func cramMD5() {
        let (client, said) = greeted("CRAM-MD5", Credentials(user: "tim", password: "tanstaaftanstaaf"))
        #expect(said == "AUTH CRAM-MD5\r\n")
        #expect(
            client.hear("334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n")
                == "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\r\n")
        _ = client.hear("235 ok\r\n")
        #expect(client.events == [.ready(client.capabilities)])
    }

    /// Plays SCRAM's first half, and gives the server's last word.
    private func scram(_ client: TestedClient, _ said: String, password: String = "secret") -> String? {
        let words = said.split(whereSeparator: \.isWhitespace)
        guard words.count == 3, let first = Base64.decode(words[2].utf8) else { return nil }
        let credentials = SCRAMCredentials(password: password, salt: [1, 2, 3, 4], iterations: 4096)
        var server = SASLServerExchange(mechanism: .scramSHA256, nonce: "serversnonceofeighteen", secret: [])
        guard case .findSCRAMCredentials = server.start(initialResponse: first),
            case .challenge(let challenge) = server.credentialsFound(credentials)
        else { return nil }
        let final = client.hear("334 \(Base64.encode(challenge))\r\n").dropLast(1)
        guard let proof = Base64.decode(final.utf8.filter { $0 > 13 }),
            case .challenge(let verifier) = server.receive(proof)
        else { return nil }
        return "334 \(Base64.encode(verifier))\r\n"
    }

    @Test("RFC 7677, RFC 5802 §5: SCRAM-SHA-256, in which the server has to prove itself")
    func scramSHA256() throws {
        let (client, said) = greeted("SCRAM-SHA-256 PLAIN", alice)
        #expect(said == "AUTH SCRAM-SHA-256 \(base64("n,,n=alice@example.test,r=abc"))\r\n")
        let verifier = try #require(scram(client, said))
        #expect(client.hear(verifier) == "\r\n")
        _ = client.hear("235 ok\r\n")
        #expect(client.events == [.ready(client.capabilities)])
    }

    @Test("RFC 5802 §5: a server that says 235 without its proof is an impostor", arguments: [0, 1, 2])
    func impostor(_ when: Int) throws {
        let (client, said) = greeted("SCRAM-SHA-256", alice)
        if when > 0 { _ = try #require(scram(client, said)) }
        if when > 1 {
            #expect(client.hear("334 \(base64("v=" + Base64.encode(Array(repeating: 1, count: 32))))\r\n") == "")
        }
        _ = client.hear("235 welcome\r\n")
        guard case .closed(let reason?) = client.events.last else {
            Issue.record("\(client.events)")
            return
        }
        #expect(client.events.count == 1 && reason.code == 451)
        #expect(
            reason.text
                == (when > 1
                    ? "the server's challenge is not acceptable: the server does not know the password"
                    : "the server did not prove that it knows the password"))
    }

    @Test(
        "A challenge that is no Base64, or not the mechanism's, ends the conversation",
        arguments: ["334 !\r\n", "334\r\n", "334 AAAA\r\n", "334 =\r\n", "334-QQ==\r\n334 QQ==\r\n"])
    func badChallenge(_ challenge: String) {
        let (client, _) = greeted("SCRAM-SHA-256", alice)
        #expect(client.hear(challenge) == "")
        guard case .closed(let reason?) = client.events.last else {
            Issue.record("\(client.events)")
            return
        }
        #expect(reason.code == 451 && reason.text.hasPrefix("the server's challenge"))
        let (login, _) = greeted("LOGIN", alice)
        for _ in 0..<3 { _ = login.hear("334 \(base64("again"))\r\n") }
        #expect(
            login.events == [
                .closed(Reason(451, "4.7.0", "the server's challenge is not acceptable: a challenge after the end"))
            ])
    }

    @Test("RFC 4954 §4: a first response that makes the command too long is sent after an empty challenge")
    func long() {
        let long = Credentials(user: "u", password: String(repeating: "p", count: 400))
        let (client, said) = greeted("PLAIN", long)
        #expect(said == "AUTH PLAIN\r\n")
        #expect(client.hear("334 \r\n") == base64("\0u\0" + long.password) + "\r\n")
        _ = client.hear("235 ok\r\n")
        #expect(client.events == [.ready(client.capabilities)])
    }

    @Test("RFC 4954 §6: a refused log-in says what to do; one that is put off is temporary")
    func refused() {
        for (reply, reason) in [
            (
                "535 5.7.8 wrong",
                Reason(535, "5.7.8", "the server refused our log-in by PLAIN, check user and password: wrong")
            ),
            (
                "534 5.7.9 too weak",
                Reason(
                    534, "5.7.9",
                    "the server refused our log-in by PLAIN, check how the server wants to be logged in to: too weak")
            ),
            ("454 4.7.0 later", Reason(454, "4.7.0", "later")),
            ("421 4.3.2 down", Reason(421, "4.3.2", "down")),
            ("250 2.0.0 eh", Reason(451, "4.0.0", "unexpected reply 250")),
        ] {
            let (client, _) = greeted("PLAIN", alice)
            client.submit(1, ["a@x.test"])
            _ = client.hear(reply + "\r\n")
            #expect(client.events == [.interrupted(SMTPTransactionID(1), bodySent: false), .closed(reason)])
        }
    }
}
