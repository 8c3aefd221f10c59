import Foundation
import Testing

@Suite("Commands: ring, locate, certificates, configuration", .timeLimit(.minutes(5)))
struct ClusterCommandTests {
    private let home: CommandHome

    init() throws { home = try CommandHome() }

    @Test("The ring is shown as a table, as JSON and as a picture")
    func ringShow() async throws {
        defer { home.folder.remove() }
        let picture = home.folder.path + "/ring.svg"
        let text = try await home.text("ring", "show", "--svg", picture, "--members")
        #expect(text.hasPrefix("epoch 1: 3 nodes, 4096 partitions"))
        #expect(text.contains("\(home.folder.path)/nodes/store-3\n"))
        #expect(try home.folder.read("ring.svg").hasPrefix("<svg"))
        let ring = try await home.json("ring", "show")
        #expect(ring["nodes"].list.reduce(0) { $0 + ($1["copies"].int ?? 0) } == 2 * 4096)
        #expect(try #require(ring["loadRatio"].double) <= 1.05)
        try await home.run("ring", "show", "--svg", home.folder.path + "/no/ring.svg").expectFailure("cannot write")
    }

    @Test("A plan says what moves, what had to, and which epochs the configuration then needs")
    func ringPlan() async throws {
        defer { home.folder.remove() }
        let plan = try await home.json("ring", "plan", "--add", "store-4:2:east", "--remove", "store-1", "--moves")
        let unavoidable = try #require(plan["unavoidable"].int)
        #expect(unavoidable > 0)
        #expect(try #require(plan["moved"].int) <= unavoidable * 11 / 10)
        #expect(plan["moves"].list.count == plan["moved"].int)
        #expect(
            plan["epochs"].list.compactMap(\.string) == ["store-1 store-2 store-3", "-store-1 +store-4=2@east"])
        let text = try await home.text("ring", "plan", "--set-weight", "store-2=3")
        #expect(text.contains("copies move"))
        #expect(text.contains("    - store-2=3\n"))
        #expect(text.contains("of the fair share before"))
    }

    @Test("A plan that changes nothing says so, and makes no epoch")
    func planOfNothing() async throws {
        defer { home.folder.remove() }
        #expect(try await home.text("ring", "plan", "--set-weight", "store-1=1").hasPrefix("nothing changes: "))
        let plan = try await home.json("ring", "plan", "--set-weight", "store-1=1")
        #expect(plan["changes"].bool == false)
        #expect(plan["epochAfter"].int == 1)
        #expect(plan["moved"].int == 0)
    }

    @Test("A plan that cannot be is refused: no change, an unknown node, a known one anew, too few left")
    func impossiblePlans() async throws {
        defer { home.folder.remove() }
        try await home.run("ring", "plan").expectFailure(status: 64, "--add, --remove or --set-weight")
        try await home.run("ring", "plan", "--add", "store-4:-1").expectFailure(status: 64, "'-1' is no weight")
        try await home.run("ring", "plan", "--add", "store-1").expectFailure("is a member already")
        try await home.run("ring", "plan", "--remove", "store-9")
            .expectFailure("no node store-9", "store-1, store-2, store-3")
        try await home.run("ring", "plan", "--remove", "store-1", "--remove", "store-2", "--remove", "store-3")
            .expectFailure("0 nodes would be left")
    }

    @Test("locate follows aliases and tags, and finds a mailbox without the directory")
    func locate() async throws {
        defer { home.folder.remove() }
        try await home.run("locate", "alice@example.test").expectFailure("there is no directory")
        let place = try await home.json("locate", "--mailbox", "alice@example.test")["mailboxes"][0]
        let partition = try #require(place["partition"].int)
        let owner = place["owners"][0]
        let node = try #require(owner["node"].string)
        #expect(
            owner["folder"].string == "\(home.folder.path)/nodes/\(node)/mail/\(partition)/example.test/alice")

        try await home.makeAccounts()
        _ = try await home.text("alias", "add", "sales@example.test", "alice@example.test", "bob@example.test")
        let names = try await home.json("locate", "sales+x@example.test")["mailboxes"].list.map { $0["mailbox"].string }
        #expect(names == ["alice@example.test", "bob@example.test"])
        #expect(try await home.text("locate", "alice@example.test").contains("partition  \(partition) of 4096"))
        try await home.run("locate", "nobody@example.test").expectFailure("no account and no alias")
        try await home.run("locate", "alice@example.org").expectFailure("mail for example.org is not kept here")
        try await home.run("locate").expectFailure(status: 64, "Give an address")
    }

    @Test("The CA is made once, and issues what the configuration's processes need")
    func certificates() async throws {
        defer { home.folder.remove() }
        try await home.run("certs", "issue", "store-1").expectFailure("there is no CA", "hauberk certs init")
        #expect(try await home.text("certs", "init").contains("dev cluster CA made"))
        let authority = try home.folder.read("certs/ca.pem")
        try await home.run("certs", "init").expectFailure("is there already")
        #expect(try home.folder.read("certs/ca.pem") == authority)

        try await home.run("certs", "issue", "store-9").expectFailure("no frontend or node store-9", "store-1")
        try await home.run("certs", "issue").expectFailure(status: 64, "or --all")
        _ = try await home.text("certs", "issue", "store-1", "--dns", "store-1.example.test", "--ip", "127.0.0.1")
        let first = try home.folder.read("certs/store-1.pem")
        try await home.run("certs", "issue", "store-1").expectFailure("--replace")
        _ = try await home.text("certs", "issue", "--all")
        #expect(try home.folder.read("certs/store-1.pem") == first)
        _ = try await home.text("certs", "issue", "store-1", "--replace")
        #expect(try home.folder.read("certs/store-1.pem") != first)
        let mode = try FileManager.default.attributesOfItem(atPath: home.folder.path + "/certs/store-1.key")
        #expect(mode[.posixPermissions] as? Int == 0o600)

        _ = try await home.text("certs", "listener")
        let rows = try await home.json("certs", "show").list
        #expect(rows.count == 9)
        #expect(rows.allSatisfy { $0["state"].string == "good" })
        try FileManager.default.removeItem(atPath: home.folder.path + "/certs/ca.key")
        try await home.run("certs", "issue", "store-1", "--replace").expectFailure("on the machine that has it")
    }

    @Test("What was made of certificates is told as JSON too")
    func certificatesAsJSON() async throws {
        defer { home.folder.remove() }
        let authority = try await home.json("certs", "init")
        #expect(authority["certificate"].string == home.folder.path + "/certs/ca.pem")
        #expect(try await home.json("certs", "issue", "store-1")[0]["made"].bool == true)
        let all = try await home.json("certs", "issue", "--all").list
        #expect(all.filter { $0["made"].bool == false }.compactMap { $0["name"].string } == ["store-1"])
        #expect(all.count == 7)
        #expect(try await home.json("certs", "listener")[0]["made"].bool == true)
        #expect(try await home.json("certs", "listener")[0]["made"].bool == false)
    }

    @Test("certs show says which certificates are missing or cannot be read")
    func brokenCertificates() async throws {
        defer { home.folder.remove() }
        let missing = try await home.json("certs", "show").list
        #expect(missing.allSatisfy { $0["state"].string == "missing" })
        _ = try await home.text("certs", "init")
        _ = try home.folder.write("certs/store-2.pem", "nonsense")
        let text = try await home.text("certs", "show")
        #expect(text.contains("unreadable"))
        #expect(text.contains("dev cluster CA"))
    }

    @Test("A good configuration gets a summary, a bad one all its problems with their lines")
    func checkConfig() async throws {
        defer { home.folder.remove() }
        let text = try await home.text("check-config")
        #expect(text.contains("dev.yaml is good"))
        #expect(text.contains("127.0.0.1:2525"))
        #expect(try await home.json("check-config")["nodes"].list.count == 3)

        let bad = try home.folder.write("bad.yaml", "cluster:\n  replicas: many\n  colour: red\n")
        let outcome = try await home.run("check-config", bad)
        outcome.expectFailure("\(bad):2:", "\(bad):3:", "colour", "problems")
        let asJSON = try await home.run("check-config", bad, "--json")
        #expect(asJSON.status == 1)
        let problems = try JSONValue(Data(asJSON.output))
        #expect(problems["valid"].bool == false)
        #expect(problems["problems"].list.contains { $0["line"].int == 2 })
        try await home.run("check-config", bad, "--config", bad).expectFailure(status: 64, "Give the file once")
        try await home.run("check-config", "/nowhere.yaml").expectFailure("cannot be read")
        try await home.run("ring", "show", "--config", bad).expectFailure("colour")
    }

    @Test("Warnings are told, and a file with nothing but warnings is good")
    func warnings() async throws {
        defer { home.folder.remove() }
        let file = try home.folder.write(
            "far.yaml",
            """
            nodes:
              - {name: a, lmtp: "10.0.0.1:1", pop3: "10.0.0.1:2"}
              - {name: b, lmtp: "10.0.0.2:1", pop3: "10.0.0.2:2"}

            """)
        let outcome = try await home.run("check-config", file)
        #expect(outcome.status == 0)
        #expect(outcome.errors.contains("warning: \(file):"), "\(outcome.errors)")
        let view = try await home.json("check-config", file)
        #expect(view["valid"].bool == true)
        #expect(view["warnings"][0]["key"].string == "cluster.epochs")
        #expect(try await home.json("check-config")["warnings"].list.isEmpty)
    }

    @Test("Every configuration key is explained")
    func configurationKeys() async throws {
        defer { home.folder.remove() }
        let keys = try await home.json("config", "keys").list
        #expect(keys.contains { $0["key"].string == "nodes[].lmtp" && $0["defaultValue"].string == "required" })
        #expect(try await home.text("config", "keys", "smtp.limits").hasPrefix("smtp.limits."))
        #expect(try await home.text("config", "keys", "--markdown").hasPrefix("| key | type |"))
        try await home.run("config", "keys", "nothing").expectFailure("no key begins with nothing")
    }

    @Test("Each command explains itself, and a command that there is not is a usage error")
    func help() async throws {
        defer { home.folder.remove() }
        #expect(try await home.text("--version") == "0.1.0\n")
        for command in [
            ["serve"], ["domain"], ["domain", "add"], ["account"], ["account", "passwd"], ["alias", "remove"],
            ["ring", "plan"], ["locate"], ["certs", "issue"], ["check-config"], ["config", "keys"],
        ] {
            let outcome = try await Program.run(Tree.hauberk, command + ["--help"])
            #expect(outcome.status == 0)
            #expect(outcome.outputText.contains("  hauberk \(command.joined(separator: " "))"), "\(outcome.outputText)")
        }
        try await home.run("nonsense").expectFailure(status: 64)
        try await home.run("domain", "add").expectFailure(status: 64, "<domain>")
    }
}
