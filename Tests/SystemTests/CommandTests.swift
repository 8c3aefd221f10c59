import Foundation
import Testing

/// Runs of the administration's commands in a home of their own, without a cluster.
struct CommandHome {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    func run(_ arguments: String..., input: String = "") async throws -> Program.Outcome {
        try await Program.run(
            Tree.hauberk, arguments, input: Array(input.utf8),
            environment: [
                "HAUBERK_HOME": folder.path, "HAUBERK_CONFIG": Tree.root + "/cluster-config/dev.yaml",
            ])
    }

    /// The output of a command that must go well.
    func text(_ arguments: String..., input: String = "") async throws -> String {
        try await output(arguments, input)
    }

    /// The JSON of a command that must go well.
    func json(_ arguments: String..., input: String = "") async throws -> JSONValue {
        try JSONValue(Data(try await output(arguments + ["--json"], input).utf8))
    }

    private func output(_ arguments: [String], _ input: String) async throws -> String {
        let outcome = try await Program.run(
            Tree.hauberk, arguments, input: Array(input.utf8),
            environment: [
                "HAUBERK_HOME": folder.path, "HAUBERK_CONFIG": Tree.root + "/cluster-config/dev.yaml",
            ])
        try #require(outcome.status == 0, "hauberk \(arguments.joined(separator: " ")): \(outcome.errors)")
        return outcome.outputText
    }

    /// A directory with one domain and alice and bob in it.
    func makeAccounts() async throws {
        _ = try await text("domain", "add", "example.test")
        for name in ["alice", "bob"] {
            _ = try await text("account", "add", "\(name)@example.test", "--password-stdin", input: "secret\n")
        }
    }
}

/// Parsed JSON, for looking into it.
struct JSONValue {
    private let value: Any?

    init(_ data: Data) throws { value = try JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed) }

    private init(value: Any?) { self.value = value }

    subscript(key: String) -> JSONValue { JSONValue(value: (value as? [String: Any])?[key]) }
    subscript(index: Int) -> JSONValue { JSONValue(value: list[index].value) }

    var list: [JSONValue] { (value as? [Any] ?? []).map { JSONValue(value: $0) } }
    var string: String? { value as? String }
    var int: Int? { value as? Int }
    var double: Double? { value as? Double }
    var bool: Bool? { value as? Bool }
    var isThere: Bool { value != nil }
}

extension Program.Outcome {
    /// That a command failed, with this status and words like these.
    func expectFailure(status expected: Int32 = 1, _ words: String..., at place: SourceLocation = #_sourceLocation) {
        #expect(status == expected, "\(outputText)\(errors)", sourceLocation: place)
        for word in words {
            #expect(errors.contains(word), "\(errors)", sourceLocation: place)
        }
    }
}

@Suite("Commands: domains, accounts, aliases", .timeLimit(.minutes(5)))
struct DirectoryCommandTests {
    private let home: CommandHome

    init() throws { home = try CommandHome() }

    @Test("A domain is added, listed and removed, and each mistake says what to do")
    func domains() async throws {
        defer { home.folder.remove() }
        try await home.run("domain", "list").expectFailure("there is no directory", "hauberk domain add")
        #expect(try await home.text("domain", "add", "Example.test").contains("added"))
        try await home.run("domain", "add", "example.test").expectFailure("is there already")
        try await home.run("domain", "add", "no domain").expectFailure("is no domain name")
        #expect(try await home.json("domain", "list")[0]["name"].string == "example.test")
        try await home.run("account", "add", "a@other.test", "--generate").expectFailure(
            "hauberk domain add other.test")
        _ = try await home.text("account", "add", "a@example.test", "--generate")
        try await home.run("domain", "remove", "example.test").expectFailure("still has 1 account")
        _ = try await home.text("account", "remove", "a@example.test")
        #expect(try await home.text("domain", "remove", "example.test") == "example.test removed\n")
        #expect(try await home.text("domain", "list").hasPrefix("no domains"))
    }

