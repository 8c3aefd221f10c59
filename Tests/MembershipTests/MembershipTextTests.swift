import Cluster
import Mail
import Membership
import Testing

@Suite("Memberships as texts of their own")
struct MembershipTextTests {
    private static let file = """
        cluster: {name: mail, replicas: 2, epochs: [a b]}
        membership: {kind: etcd, etcd: {endpoints: ["http://127.0.0.1:2379"]}}
        frontends:
          - name: front
            listeners: [{service: smtp, address: "127.0.0.1:2525"}]
        nodes:
          - {name: a, lmtp: "127.0.0.1:1", pop3: "127.0.0.1:2"}
          - {name: b, lmtp: "127.0.0.1:3", pop3: "127.0.0.1:4"}

        """

    private static func configuration(_ text: String = file) throws -> ClusterConfiguration {
        try ClusterConfiguration.parse(text, file: "test.yaml", environment: ["HAUBERK_HOME": "/srv/hauberk"])
    }

    private static func text(epochs: String, nodes: [String], more: String = "") -> String {
        let lines = nodes.enumerated().map { index, name in
            "  - {name: \(name), lmtp: \"127.0.0.1:\(index * 2 + 11)\", pop3: \"127.0.0.1:\(index * 2 + 12)\"}\n"
        }
        return "cluster: {epochs: [\(epochs)]}\n\(more)nodes:\n\(lines.joined())"
    }

    private func problems(_ text: String, _ configuration: ClusterConfiguration) -> [ConfigurationProblem] {
        do {
            _ = try configuration.adopting(membership: text, origin: "etcd")
            return []
        } catch {
            return error.problems
        }
    }

    @Test("A membership brings nodes and epochs, and leaves everything else as the file has it")
    func adopts() throws {
        let file = try Self.configuration()
        let next = try file.adopting(
            membership: Self.text(epochs: "a b, +c", nodes: ["a", "b", "c"]), origin: "etcd")
        #expect(next.nodes.map(\.name) == ["a", "b", "c"])
        #expect(next.nodes.map(\.data) == ["a", "b", "c"].map { "/srv/hauberk/nodes/\($0)" })
        #expect(next.cluster.epochs == ["a b", "+c"])
        #expect(next.cluster.name == "mail")
        #expect(next.cluster.replicas == 2)
        #expect(next.frontends == file.frontends)
        #expect(next.ring().epoch == file.ring().epoch + 1)
    }

    @Test("Addresses may change while the ring stays")
    func movesAddress() throws {
        let next = try Self.configuration().adopting(
            membership: Self.text(epochs: "a b", nodes: ["b", "a"]), origin: "etcd")
        #expect(next.node(named: "b")?.lmtp.description == "127.0.0.1:11")
    }

