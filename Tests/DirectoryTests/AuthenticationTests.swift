import Digests
import Directory
import Mail
import SASL
import Testing

@Suite(.timeLimit(.minutes(5))) struct AuthenticationTests {
    private func user(_ name: String) throws -> AuthenticationAnswer {
        .user(AuthenticatedUser(address: try address(name), mailbox: try mailbox(name)))
    }

    @Test("All ways to write the name of one account have one key, whether there is such an account or not")
    func accountKeys() throws {
        let directory = try Site { $0.defaultDomain = "example.test" }.frontend
        let groups = [
            ["erin", "ERIN", "erin@example.test", "Erin@EXAMPLE.test"],
            ["zoe\u{301}", "zo\u{E9}", "ZOe\u{301}@Example.Test"], ["erin@other.test"], ["er in"], [""],
        ]
        let keys = groups.map { Set($0.map { Array(directory.accountKey(of: $0).utf8) }) }
        #expect(keys.allSatisfy { $0.count == 1 })
        #expect(Set(keys).count == groups.count)
        let cached = CachedDirectory(wrapping: directory)
        #expect(cached.accountKey(of: "Erin") == "erin@example.test")
        let withoutDomain = try Site().frontend
        #expect(withoutDomain.accountKey(of: "Erin") == "erin")
    }

    @Test("The right password is let in, under the full address in any case; everything else is rejected alike")
    func passwords() async throws {
        let directory = try await Site.withAccounts().frontend
        for name in ["alice@example.test", "ALICE@Example.Test"] {
            #expect(
                try await directory.answer(.password(user: name, password: "alice-password"))
                    == user("alice@example.test"))
        }
        for (name, password) in [
            ("alice@example.test", "bob-password"), ("alice@example.test", ""),
            ("alice@example.test", "Alice-password"),
            ("alice@example.test", "alice-password\0"), ("alice@example.test", "alice-password "),
            ("carol@example.test", "alice-password"), ("alice@elsewhere.test", "alice-password"),
            ("alice", "alice-password"), ("", ""), ("@", ""), ("alice+tag@example.test", "alice-password"),
            ("alice@example.test", String(repeating: "p", count: 10_000)),
        ] {
            #expect(try await directory.answer(.password(user: name, password: password)) == .rejected, "\(name)")
        }
    }

    @Test("A bare user name is one of the default domain, if there is one")
    func defaultDomain() async throws {
        let directory = try await Site.withAccounts { $0.defaultDomain = "example.test" }.frontend
        #expect(
            try await directory.answer(.password(user: "Alice", password: "alice-password"))
                == user("alice@example.test"))
        #expect(
            try await directory.answer(.password(user: "alice@example.test", password: "alice-password"))
                == user("alice@example.test"))
    }

    @Test("Every scheme that a hash can be made in lets its password in, also after the scheme was changed")
    func schemes() async throws {
        var site = try await Site.withAccounts()
        for scheme in PasswordScheme.allCases {
            site.settings.passwordScheme = scheme
            let name = "\(scheme.rawValue)@example.test"
            try await site.administration.addAccount(address(name), password: "sésame 1")
            #expect(try await site.administration.showAccount(address(name)).password == scheme.rawValue)
        }
        site.settings.passwordScheme = .sha512
        for scheme in PasswordScheme.allCases {
            let name = "\(scheme.rawValue)@example.test"
            #expect(try await site.frontend.answer(.password(user: name, password: "sésame 1")) == user(name))
            #expect(try await site.frontend.answer(.password(user: name, password: "sésame 2")) == .rejected)
        }
    }

    @Test("RFC 4013: a password is the same however its accents are composed and its spaces are made")
    func saslprep() async throws {
        let site = try await Site.withAccounts()
        try await site.administration.setPassword(address("alice@example.test"), password: "I\u{AD}X \u{AA}\u{E9}")
        for password in ["IX a\u{E9}", "I\u{AD}X\u{A0}\u{AA}e\u{301}", "\u{2168} ae\u{301}"] {
            #expect(
                try await site.frontend.answer(.password(user: "alice@example.test", password: password))
                    == user("alice@example.test"), "\(password)")
        }
    }

    @Test("A changed password takes effect at once, also where the old one was right a moment ago")
    func changedPassword() async throws {
        let site = try await Site.withAccounts()
        let directory = site.frontend
        let old = AuthenticationRequest.password(user: "alice@example.test", password: "alice-password")
        let new = AuthenticationRequest.password(user: "alice@example.test", password: "another")
        for _ in 0..<2 { #expect(try await directory.answer(old) == user("alice@example.test")) }
        try await site.administration.setPassword(address("alice@example.test"), password: "another")
        #expect(try await directory.answer(old) == .rejected)
        #expect(try await directory.answer(new) == user("alice@example.test"))
    }

    @Test("An account that is removed or disabled is out at once, whatever it logs in by")
    func disabled() async throws {
        let site = try await Site.withAccounts()
        let (administration, directory) = (site.administration, site.frontend)
        let alice = try address("alice@example.test")
        try await administration.setPassword(alice, password: "alice-password", apop: true)
        let password = AuthenticationRequest.password(user: "alice@example.test", password: "alice-password")
        let digest = try #require(APOP.digest(challenge: "<1@x>", secret: "alice-password"))
        let apop = AuthenticationRequest.apop(user: "alice@example.test", challenge: "<1@x>", digest: digest)
        let code = try #require(CRAMMD5.digest(challenge: "<1@x>", secret: "alice-password"))
        let cramMD5 = AuthenticationRequest.cramMD5(user: "alice@example.test", challenge: "<1@x>", digest: code)
        #expect(try await directory.answer(password) == user("alice@example.test"))
        #expect(try await directory.answer(apop) == user("alice@example.test"))
        #expect(try await directory.answer(cramMD5) == user("alice@example.test"))
        try await administration.setDisabled(alice, true)
        #expect(try await directory.answer(password) == .rejected)
        #expect(try await directory.answer(apop) == .rejected)
        #expect(try await directory.answer(cramMD5) == .rejected)
        guard case .credentials(_, nil) = try await directory.answer(.scramCredentials(user: "alice@example.test"))
        else {
            Issue.record("a disabled account has credentials")
            return
        }
        #expect(
            try await directory.resolve(alice) == mailboxes(("alice@example.test", "alice@example.test")),
            "its mail is still taken")
        try await administration.setDisabled(alice, false)
        #expect(try await directory.answer(password) == user("alice@example.test"))
        try await administration.removeAccount(alice)
        #expect(try await directory.answer(password) == .rejected)
    }

    @Test(
        "RFC 1939 §7, RFC 2195: APOP and CRAM-MD5 work for accounts that asked for them, and for no other",
        arguments: ["APOP", "CRAM-MD5"])
    func digests(mechanism: String) async throws {
        let site = try await Site.withAccounts()
        let (administration, directory) = (site.administration, site.frontend)
        func request(_ name: String, _ challenge: String, _ digest: [UInt8]) -> AuthenticationRequest {
            mechanism == "APOP"
                ? .apop(user: name, challenge: challenge, digest: digest)
                : .cramMD5(user: name, challenge: challenge, digest: digest)
        }
        func login(_ name: String, _ secret: String) async throws -> AuthenticationAnswer {
            let make = mechanism == "APOP" ? APOP.digest : CRAMMD5.digest
            let digest = make("<1896.697170952@x>", secret) ?? []
            return try await directory.answer(request(name, "<1896.697170952@x>", digest))
        }
        try await administration.setPassword(address("alice@example.test"), password: "tanstaaf", apop: true)
        #expect(try await login("alice@example.test", "tanstaaf") == user("alice@example.test"))
        #expect(try await login("alice@example.test", "wrong") == .rejected)
        #expect(try await login("bob@example.test", "bob-password") == .rejected)
        #expect(try await login("bob@example.test", "\0") == .rejected)
        #expect(try await login("carol@example.test", "\0") == .rejected)
        #expect(try await directory.answer(request("alice@example.test", "", [])) == .rejected)
        try await administration.setPassword(address("alice@example.test"), password: "another")
        #expect(try await login("alice@example.test", "another") == user("alice@example.test"), "it stays on")
        try await administration.setPassword(address("alice@example.test"), password: "third", apop: false)
        #expect(try await login("alice@example.test", "third") == .rejected)
    }

    /// A whole SCRAM log-in against the directory.
    private func scram(
        _ directory: SQLiteDirectory, user: String, password: String
    ) async throws -> AuthenticatedUser? {
        var client = SASLClientExchange(mechanism: .scramSHA256, user: user, password: password, nonce: "clientnonce")
        var server = SASLServerExchange(mechanism: .scramSHA256, nonce: "servernonceofeighteen")
        var found: AuthenticatedUser?
        var step = server.start(initialResponse: client.initialResponse())
        while true {
            switch step {
            case .challenge(let challenge):
                guard case .respond(let response) = client.receive(challenge) else { return nil }
                step = server.receive(response)
            case .findSCRAMCredentials(let name):
                guard
                    case .credentials(let credentials, let known) = try await directory.answer(
                        .scramCredentials(user: name))
                else { return nil }
                found = known
                step = server.credentialsFound(credentials)
            case .succeeded: return client.isServerVerified ? found : nil
            case .failed, .checkPassword, .checkDigest: return nil
            }
        }
    }

    @Test("RFC 7677: a SCRAM log-in works with the keys that were made when the password was set")
    func scramLogin() async throws {
        let site = try await Site.withAccounts { $0.defaultDomain = "example.test" }
        let directory = site.frontend
        #expect(
            try await scram(directory, user: "alice@example.test", password: "alice-password")?.mailbox
                == mailbox("alice@example.test"))
        #expect(try await scram(directory, user: "Alice", password: "alice-password") != nil)
        #expect(try await scram(directory, user: "alice@example.test", password: "bob-password") == nil)
        #expect(try await scram(directory, user: "carol@example.test", password: "") == nil)
    }

    @Test("An unknown user gets the same invented salt from every frontend, and as many iterations as a known one")
    func invented() async throws {
        let site = try await Site.withAccounts()
        func credentials(_ name: String) async throws -> SCRAMCredentials {
            guard case .credentials(let credentials?, _) = try await site.frontend.answer(.scramCredentials(user: name))
            else { throw NotAnAddress() }
            return credentials
        }
        let first = try await credentials("carol@example.test")
        #expect(try await credentials("CAROL@example.test") == first)
        #expect(try await credentials("dave@example.test").salt != first.salt)
        let known = try await credentials("alice@example.test")
        #expect(known.iterations == first.iterations)
        #expect(known.salt.count == first.salt.count)
    }
}