    @Test("An account is added, shown, given a new password and removed")
    func accounts() async throws {
        defer { home.folder.remove() }
        try await home.makeAccounts()
        let shown = try await home.json("account", "show", "alice@example.test")
        #expect(shown["account"]["mailbox"].string == "alice@example.test")
        #expect(shown["account"]["password"].string == "yescrypt")
        #expect(shown["account"]["scram"].bool == true)
        #expect(shown["account"]["apop"].bool == false)
        #expect(shown["place"]["owners"].list.count == 2)
        let text = try await home.text("account", "show", "alice@example.test")
        #expect(text.contains("\nmailbox    alice@example.test\n"))

        let generated = try await home.json("account", "passwd", "alice@example.test", "--generate", "--apop")
        #expect(generated["password"].string?.count == 20)
        #expect(try await home.json("account", "show", "alice@example.test")["account"]["apop"].bool == true)
        _ = try await home.text("account", "passwd", "alice@example.test", "--password-stdin", input: "other\n")
        #expect(try await home.json("account", "show", "alice@example.test")["account"]["apop"].bool == true)
        _ = try await home.text(
            "account", "passwd", "alice@example.test", "--password-stdin", "--no-apop", input: "other\n")
        #expect(try await home.json("account", "show", "alice@example.test")["account"]["apop"].bool == false)

        _ = try await home.text("account", "disable", "alice@example.test")
        #expect(try await home.json("account", "show", "alice@example.test")["account"]["disabled"].bool == true)
        _ = try await home.text("account", "enable", "alice@example.test")
        #expect(try await home.json("account", "show", "alice@example.test")["account"]["disabled"].bool == false)
        #expect(try await home.text("account", "remove", "alice@example.test").contains("alice@example.test removed"))
        try await home.run("account", "show", "alice@example.test").expectFailure("hauberk account list")
    }

    @Test("A new account at an old address gets another mailbox")
    func mailboxNames() async throws {
        defer { home.folder.remove() }
        try await home.makeAccounts()
        _ = try await home.text("account", "remove", "alice@example.test")
        let made = try await home.json("account", "add", "alice@example.test", "--generate")
        #expect(made["mailbox"].string == "alice~2@example.test")
        #expect(made["password"].string?.count == 20)
    }