    @Test("A history that goes back, or is another one, is refused at its line")
    func goesBack() throws {
        let file = try Self.configuration()
        let known = try file.adopting(membership: Self.text(epochs: "a b, +c", nodes: ["a", "b", "c"]), origin: "etcd")
        #expect(problems(Self.text(epochs: "a b", nodes: ["a", "b"]), known).map(\.path) == ["cluster.epochs"])
        #expect(
            problems(Self.text(epochs: "a c, +b", nodes: ["a", "b", "c"]), known).map(\.path) == ["cluster.epochs[0]"])
        #expect(
            problems(Self.text(epochs: "a b, +d", nodes: ["a", "b", "d"]), known).map(\.path) == ["cluster.epochs[1]"])
        #expect(problems(Self.text(epochs: "b a, +c=1", nodes: ["c", "b", "a"]), known).isEmpty)
        #expect(problems(Self.text(epochs: "a b, +c, -a", nodes: ["c", "b"]), known).isEmpty)
    }

    @Test("A file without a history founds none that a membership must keep")
    func withoutHistory() throws {
        let file = try Self.configuration(Self.file.replacing(", epochs: [a b]", with: ""))
        #expect(problems(Self.text(epochs: "x y", nodes: ["x", "y"]), file).isEmpty)
    }

    @Test(
        "What a file may not say, a membership may not say either; and it has no other keys",
        arguments: [
            ("", "nodes"), ("nodes: []", "nodes"), ("- a", ""), ("nodes: {", ""), ("\u{0}", ""),
            (text(epochs: "", nodes: ["a", "b"]), "cluster.epochs"),
            (text(epochs: "a b c", nodes: ["a", "b"]), "cluster.epochs"),
            (text(epochs: "a b, +../c", nodes: ["a", "b", "../c"]), "nodes[2].name"),
            (text(epochs: "a b, +front", nodes: ["a", "b", "front"]), "nodes[2].name"),
            (text(epochs: "a b", nodes: ["a", "b"], more: "trust: {mode: local}\n"), ""),
            (text(epochs: "a b", nodes: ["a", "b"]).replacing("epochs", with: "name: x, epochs"), "cluster"),
            (text(epochs: "a b", nodes: ["a", "b"]).replacing("127.0.0.1:11", with: "10.0.0.1"), "nodes[0].lmtp"),
            (
                text(epochs: "a b", nodes: ["a", "b"]).replacing("127.0.0.1:11", with: "127.0.0.1:2525"),
                "nodes[0].lmtp"
            ),
            (text(epochs: "a", nodes: ["a"]), "cluster.replicas"),
        ])
    func refused(text: String, path: String) throws {
        let found = problems(text, try Self.configuration())
        #expect(found.contains { $0.path == path && $0.file == "etcd" }, "\(found)")
    }

    @Test("References, by which a few lines stand for any number of nodes, are refused before they are followed")
    func references() throws {
        var text = "nodes: [a0]\ncluster:\n  epochs:\n    - &a0 [x, x]\n"
        for level in 1...60 { text += "    - &a\(level) [*a\(level - 1), *a\(level - 1)]\n" }
        let found = problems(text, try Self.configuration())
        #expect(found.count == 1)
        #expect(found.first?.message.contains("no references") == true)
    }

    @Test("A text that is nested without end is refused", arguments: ["[", "{", "- ", "? ", "a: {", "[{"])
    func nesting(opening: String) throws {
        #expect(!problems(String(repeating: opening, count: 100_000), try Self.configuration()).isEmpty)
        #expect(
            !problems("nodes:\n  " + String(repeating: opening, count: 900), try Self.configuration()).isEmpty)
    }

    @Test("What a file founds is a membership, with its variables, without its references, and with a history")
    func founding() throws {
        let text = """
            cluster: {name: mail}
            frontends: []
            nodes:
              - {name: b, zone: &z east, lmtp: "unix:/run/${NAME}.lmtp", pop3: "unix:/run/${NAME}.pop3", weight: 2}
              - {name: a, zone: *z, lmtp: "127.0.0.1:1", pop3: "127.0.0.1:2", data: "${HAUBERK_HOME}/x"}  # old
            """
        let configuration = try Self.configuration(text)
        let founding = try configuration.foundingMembership(in: text)
        #expect(founding.contains("unix:/run/${NAME}.lmtp"))
        #expect(founding.contains("${HAUBERK_HOME}/x"))
        let adopted = try configuration.adopting(membership: founding, origin: "etcd")
        #expect(adopted.nodes == configuration.nodes)
        #expect(adopted.cluster.epochs == ["a@east b=2@east"])
        #expect(adopted.ring() == configuration.ring())

        let known = try Self.configuration()
        let again = try known.adopting(membership: known.foundingMembership(in: Self.file), origin: "etcd")
        #expect(again.nodes == known.nodes)
        #expect(again.cluster == known.cluster)
    }

    @Test(
        "How etcd is reached: at least one endpoint, TLS unless it is this machine, and pairs that belong together",
        arguments: [
            ("{kind: etcd}", "membership.etcd.endpoints"),
            (#"{etcd: {endpoints: ["http://10.0.0.1:2379"]}}"#, "membership.etcd.endpoints[0]"),
            (#"{etcd: {endpoints: ["https://10.0.0.1"]}}"#, "membership.etcd.endpoints[0]"),
            (#"{etcd: {endpoints: ["https://10.0.0.1:2379/v3"]}}"#, "membership.etcd.endpoints[0]"),
            (#"{etcd: {endpoints: ["https://a@b:2379"]}}"#, "membership.etcd.endpoints[0]"),
            (#"{etcd: {endpoints: ["ftp://a:21"]}}"#, "membership.etcd.endpoints[0]"),
            ("{etcd: {certificate: c.pem}}", "membership.etcd"), ("{etcd: {user: hauberk}}", "membership.etcd"),
            ("{etcd: {prefix: hauberk}}", "membership.etcd.prefix"),
            ("{etcd: {prefix: /hauberk/}}", "membership.etcd.prefix"),
            ("{etcd: {leaseTime: 1s}}", "membership.etcd.leaseTime"), ("{kind: consul}", "membership.kind"),
        ])
    func settings(line: String, path: String) {
        let found = Self.problems(Self.file.replacing(/membership: .*\n/, with: "membership: \(line)\n"))
        #expect(found.map(\.path) == [path], "\(found)")
    }

    private static func problems(_ text: String) -> [ConfigurationProblem] {
        do {
            _ = try configuration(text)
            return []
        } catch let error as ConfigurationError {
            return error.problems
        } catch {
            return []
        }
    }

    @Test("The prefix is the cluster's own, and the cache one of each process")
    func names() throws {
        let configuration = try Self.configuration()
        #expect(configuration.membershipPrefix == "/hauberk/mail")
        #expect(configuration.membershipCache(of: "a") == "/srv/hauberk/membership-a.yaml")
    }
}
