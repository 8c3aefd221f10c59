import Digests
import SASL
import Testing

private let salt = Base64.decode("W22ZaJ0SNY7soEsUEjb6gQ==".utf8) ?? []
private let serverNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
private let credentials = SCRAMCredentials(password: "pencil", salt: salt, iterations: 4096)

private func server(reportsErrors: Bool = false) -> SASLServerExchange {
    SASLServerExchange(mechanism: .scramSHA256, nonce: serverNonce, secret: [1, 2, 3], reportsErrors: reportsErrors)
}

@Suite struct SCRAMTests {
    @Test("RFC 7677 §3: the example, on the server's side")
    func serverExample() {
        var exchange = server()
        #expect(exchange.start(initialResponse: nil) == .challenge([]))
        #expect(
            exchange.receive(bytes("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")) == .findSCRAMCredentials(user: "user"))
        #expect(
            exchange.credentialsFound(credentials)
                == .challenge(
                    bytes("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")))
        #expect(
            exchange.receive(
                bytes(
                    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                        + "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="))
                == .challenge(bytes("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")))
        #expect(exchange.receive([]) == .succeeded(user: "user"))
    }

    @Test("RFC 7677 §3: the example, on the client's side")
    func clientExample() {
        var client = SASLClientExchange(
            mechanism: .scramSHA256, user: "user", password: "pencil", nonce: "rOprNGfwEbeRWgbNEkqO")
        #expect(client.initialResponse() == bytes("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"))
        #expect(
            client.receive(
                bytes("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"))
                == .respond(
                    bytes(
                        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                            + "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")))
        #expect(!client.isServerVerified)
        #expect(client.receive(bytes("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")) == .respond([]))
        #expect(client.isServerVerified)
    }

    /// Lets client and server talk to the end.
    private func converse(
        user: String, password: String, known: SCRAMCredentials?, reportsErrors: Bool = false
    ) -> (SASLServerExchange.Step, SASLClientExchange) {
        var client = SASLClientExchange(mechanism: .scramSHA256, user: user, password: password, nonce: "clientnonce")
        var exchange = server(reportsErrors: reportsErrors)
        var step = exchange.start(initialResponse: client.initialResponse())
        while true {
            switch step {
            case .findSCRAMCredentials(let asked):
                #expect(asked == user)
                step = exchange.credentialsFound(known)
            case .challenge(let challenge):
                guard case .respond(let response) = client.receive(challenge) else {
                    step = exchange.receive([])
                    continue
                }
                step = exchange.receive(response)
            case .succeeded, .failed, .checkPassword, .checkDigest:
                return (step, client)
            }
        }
    }

    @Test(
        "RFC 5802 §5.1: commas and equal signs in a user name travel as =2C and =3D",
        arguments: ["user", "a,b", "a=b", "=2C", ",=,=", "häns@example.test"])
    func names(user: String) {
        let (step, client) = converse(user: user, password: "pencil", known: credentials)
        #expect(step == .succeeded(user: user))
        #expect(client.isServerVerified)
    }

    @Test("A wrong password fails, and the client does not believe the server")
    func wrongPassword() {
        let (step, client) = converse(user: "user", password: "pencil2", known: credentials)
        #expect(step == .failed(.wrongCredentials))
        #expect(!client.isServerVerified)
    }

    @Test("RFC 5802 §7: a server that reports errors says e=invalid-proof, and then fails")
    func reportedError() {
        let (step, client) = converse(user: "user", password: "wrong", known: credentials, reportsErrors: true)
        #expect(step == .failed(.wrongCredentials))
        #expect(!client.isServerVerified)
    }

    @Test("An unknown user is told like a wrong password, with a salt that is the same each time it is asked for")
    func unknownUser() {
        func challenge(_ user: String, _ nonce: String) -> [UInt8]? {
            var exchange = server()
            _ = exchange.start(initialResponse: bytes("n,,n=\(user),r=\(nonce)"))
            guard case .challenge(let challenge) = exchange.credentialsFound(nil) else { return nil }
            return Array(challenge.split(separator: UInt8(ascii: ","))[1])
        }
        #expect(challenge("nobody", "abc") == challenge("nobody", "def"))
        #expect(challenge("nobody", "abc") != challenge("somebody", "abc"))
        #expect(challenge("nobody", "abc")?.count == "s=W22ZaJ0SNY7soEsUEjb6gQ==".utf8.count)
        #expect(converse(user: "nobody", password: "", known: nil).0 == .failed(.wrongCredentials))
    }

    @Test("Nobody can log in with the credentials that are invented for an unknown user")
    func inventedNeverWin() {
        let invented = SCRAMCredentials.invented(user: "nobody", secret: [1])
        #expect(converse(user: "nobody", password: "", known: invented).0 == .failed(.wrongCredentials))
        let empty = SCRAMCredentials(salt: salt, iterations: 4096, storedKey: [], serverKey: [])
        #expect(converse(user: "user", password: "pencil", known: empty).0 == .failed(.wrongCredentials))
    }

    @Test("RFC 5802 §6: y is taken, because there is no channel binding to downgrade from")
    func channelBindingFlagY() {
        var client = SASLClientExchange(
            mechanism: .scramSHA256, user: "user", password: "pencil", nonce: "rOprNGfwEbeRWgbNEkqO")
        _ = client.initialResponse()
        var exchange = server()
        #expect(
            exchange.start(initialResponse: bytes("y,,n=user,r=rOprNGfwEbeRWgbNEkqO"))
                == .findSCRAMCredentials(user: "user"))
        guard case .challenge(let first) = exchange.credentialsFound(credentials),
            case .respond(let final) = client.receive(first)
        else {
            Issue.record("no challenge")
            return
        }
        #expect(isMalformed(exchange.receive(final)), "c=biws says n, and the header said y")
    }

    @Test("RFC 5802 §6: p= asks for a channel binding, which is not offered")
    func channelBindingFlagP() {
        var exchange = server()
        #expect(
            exchange.start(initialResponse: bytes("p=tls-exporter,,n=user,r=abc"))
                == .failed(.unsupported("channel-binding-not-supported")))
        var reporting = server(reportsErrors: true)
        #expect(
            reporting.start(initialResponse: bytes("p=tls-exporter,,n=user,r=abc"))
                == .challenge(bytes("e=channel-binding-not-supported")))
        #expect(reporting.receive([]) == .failed(.unsupported("channel-binding-not-supported")))
    }

    @Test("RFC 5802 §5.1: an authorization identity may only be the user's own")
    func authorization() {
        var own = server()
        #expect(own.start(initialResponse: bytes("n,a=user,n=user,r=abc")) == .findSCRAMCredentials(user: "user"))
        var other = server()
        guard case .failed(.unsupported) = other.start(initialResponse: bytes("n,a=root,n=user,r=abc")) else {
            Issue.record("acted for somebody else")
            return
        }
    }

    @Test("RFC 5802 §5.1: a mandatory extension that is not known ends the exchange")
    func mandatoryExtension() {
        var exchange = server()
        #expect(
            exchange.start(initialResponse: bytes("n,,m=ext,n=user,r=abc"))
                == .failed(.unsupported("extensions-not-supported")))
    }

    @Test(
        "RFC 5802 §7: a first message outside the grammar is malformed",
        arguments: [
            "", "n", "n,", "n,,", "x,,n=user,r=abc", "n,,n=user", "n,,r=abc,n=user", "n,,n=,r=abc", "n,,n=user,r=",
            "n,,n=us=er,r=abc", "n,,n=us=2cer,r=abc", "n,,n=us=,r=abc", "n,,n=user,r=a b", "n,,n=user,r=abc,",
            "n,,n=user,r=abc,1=x", "n,b=user,n=user,r=abc", "n,,n=us\0er,r=abc", "n,,n=us\ner,r=abc",
            "n,,n=user\u{301},\u{301}r=abc", "n,,n=\(String(repeating: "u", count: 513)),r=abc",
            "n,,n=user,r=\(String(repeating: "r", count: 257))", String(repeating: "n", count: 5000),
        ])
    func malformedFirst(message: String) {
        var exchange = server()
        #expect(isMalformed(exchange.start(initialResponse: bytes(message))))
        #expect(isMalformed(exchange.credentialsFound(credentials)), "an exchange that failed is over")
    }

    @Test(
        "RFC 5802 §7: a final message outside the grammar, or with another nonce or header, is malformed",
        arguments: [
            "", "c=biws", "c=biws,r=abcNONCE", "c=biws,r=abcNONCE,p=", "c=biws,r=abcNONCE,p=!",
            "c=eSws,r=abcNONCE,p=AAAA",
            "c=biws,r=abcOTHER,p=AAAA", "c=biws,r=abc,p=AAAA", "r=abcNONCE,c=biws,p=AAAA", "c=biws,r=abcNONCE,x,p=AAAA",
            "c=biws,p=AAAA", "c=,r=abcNONCE,p=AAAA", "c=biws,r=abcNONCE,p=AAAA,x=y",
        ])
    func malformedFinal(message: String) {
        var exchange = server()
        _ = exchange.start(initialResponse: bytes("n,,n=user,r=abc"))
        _ = exchange.credentialsFound(credentials)
        let step = exchange.receive(bytes(message.replacing("NONCE", with: serverNonce)))
        #expect(isMalformed(step) || step == .failed(.wrongCredentials) && message.hasSuffix("p="), "\(step)")
    }

    @Test("A proof of the wrong length is a wrong proof")
    func shortProof() {
        var exchange = server()
        _ = exchange.start(initialResponse: bytes("n,,n=user,r=abc"))
        _ = exchange.credentialsFound(credentials)
        #expect(exchange.receive(bytes("c=biws,r=abc\(serverNonce),p=AAAA")) == .failed(.wrongCredentials))
    }

    @Test("A proof is good for one exchange: replayed against another server nonce it fails")
    func replay() {
        var client = SASLClientExchange(mechanism: .scramSHA256, user: "user", password: "pencil", nonce: "abc")
        let first = client.initialResponse()
        var exchange = server()
        _ = exchange.start(initialResponse: first)
        guard case .challenge(let challenge) = exchange.credentialsFound(credentials),
            case .respond(let final) = client.receive(challenge)
        else {
            Issue.record("no challenge")
            return
        }
        var later = SASLServerExchange(mechanism: .scramSHA256, nonce: "anothernonceofeighteen", secret: [])
        _ = later.start(initialResponse: first)
        _ = later.credentialsFound(credentials)
        #expect(isMalformed(later.receive(final)))
    }

    @Test("What came of a proof is told once, right or wrong, and nothing is told of what was no proof")
    func proofs() {
        for (password, known) in [("pencil", true), ("pen", true), ("pencil", false)] {
            var client = SASLClientExchange(mechanism: .scramSHA256, user: "user", password: password, nonce: "abc")
            var exchange = SASLServerExchange(mechanism: .scramSHA256, secret: [1])
            _ = exchange.start(initialResponse: client.initialResponse())
            #expect(exchange.takeProof() == nil)
            guard
                case .challenge(let challenge) = exchange.credentialsFound(
                    known ? credentials : nil, nonce: serverNonce),
                case .respond(let final) = client.receive(challenge)
            else {
                Issue.record("no challenge")
                return
            }
            _ = exchange.receive(final)
            #expect(exchange.takeProof() == SASLProof(user: "user", isRight: password == "pencil" && known))
            #expect(exchange.takeProof() == nil)
        }
        for message in ["c=eSws,r=abc\(serverNonce),p=AAAA", "c=biws,r=abcOTHER,p=AAAA", "c=biws", ""] {
            var exchange = server()
            _ = exchange.start(initialResponse: bytes("n,,n=user,r=abc"))
            _ = exchange.credentialsFound(credentials)
            _ = exchange.receive(bytes(message))
            #expect(exchange.takeProof() == nil, "\(message)")
        }
    }

    @Test("The client must wait for a challenge behind its first and its last SCRAM message, and for none else")
    func owesChallenge() {
        var client = SASLClientExchange(mechanism: .scramSHA256, user: "user", password: "pencil", nonce: "abc")
        var exchange = server()
        #expect(exchange.owesChallenge)
        _ = exchange.start(initialResponse: client.initialResponse())
        guard case .challenge(let challenge) = exchange.credentialsFound(credentials),
            case .respond(let final) = client.receive(challenge)
        else {
            Issue.record("no challenge")
            return
        }
        #expect(exchange.owesChallenge)
        _ = exchange.receive(final)
        #expect(!exchange.owesChallenge)
        for mechanism in [SASLMechanism.plain, .login] {
            #expect(!SASLServerExchange(mechanism: mechanism).owesChallenge)
        }
    }

    @Test("RFC 5802 §5: after the verifier the client has nothing left to say")
    func afterVerifier() {
        var client = SASLClientExchange(mechanism: .scramSHA256, user: "user", password: "pencil", nonce: "abc")
        var exchange = server()
        _ = exchange.start(initialResponse: client.initialResponse())
        guard case .challenge(let challenge) = exchange.credentialsFound(credentials),
            case .respond(let final) = client.receive(challenge)
        else {
            Issue.record("no challenge")
            return
        }
        _ = exchange.receive(final)
        #expect(isMalformed(exchange.receive(bytes("x"))))
        #expect(isMalformed(exchange.receive([])))
    }

    @Test(
        "A client refuses a server that does not follow the rules",
        arguments: [
            "", "r=abcXYZ", "r=abcXYZ,s=AAAA,i=0", "r=abcXYZ,s=AAAA,i=-1", "r=abcXYZ,s=AAAA,i=99999999999999999999",
            "r=abcXYZ,s=AAAA,i=2000000", "r=abcXYZ,s=!,i=4096", "r=abcXYZ,s=,i=4096", "r=abc,s=AAAA,i=4096",
            "r=xyzXYZ,s=AAAA,i=4096", "e=other-error",
        ])
    func clientRefuses(message: String) {
        var client = SASLClientExchange(mechanism: .scramSHA256, user: "user", password: "pencil", nonce: "abc")
        _ = client.initialResponse()
        guard case .failed = client.receive(bytes(message)) else {
            Issue.record("believed \(message)")
            return
        }
        guard case .failed = client.receive([]) else {
            Issue.record("went on after a failure")
            return
        }
    }

    @Test("A client refuses a server that cannot prove that it knows the password")
    func clientRefusesVerifier() {
        var client = SASLClientExchange(mechanism: .scramSHA256, user: "user", password: "pencil", nonce: "abc")
        _ = client.initialResponse()
        _ = client.receive(bytes("r=abcXYZ,s=AAAA,i=1"))
        guard case .failed = client.receive(bytes("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")) else {
            Issue.record("believed a false verifier")
            return
        }
        #expect(!client.isServerVerified)
    }

    @Test("Whatever bytes a client sends, in whatever state, the exchange answers and ends")
    func noise() {
        let pieces: [[UInt8]] = [
            bytes("n,,"), bytes("y,,"), bytes("n="), bytes("user"), bytes(",r="), bytes("abc"), bytes(serverNonce),
            bytes("c=biws"), bytes(",p="), bytes("AAAA"), bytes("="), bytes(","), [0], [0xFF], bytes("é"),
        ]
        for mechanism in SASLMechanism.allCases {
            for _ in 0..<2000 {
                var exchange = SASLServerExchange(
                    mechanism: mechanism, nonce: serverNonce, challenge: testChallenge, secret: [])
                var step = exchange.start(initialResponse: Bool.random() ? nil : [])
                for _ in 0..<5 {
                    if case .findSCRAMCredentials = step {
                        step = exchange.credentialsFound(Bool.random() ? credentials : nil)
                    } else {
                        let message = (0..<Int.random(in: 0...8)).flatMap { _ in pieces.randomElement() ?? [] }
                        step = exchange.receive(message)
                    }
                    if case .succeeded = step { Issue.record("let somebody in without a proof") }
                }
            }
        }
    }
}

@Suite struct APOPTests {
    @Test("RFC 1939 §7: the example")
    func example() {
        let digest = APOP.digest(challenge: "<1896.697170952@dbc.mtview.ca.us>", secret: "tanstaaf")
        #expect(digest.map { Hex.encode($0) } == "c4c9334bac560ecc979e58001b3e22fb")
    }
}