    @Test("Accounts are listed in order, of one domain or of all")
    func accountList() async throws {
        defer { home.folder.remove() }
        try await home.makeAccounts()
        _ = try await home.text("domain", "add", "another.test")
        #expect(try await home.text("account", "list", "--domain", "another.test").hasPrefix("no accounts"))
        _ = try await home.text("account", "add", "zoe@another.test", "--generate")
        let all = try await home.json("account", "list").list.compactMap { $0["address"].string }
        #expect(all == ["zoe@another.test", "alice@example.test", "bob@example.test"])
        let lines = try await home.text("account", "list", "--domain", "example.test").split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines.first?.hasPrefix("account ") == true)
        #expect(lines.last?.hasPrefix("bob@example.test ") == true)
        try await home.run("account", "list", "--domain", "nowhere.test").expectFailure("no such domain nowhere.test")
    }

    @Test("A password never comes from the command line, and without a terminal an option must say from where")
    func passwords() async throws {
        defer { home.folder.remove() }
        try await home.makeAccounts()
        try await home.run("account", "add", "c@example.test").expectFailure("--password-stdin or --generate")
        try await home.run("account", "add", "c@example.test", "--password-stdin").expectFailure("has no password")
        try await home.run("account", "add", "c@example.test", "--generate", "--password-stdin")
            .expectFailure(status: 64, "exclude each other")
        try await home.run("account", "add", "c@example.test", "--password-stdin", input: "a\u{7}b\n")
            .expectFailure("control character")
        try await home.run("account", "add", "alice@example.test", "--generate").expectFailure("there is an account")
        try await home.run("account", "add", "nobody", "--generate")
            .expectFailure(status: 64, "an address looks like alice@example.test")
    }

    @Test("Changes are told as JSON too")
    func changesAsJSON() async throws {
        defer { home.folder.remove() }
        #expect(try await home.json("domain", "add", "Bücher.test")["domain"].string == "xn--bcher-kva.test")
        #expect(try await home.json("domain", "remove", "bücher.test")["domain"].string == "xn--bcher-kva.test")
        try await home.makeAccounts()
        #expect(try await home.json("account", "disable", "bob@example.test")["disabled"].bool == true)
        #expect(try await home.json("account", "enable", "bob@example.test")["disabled"].bool == false)
        let alias = try await home.json("alias", "add", "all@example.test", "alice@example.test", "bob@example.test")
        #expect(alias["targets"].list.compactMap(\.string) == ["alice@example.test", "bob@example.test"])
        let less = try await home.json("alias", "remove", "all@example.test", "bob@example.test")
        #expect(less["targets"].list.compactMap(\.string) == ["bob@example.test"])
        #expect(try await home.json("alias", "remove", "all@example.test")["alias"].string == "all@example.test")
    }

    @Test("An address is printed as it can be typed again")
    func quotedAddresses() async throws {
        defer { home.folder.remove() }
        try await home.makeAccounts()
        let odd = "\"a@b c\"@example.test"
        #expect(try await home.json("account", "add", odd, "--generate")["address"].string == odd)
        let listed = try await home.json("account", "list").list.compactMap { $0["address"].string }
        #expect(listed.contains(odd))
        #expect(try await home.json("account", "show", odd)["account"]["address"].string == odd)
        _ = try await home.text("alias", "add", "\"x y\"@example.test", odd)
        let alias = try await home.json("alias", "list")[0]
        #expect(alias["address"].string == "\"x y\"@example.test")
        #expect(alias["targets"].list.compactMap(\.string) == [odd])
        #expect(try await home.json("account", "remove", odd)["aliases"][0].string == "\"x y\"@example.test")
        try await home.run("account", "show", odd).expectFailure("no such account \(odd)")
        try await home.run("account", "show", "\"a@example.test").expectFailure(status: 64, "an address looks like")
    }

    @Test("An account comes with the hash that another server had, and what is no hash is refused")
    func foreignHash() async throws {
        defer { home.folder.remove() }
        try await home.makeAccounts()
        let hash = "{BLF-CRYPT}$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n"
        _ = try await home.text("account", "add", "carol@example.test", "--hash-stdin", input: hash)
        _ = try await home.text("account", "passwd", "alice@example.test", "--hash-stdin", input: hash)
        for name in ["carol", "alice"] {
            let account = try await home.json("account", "show", "\(name)@example.test")["account"]
            #expect(account["password"].string == "2y")
            #expect(account["scram"].bool == false)
        }
        try await home.run("account", "add", "dave@example.test", "--hash-stdin", input: "{PLAIN}secret\n")
            .expectFailure("no whole hash")
        try await home.run("account", "add", "dave@example.test", "--hash-stdin", "--apop", input: hash)
            .expectFailure(status: 64, "APOP and CRAM-MD5 need the password itself")
        try await home.run("account", "add", "dave@example.test", "--hash-stdin", "--generate", input: hash)
            .expectFailure(status: 64, "exclude each other")
        try await home.run("account", "show", "dave@example.test").expectFailure("no such account")
    }

    @Test("New passwords are hashed as the configuration says")
    func passwordScheme() async throws {
        defer { home.folder.remove() }
        let text = try String(contentsOfFile: Tree.root + "/cluster-config/dev.yaml", encoding: .utf8)
        let file = try home.folder.write(
            "bcrypt.yaml", text.replacing("  kind: sqlite", with: "  kind: sqlite\n  passwordScheme: bcrypt"))
        try await home.makeAccounts()
        _ = try await home.text("account", "passwd", "bob@example.test", "--generate", "--config", file)
        let rows = try await home.json("account", "list").list
        #expect(rows.compactMap { $0["password"].string } == ["yescrypt", "bcrypt"])
    }

    @Test("A load says which file is missing, and refuses numbers that make no sense")
    func loadOptions() async throws {
        defer { home.folder.remove() }
        let nowhere = home.folder.path + "/nowhere"
        let target = ["load", "--target", "127.0.0.1:9"]
        func fails(_ arguments: [String], status: Int32 = 1, _ words: String) async throws {
            let all = ["load", arguments[0]] + target.dropFirst() + arguments.dropFirst()
            let outcome = try await Program.run(Tree.hauberk, all)
            outcome.expectFailure(status: status, words)
        }
        try await fails(["verify", "--password", "x", "--ledger", nowhere], "--ledger \(nowhere): No such file")
        try await fails(["pop3", "--password-file", nowhere], "--password-file \(nowhere): No such file")
        try await fails(["smtp", "--from-file", nowhere], "--from-file \(nowhere): No such file")
        try await fails(["smtp", "--ledger", nowhere + "/ledger"], "/ledger: No such file")
        for command in ["pop3", "smtp"] { try await fails([command, "--mailboxes", "0"], status: 64, "--mailboxes") }
        try await fails(["smtp", "--recipients-per-message", "1001"], status: 64, "1 to 1000")
    }

    @Test("An alias goes to several accounts, to fewer, and to none")
    func aliases() async throws {
        defer { home.folder.remove() }
        try await home.makeAccounts()
        try await home.run("alias", "add", "sales@example.test", "bob@example.test", "carol@example.test")
            .expectFailure("no such account carol@example.test", "an alias goes to accounts only")
        #expect(try await home.text("alias", "list") == "no aliases\n")
        _ = try await home.text("alias", "add", "sales@example.test", "bob@example.test", "alice@example.test")
        let row = try await home.json("alias", "list", "--domain", "example.test")[0]
        #expect(row["targets"].list.compactMap(\.string) == ["alice@example.test", "bob@example.test"])
        #expect(
            try await home.text("alias", "list") == """
                alias               goes to
                sales@example.test  alice@example.test
                                    bob@example.test

                """)
        _ = try await home.text("alias", "remove", "sales@example.test", "bob@example.test")
        try await home.run("alias", "remove", "sales@example.test", "bob@example.test")
            .expectFailure("does not go to bob@example.test")
        let removed = try await home.json("account", "remove", "alice@example.test")
        #expect(removed["aliases"].list.compactMap(\.string) == ["sales@example.test"])
        try await home.run("alias", "remove", "sales@example.test").expectFailure("no such alias")
    }
}
