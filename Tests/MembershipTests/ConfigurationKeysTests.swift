import Foundation
import Membership
import Testing

@Suite("Configuration keys")
struct ConfigurationKeysTests {
    @Test("Every key of the table is taken, with its default as it stands there")
    func tableAndDecoder() throws {
        let text = yaml { key in
            Self.examples[key.path] ?? (Self.isWritten(key.defaultValue) ? key.defaultValue : nil)
        }
        let configuration = try ClusterConfiguration.parse(text, file: "all.yaml")
        let plain = try ClusterConfiguration.parse(Self.least, file: "least.yaml")
        let difference = ReloadDifference(from: plain, to: configuration)
        #expect(difference == ReloadDifference(from: plain, to: plain), "a default of the table is not the decoder's")
    }

    @Test("Every key refuses a value of another shape, at its line")
    func wrongShapes() {
        for key in ConfigurationKeys.all {
            let text = yaml { $0.path == key.path ? "{what: ever}" : Self.examples[$0.path] }
            let path = key.path.replacing("[]", with: "[0]")
            let problems = problems(text)
            #expect(
                problems.contains { $0.path == path && $0.line > 0 && $0.message.contains("expected") }, "\(key.path)")
        }
    }

    @Test("No key is there twice, and each says what it means")
    func complete() {
        let keys = ConfigurationKeys.all
        #expect(Set(keys.map(\.path)).count == keys.count)
        #expect(keys.allSatisfy { !$0.meaning.isEmpty && !$0.type.isEmpty && !$0.defaultValue.isEmpty })
        #expect(keys.count > 70)
    }

    @Test("The table in Markdown has one row for each key")
    func markdown() {
        let lines = ConfigurationKeys.markdownTable().split(separator: "\n")
        #expect(lines.count == ConfigurationKeys.all.count + 2)
        for line in lines {
            #expect(line.split(separator: "|", omittingEmptySubsequences: false).count == 6, "\(line)")
        }
    }

    @Test("README shows the table of keys as it is")
    func readme() throws {
        let root = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()
        let readme = try String(contentsOfFile: "\(root)/README.md", encoding: .utf8)
        let parts = readme.components(separatedBy: "<!-- configuration keys: begin -->\n")
        let table = parts.last?.components(separatedBy: "<!-- configuration keys: end -->").first
        #expect(parts.count == 2)
        #expect(table == ConfigurationKeys.markdownTable())
    }

    /// What keys without a default are given.
    private static let examples = [
        "frontends[].name": "front", "frontends[].listeners[].service": "smtp",
        "frontends[].listeners[].address": "127.0.0.1:25", "nodes[].name": "store", "nodes[].lmtp": "127.0.0.1:24",
        "nodes[].pop3": "127.0.0.1:110", "sites[].name": "east", "sites[].secretFile": "secret",
        "relays[].name": "relay", "relays[].domains": "[elsewhere.test]", "relays[].addresses": "[127.0.0.1:2]",
    ]

    /// Whether the default can stand in a file; others are a way to say what follows when the key is left out.
    private static func isWritten(_ text: String) -> Bool {
        !text.hasPrefix("`")
            && ![
                "required", "none", "by service", "one per core", "the machine's own name", "the system's",
                "the address's host",
            ].contains(text)
    }

    private static let least = """
        frontends: [{name: front, listeners: [{service: smtp, address: "127.0.0.1:25"}]}]
        nodes: [{name: store, lmtp: "127.0.0.1:24", pop3: "127.0.0.1:110"}]
        sites: [{name: east, secretFile: secret}]
        relays: [{name: relay, domains: [elsewhere.test], addresses: ["127.0.0.1:2"]}]
        """

    /// A file with the keys that `value` gives a value for, in the shape of the table's paths.
    private func yaml(_ value: (ConfigurationKey) -> String?) -> String {
        var root = Branch()
        for key in ConfigurationKeys.all {
            guard let text = value(key) else { continue }
            root.add(key.path.split(separator: ".").map(String.init)[...], text)
        }
        return root.text(0)
    }

    private struct Branch {
        var children: [(name: String, branch: Branch)] = []
        var value: String?

        mutating func add(_ path: ArraySlice<String>, _ text: String) {
            guard let name = path.first else {
                value = text
                return
            }
            if !children.contains(where: { $0.name == name }) { children.append((name, Branch())) }
            for index in children.indices where children[index].name == name {
                children[index].branch.add(path.dropFirst(), text)
            }
        }

        func text(_ depth: Int) -> String {
            let margin = String(repeating: "  ", count: depth)
            return children.map { name, branch in
                if let value = branch.value { return "\(margin)\(name): \(quoted(value))\n" }
                guard name.hasSuffix("[]") else { return "\(margin)\(name):\n" + branch.text(depth + 1) }
                var element = Array(branch.text(depth + 2))
                element[(depth + 1) * 2] = "-"
                return "\(margin)\(name.dropLast(2)):\n" + String(element)
            }.joined()
        }

        private func quoted(_ value: String) -> String {
            value.hasPrefix("[") || value.hasPrefix("{") ? value : "\"\(value)\""
        }
    }
}

/// All that is wrong with the text; empty if nothing is.
func problems(_ text: String) -> [ConfigurationProblem] {
    do {
        _ = try ClusterConfiguration.parse(text, file: "test.yaml", environment: ["HAUBERK_HOME": "/srv/hauberk"])
        return []
    } catch {
        return error.problems
    }
}
